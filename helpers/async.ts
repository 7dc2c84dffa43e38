// async.ts: `horae async -- CMD ARGS`: runs a command and reports how it ended, as the call-back of an async job.
//
// The run of an async job ends when somebody says so, not when its command does. This command says so for whatever it
// runs, and stays until it has been heard: an agent ends all that a task leaves behind. Its own end is 0 then, since the
// truth has been told already, and a failure must not count twice.

import type { Result } from '../schedules/problem.ts';
import { readFlags } from '../transport/cli/flags.ts';
import { onSignals, runToEnd } from './child.ts';
import { completion_flags, completion_usage, type Destination, readDestination, report } from './completion.ts';
import { type Environment, HelperFailed, type World, Wrongs } from './helper.ts';

export const async_usage = `Usage: horae async [FLAGS] -- CMD [ARGS...]

Run a command, then report its status to the scheduler as the end of this task. Signals are passed on to the command; one
that was ended by signal N is reported as 128 + N. The report is sent again, with growing pauses, until it is accepted.

${completion_usage}

The status is 0 when the report was accepted. When it was not it is the command's own, or 125 where that was 0.`;

export type AsyncRun = { readonly destination: Destination; readonly argv: readonly [string, ...string[]] };

export function readAsync(argv: readonly string[], env: Environment): Result<AsyncRun> {
  const read = readFlags(argv, { ...completion_flags, switches: [], leading: true });
  if (!read.ok) return read;
  const { words, values, lists } = read.value;
  const wrongs = new Wrongs();
  const [program, ...rest] = words;
  if (program === undefined) wrongs.refuse('CMD', '', 'no command is given', 'horae async -- CMD ARGS');
  const destination = readDestination(values, lists, env, wrongs);
  return wrongs.or(() => ({ destination, argv: [program ?? '', ...rest] }));
}

export async function asyncRun({ destination, argv }: AsyncRun, world: World): Promise<number> {
  // Held all the way, so that no signal finds a moment between the command and the report in which it would end us.
  const deaf = onSignals(() => undefined);
  try {
    return await reportEnd(await runToEnd(argv, world.say), destination, world);
  } finally {
    deaf();
  }
}

/** Reports, and says with which status to end. Whoever is told to go while it waits tries once more, at once. */
export async function reportEnd(status: number, destination: Destination, world: World): Promise<number> {
  const hurry = new AbortController();
  const deaf = onSignals(signal => {
    if (signal !== 'SIGCONT' && signal !== 'SIGWINCH') hurry.abort();
  });
  try {
    await report(destination, status, world, hurry.signal);
    return 0;
  } catch (error) {
    if (!(error instanceof HelperFailed)) throw error;
    world.say(error.message);
    return status === 0 ? 125 : status;
  } finally {
    deaf();
  }
}
