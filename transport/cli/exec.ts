// exec.ts: `horae task exec KEY[/INSTANCE] [-- COMMAND...]`: which task is meant, and what is to run in it.
//
// Pure: a line becomes a call. Who makes it, and lends it a terminal, is programs/exec.ts.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { readFlags } from './flags.ts';

export const exec_usage = `Usage: horae task exec ROLE/ENVIRONMENT/NAME[/INSTANCE] [FLAGS] [-- COMMAND [ARGUMENT...]]

A command in a running task: as its user, in its sandbox, with its environment and limits. A shell when no command is given.
Ends as the command does: with its exit code, or 128 and the number of the signal that ended it.

  -T, --no-terminal  Bytes as they are, and errors apart from output; so it is where standard input or output is no terminal.
  -t, --terminal     A terminal all the same.
  --run RUN          Which of its active runs; the newest when left out.
  --url URL          Where a scheduler listens; $HORAE_URL, or http://127.0.0.1:8080 when left out.
  --token TOKEN      Sent as a bearer token; $HORAE_TOKEN when left out.`;

export type ExecCall = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly command: readonly string[] | undefined;
  readonly terminal: 'yes' | 'no' | 'as it is';
};

export function readExec(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Result<ExecCall> {
  const cut = argv.indexOf('--');
  const [before, command] = cut < 0 ? [argv, []] : [argv.slice(0, cut), argv.slice(cut + 1)];
  const long = before.map(word => short[word] ?? word);
  const read = readFlags(long, {
    values: ['--url', '--token', '--run'],
    switches: ['--terminal', '--no-terminal'],
  });
  if (!read.ok) return read;
  const { words, values, switches } = read.value;
  const problems: Problem[] = [];
  const refuse = (place: string, value: string, message: string, expected: string) =>
    problems.push({ place, value, message: `${message}: expected ${expected}`, expected });
  const [target = '', ...more] = words;
  const [role = '', environment = '', name = '', index, ...rest] = target.split('/');
  if ([role, environment, name].includes('') || rest.length > 0 || (index !== undefined && !/^\d{1,6}$/.test(index)))
    refuse('task', target, `"${target}" after "horae task exec"`, 'a task, as in: horae task exec www/prod/hello/0');
  if (more.length > 0)
    refuse(
      'task',
      more.join(' '),
      `"${more.join(' ')}" after the task`,
      `-- before a command, as in: -- ${more.join(' ')}`,
    );
  if (cut >= 0 && (command.length === 0 || command[0] === ''))
    refuse('--', '', '-- ends the line', 'a command after it, or neither');
  if (switches.size > 1) refuse('--terminal', '', '--terminal is given with --no-terminal', 'one of them');
  const base = values.get('--url') ?? env.HORAE_URL ?? 'http://127.0.0.1:8080';
  if (!/^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/.test(base))
    refuse('--url', base, `--url is ${base.slice(0, 100)}`, 'an address such as http://127.0.0.1:8080');
  if (problems.length > 0) return bad(...problems);
  const token = values.get('--token') ?? env.HORAE_TOKEN;
  const run = values.get('--run');
  const query = [
    ...(index === undefined ? [] : [`instance=${index}`]),
    ...(run === undefined ? [] : [`run=${encodeURIComponent(run)}`]),
  ].join('&');
  const path = [role, environment, name].map(encodeURIComponent).join('/');
  return good({
    url: `${base.replace(/\/+$/, '')}/api/v1/jobs/${path}/session${query === '' ? '' : `?${query}`}`,
    headers: (token === undefined ? {} : { authorization: `Bearer ${token}` }) as ExecCall['headers'],
    command: command.length === 0 ? undefined : command,
    terminal: switches.has('--terminal') ? 'yes' : switches.has('--no-terminal') ? 'no' : 'as it is',
  });
}

const short: Readonly<Record<string, string>> = { '-T': '--no-terminal', '-t': '--terminal' };
