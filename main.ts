// main.ts: reads the line that was typed after `horae`, and hands over to the program that it names (programs/).

import { cannotStart, fail } from './programs/refused.ts';
import { version } from './programs/start.ts';
import { settingsHelp } from './settings.ts';
import { parseArguments, usage } from './transport/cli/arguments.ts';

const request = parseArguments(process.argv.slice(2));
if (!request.ok) fail(request.problems);
const { command, argv } = request.value;
run().catch(cannotStart);

/** A program is loaded when it is asked for: one does not wait for, nor hold in memory, what another needs. */
async function run(): Promise<void> {
  switch (command) {
    case 'help':
      console.log(usage(settingsHelp()));
      return;
    case 'version':
      console.log(version);
      return;
    case 'hash-password':
      return (await import('./programs/ask.ts')).printHash();
    case 'schedule':
      return (await import('./programs/ask.ts')).explainSchedule(argv);
    case 'outcomes':
    case 'missed':
      return (await import('./programs/ask.ts')).askScheduler(command, argv);
    case 'task':
      return (await import('./programs/task.ts')).task(argv);
    case 'sync':
      return (await import('./programs/sync.ts')).sync(argv);
    case 'leader':
      return (await import('./programs/ask.ts')).askLeader(argv);
    case 'log-level':
      return (await import('./programs/operations.ts')).logLevel(argv);
    case 'debug':
      return (await import('./programs/operations.ts')).debugBundleOf(argv);
    case 'dev':
      return (await import('./programs/dev.ts')).dev(argv);
    case 'serve':
      return (await import('./programs/serve.ts')).serve(argv);
    case 'doctor':
      return (await import('./programs/doctor.ts')).doctor(argv);
    case 'url-runner':
    case 'async':
    case 'remote-run':
      return (await import('./helpers/main.ts')).help(command, argv);
    case 'mesos':
      return (await import('./programs/mesos.ts')).mesos(argv);
  }
}
