// exec.ts: `horae task exec`: this terminal, or these pipes, lent to a command in a running task.
//
// With a terminal every key goes to the command, Ctrl-C too, until it has ended; then the terminal is given back as it was.

import { asksHelp } from '../transport/cli/arguments.ts';
import { exec_usage, readExec } from '../transport/cli/exec.ts';
import { callTask } from '../transport/terminal/client.ts';
import { fail } from './refused.ts';

/** What a shell says of a command that could not be run; never a code of the command's own, as far as that can be. */
const failed = 255;

export async function exec(argv: readonly string[]): Promise<void> {
  const cut = argv.indexOf('--');
  if (asksHelp(cut < 0 ? argv : argv.slice(0, cut))) {
    console.log(exec_usage);
    return;
  }
  const call = readExec(argv, process.env);
  if (!call.ok) fail(call.problems);
  const { stdin, stdout, stderr } = process;
  const { terminal: wish, ...rest } = call.value;
  const has_terminal = wish === 'yes' || (wish === 'as it is' && stdin.isTTY === true && stdout.isTTY === true);
  const size = () => ({ rows: stdout.rows || 24, columns: stdout.columns || 80 });
  const term = process.env.TERM;
  const known = term !== undefined && /^[\w.+-]{1,64}$/.test(term) ? { term } : {};
  const raw = has_terminal && stdin.isTTY === true;
  try {
    const outcome = await callTask(
      { ...rest, terminal: has_terminal ? { ...size(), ...known } : undefined },
      {
        input: stdin as AsyncIterable<Uint8Array>,
        write: (stream, bytes) =>
          new Promise(resolve => {
            (stream === 'stderr' ? stderr : stdout).write(bytes, () => resolve());
          }),
        ready(resize) {
          if (raw) stdin.setRawMode(true);
          if (has_terminal) stdout.on('resize', () => resize(size()));
        },
      },
    );
    if (raw) stdin.setRawMode(false);
    if (outcome.type === 'refused') {
      console.error(`horae: ${outcome.message}`);
      process.exitCode = failed;
    } else {
      if (outcome.why !== undefined) console.error(`horae: ${outcome.why}`);
      process.exitCode = outcome.code ?? (outcome.signal === undefined ? failed : 128 + outcome.signal);
    }
  } finally {
    if (raw) stdin.setRawMode(false);
    // Nobody waits for what might still be typed.
    stdin.destroy();
  }
}
