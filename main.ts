// main.ts: reads the line that was typed after `horae`, and hands over to the program that it names (programs/).

import { askLeader, askScheduler, explainSchedule, printHash } from './programs/ask.ts';
import { dev } from './programs/dev.ts';
import { mesos } from './programs/mesos.ts';
import { cannotStart, fail } from './programs/refused.ts';
import { serve } from './programs/serve.ts';
import { version } from './programs/start.ts';
import { settingsHelp } from './settings.ts';
import { parseArguments, usage } from './transport/cli/arguments.ts';

const request = parseArguments(process.argv.slice(2));
if (!request.ok) fail(request.problems);
const { command, argv } = request.value;
switch (command) {
  case 'help':
    console.log(usage(settingsHelp()));
    break;
  case 'version':
    console.log(version);
    break;
  case 'hash-password':
    await printHash();
    break;
  case 'schedule':
    explainSchedule(argv);
    break;
  case 'outcomes':
  case 'missed':
    await askScheduler(command, argv);
    break;
  case 'leader':
    await askLeader(argv);
    break;
  case 'dev':
    dev(argv).catch(cannotStart);
    break;
  case 'serve':
    serve(argv).catch(cannotStart);
    break;
  case 'mesos':
    mesos(argv).catch(cannotStart);
    break;
}
