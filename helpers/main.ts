// main.ts: the small commands that tasks use, by their names.
//
// A task runs on an agent, where there may be nothing of ours. So these commands need Node alone, and travel in the
// executor's archive (mesos/executor/archive.ts) as `horae-executor/horae`; where Horae is installed they are commands of
// `horae`. Their status is that of what they ran. 125 says that the helper itself failed, 2 that its line is wrong, as
// with env(1) and timeout(1).

import { systemClock } from '../schedules/clock.ts';
import { bad, type Result } from '../schedules/problem.ts';
import { async_usage, asyncRun, readAsync } from './async.ts';
import { HelperFailed, type World } from './helper.ts';
import { readRemoteRun, remote_run_usage, remoteRun } from './remote-run.ts';
import { readUrlRunner, url_runner_usage, urlRunner } from './url-runner.ts';

type Helper = { readonly usage: string; readonly start: (argv: readonly string[]) => Result<() => Promise<number>> };

const world: World = {
  clock: systemClock(),
  env: process.env,
  say: line => console.error(`horae: ${line}`),
};

const helpers: Readonly<Record<string, Helper>> = {
  'url-runner': {
    usage: url_runner_usage,
    start: argv => begin(readUrlRunner(argv, process.env), wish => urlRunner(wish, world)),
  },
  async: {
    usage: async_usage,
    start: argv => begin(readAsync(argv, process.env), wish => asyncRun(wish, world)),
  },
  'remote-run': {
    usage: remote_run_usage,
    start: argv => begin(readRemoteRun(argv, process.env), wish => remoteRun(wish, world)),
  },
};

function begin<T>(read: Result<T>, run: (wish: T) => Promise<number>): Result<() => Promise<number>> {
  return read.ok ? { ok: true, value: () => run(read.value) } : read;
}

export async function help(name: string, argv: readonly string[]): Promise<void> {
  const helper = helpers[name];
  // Only a first word asks us for help: a later one may be meant for the command that is to be run.
  if (helper !== undefined && (argv[0] === '--help' || argv[0] === '-h')) {
    console.log(helper.usage);
    return;
  }
  const expected = Object.keys(helpers).join(', ');
  const started =
    helper?.start(argv) ??
    bad({ place: name, value: name, message: `unknown helper "${name}": expected one of ${expected}`, expected });
  if (!started.ok) {
    for (const problem of started.problems) world.say(problem.message);
    process.exitCode = 2;
    return;
  }
  try {
    process.exitCode = await started.value();
  } catch (error) {
    world.say(error instanceof HelperFailed ? error.message : `${name} failed: ${String(error)}`);
    process.exitCode = 125;
  }
}

if (import.meta.main) await help(process.argv[2] ?? '', process.argv.slice(3));
