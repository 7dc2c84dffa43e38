// child.ts: running somebody else's command so that nobody notices that we stand before it.
//
// Best is to become it: then signals, status, memory and process id are its own. Where we have to stay, signals are passed
// on and its end becomes ours. Words are handed over as words: no shell reads them.

import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';

/** What a person or an agent may send. SIGKILL cannot be passed on; SIGCHLD and faults are nobody's message. */
const passed_on = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH'] as const;

/** Calls `hear` with each signal that comes, instead of ending. Gives back how to stop that. */
export function onSignals(hear: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of passed_on) process.on(signal, hear);
  return () => {
    for (const signal of passed_on) process.off(signal, hear);
  };
}

/** As a shell would say it. */
export const statusOfSignal = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/** Runs `argv` to its end with our own streams. The status is the command's; 127 and 126 when it cannot be started. */
export function runToEnd(argv: readonly [string, ...string[]], say: (line: string) => void): Promise<number> {
  const [program, ...words] = argv;
  return new Promise(resolve => {
    // Listening before it starts: it may be heard of, and a signal be sent to it, while we are still on our way back.
    const deaf = onSignals(signal => child.kill(signal));
    const child = spawn(program, words, { stdio: 'inherit' });
    child.on('error', error => {
      // Also comes when a signal could not be sent, which is nothing: the command has just ended.
      if (child.pid !== undefined) return;
      deaf();
      const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
      say(`"${program}" could not be started: ${absent ? 'there is no such program' : error.message}`);
      resolve(absent ? 127 : 126);
    });
    child.on('exit', (status, signal) => {
      deaf();
      resolve(signal === null ? (status ?? 0) : statusOfSignal(signal));
    });
  });
}

/**
 * Becomes `file`, an executable or a script without a first line that says whose; what it cannot become a shell says.
 * Node ignores SIGPIPE and would leave that behind, so that `yes | head` never ends: env(1) of GNU puts it right, and
 * where there is another env we stay as its parent, whose children begin with everything as it should be.
 */
export async function become(file: string, argv: readonly string[], say: (line: string) => void): Promise<number> {
  const words = ['/bin/sh', '-c', 'exec "$0" "$@"', file, ...argv] as const;
  const cure = ['--default-signal=PIPE,XFSZ'];
  const cured = spawnSync('/usr/bin/env', [...cure, 'true'], { stdio: 'ignore' }).status === 0;
  if (!cured || process.execve === undefined) return runToEnd(words, say);
  process.removeAllListeners('warning'); // That execve is experimental is of no use to whoever reads the task's stderr.
  process.execve('/usr/bin/env', ['env', ...cure, ...words], process.env);
  throw new Error('execve came back'); // It does not: it either replaces us or aborts.
}
