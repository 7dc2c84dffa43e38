// arguments.ts: what a line typed after `horae` asks for.
//
// The first word is a command, the rest belongs to it. Asking for help is possible anywhere, and a slip of the fingers
// is answered with the command that was probably meant.

import { nearest } from '../../schedules/nearest.ts';
import { bad, good, type Result } from '../../schedules/problem.ts';

/** Every command, with its line in the help. `takes` tells what follows it. */
export const commands = {
  dev: { takes: 'settings', help: 'Run the scheduler and a one-machine Mesos here: REST, console, real processes.' },
  mesos: {
    takes: 'words',
    help: 'Run a small Mesos by itself, with real or simulated agents: for trials, tests, benchmarks.',
  },
  serve: {
    takes: 'settings',
    help: 'Run the scheduler on a Mesos cluster: horae serve --mesos zk://h1:2181,h2:2181/mesos.',
  },
  doctor: {
    takes: 'words',
    help: 'Look at a Mesos cluster, and say what is well there and what is not: horae doctor --mesos URL.',
  },
  'hash-password': {
    takes: 'nothing',
    help: 'Read a password from standard input and print what stands for it in a credentials file.',
  },
  schedule: {
    takes: 'words',
    help: 'Tell what a schedule will do: horae schedule explain "@daily" --zone Europe/Vienna.',
  },
  outcomes: { takes: 'words', help: 'Tell what became of the targets of a job: horae outcomes www/prod/hello.' },
  missed: { takes: 'words', help: 'Tell which targets nobody ran, across all jobs.' },
  task: {
    takes: 'words',
    help: 'Look into a task: its output, the files of its sandbox, or a shell in it: horae task exec www/prod/hello/0.',
  },
  sync: {
    takes: 'words',
    help: 'Make a scheduler have the jobs that a directory of files says, and show what differs: horae sync DIR --plan.',
  },
  leader: {
    takes: 'words',
    help: 'Tell which node of a cluster leads, or have another one lead: horae leader transfer --to ID.',
  },
  'log-level': {
    takes: 'words',
    help: 'Tell how much a scheduler logs, or have it log more or less: horae log-level info http=debug.',
  },
  debug: {
    takes: 'words',
    help: 'Pack what a scheduler knows of itself, without secrets, for a bug report: horae debug bundle.',
  },
  'url-runner': {
    takes: 'words',
    help: 'Within a task: download a program once for all tasks of this machine, and become it.',
  },
  async: {
    takes: 'words',
    help: 'Within a task of an async job: run a command, and report how it ended: horae async -- CMD ARGS.',
  },
  'remote-run': {
    takes: 'words',
    help: 'Run a command on another machine over ssh, once, however often the connection breaks.',
  },
  help: { takes: 'nothing', help: 'Print the commands and every setting.' },
  version: { takes: 'nothing', help: 'Print the version.' },
} as const;
export type Command = keyof typeof commands;

/** `argv` is what remains for the command: for `dev` the flags that `readSettings` reads, for others words of their own. */
export type Request = { readonly command: Command; readonly argv: readonly string[] };

/** Reads `process.argv.slice(2)`. A line without a command asks for help. */
export function parseArguments(argv: readonly string[]): Result<Request> {
  const [first, ...rest] = argv;
  if (first === undefined || (asksHelp(argv) && takesOf(first) !== 'words')) return good({ command: 'help', argv: [] });
  if (first === '--version' || first === '-v') return good({ command: 'version', argv: [] });
  const names = Object.keys(commands);
  const command = names.find((name): name is Command => name === first);
  if (command === undefined) {
    const near = nearest(first, names);
    const hint = near === undefined ? `expected one of ${names.join(', ')}` : `did you mean "${near}"?`;
    const message = first.startsWith('-')
      ? `"${first}" stands where a command should: expected it after one, as in: horae dev ${argv.join(' ')}`
      : `unknown command "${first}": ${hint}`;
    return bad({ place: first, value: first, message, expected: near ?? names.join(', ') });
  }
  if (command !== 'help' && commands[command].takes === 'nothing' && rest.length > 0)
    return bad({
      place: rest[0]!,
      value: rest[0],
      message: `"${rest[0]}" after "horae ${command}": expected nothing`,
      expected: 'nothing',
    });
  return good({ command, argv: rest });
}

/** The text of `horae --help`. `settings_help` is the list of settings, which lies outside this folder. */
export function usage(settings_help: string): string {
  const width = Math.max(...Object.keys(commands).map(name => name.length));
  const list = Object.entries(commands).map(([name, { help }]) => `  ${name.padEnd(width)}  ${help}`);
  return ['Usage: horae COMMAND [SETTINGS]', '', 'Commands:', ...list, '', settings_help].join('\n');
}

/** A command with words of its own has a help of its own too. */
const takesOf = (name: string): string | undefined =>
  Object.entries(commands).find(([each]) => each === name)?.[1].takes;

/** `--help` or `-h` as a word of its own; after `--flag=` it would be part of that word. */
export function asksHelp(argv: readonly string[]): boolean {
  return argv.includes('--help') || argv.includes('-h');
}
