// task.ts: `horae task logs`, `horae task files`, `horae task cat`: looking into the tasks of a scheduler that runs somewhere.
//
// Pure: a line becomes a question, an answer becomes lines. Which run is meant is asked first where the line does not say it:
// the newest that lives, else the newest that is over.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { readFlags } from './flags.ts';

export const task_usage = `Usage: horae task logs [-f] ROLE/ENVIRONMENT/NAME[/INSTANCE] [FLAGS]
       horae task files ROLE/ENVIRONMENT/NAME[/INSTANCE] [FOLDER] [FLAGS]
       horae task cat ROLE/ENVIRONMENT/NAME[/INSTANCE] FILE [FLAGS]
       horae task exec ROLE/ENVIRONMENT/NAME[/INSTANCE] [FLAGS] [-- COMMAND...]: see horae task exec --help

What a task writes, what lies in its sandbox, and what is in a file of it, byte by byte. Instance 0 when none is named; of the
newest run that lives, else of the newest that is over.

  -f, --follow    Go on as the file grows, until the attempt is over (logs, cat).
  --stderr        Its stderr instead of its stdout (logs).
  --process NAME  Of one process of a task of several (logs).
  --tail BYTES    Begin at so many bytes from the end (logs, cat).
  --run RUN       Another run.
  --attempt N     Another attempt than the latest.
  --url URL       Where the scheduler listens; $HORAE_URL, or http://127.0.0.1:8080 when left out.
  --token TOKEN   Sent as a bearer token; $HORAE_TOKEN when left out.
  --json          The scheduler's own answer, as JSON (files).`;

export type TaskAsk = {
  readonly what: 'logs' | 'files' | 'cat';
  readonly job_url: string;
  readonly instance: number;
  /** undefined: the newest. */
  readonly run: string | undefined;
  /** What follows the run's address. */
  readonly rest: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly json: boolean;
};
type Environment = Readonly<Record<string, string | undefined>>;

const flags = {
  values: ['--url', '--token', '--run', '--attempt', '--process', '--tail'],
  switches: ['--json', '--follow', '--stderr'],
};

export function readTask(argv: readonly string[], env: Environment): Result<TaskAsk> {
  const read = readFlags(
    argv.map(word => (word === '-f' ? '--follow' : word)),
    flags,
  );
  if (!read.ok) return read;
  const { words, values, switches } = read.value;
  const problems: Problem[] = [];
  const refuse = (place: string, value: string, message: string, expected: string) =>
    problems.push({ place, value, message: `${message}: expected ${expected}`, expected });
  const [what = '', key = '', path, ...more] = words;
  const known = what === 'logs' || what === 'files' || what === 'cat';
  if (!known) refuse('task', what, `"${what}" after "horae task"`, 'logs, files, cat or exec');
  const parts = key.split('/');
  const instance = parts[3] ?? '0';
  if (parts.length < 3 || parts.length > 4 || parts.includes('') || !/^\d{1,6}$/.test(instance))
    refuse('task', key, `"${key}" after "horae task ${what}"`, 'a job or an instance of it, as in: www/prod/hello/0');
  if (known && (more.length > 0 || (path !== undefined && what === 'logs') || (path === undefined && what === 'cat')))
    refuse(
      'task',
      words.slice(2).join(' '),
      `"${words.slice(2).join(' ')}" after ${key}`,
      {
        logs: 'nothing',
        files: 'one folder, or nothing',
        cat: 'one file',
      }[what],
    );
  for (const flag of ['--attempt', '--tail']) {
    const value = values.get(flag);
    if (value !== undefined && !/^[1-9]\d{0,14}$/.test(value))
      refuse(flag, value, `${flag} is ${value.slice(0, 20)}`, 'a number from 1');
  }
  for (const [flag, ...of] of [
    ['--stderr', 'logs'],
    ['--process', 'logs'],
    ['--follow', 'logs', 'cat'],
    ['--tail', 'logs', 'cat'],
    ['--json', 'files'],
  ] as const)
    if (known && (switches.has(flag) || values.has(flag)) && !of.some(each => each === what))
      refuse(flag, what, `${flag} with "horae task ${what}"`, `it with ${of.join(' or ')}`);
  const base = values.get('--url') ?? env.HORAE_URL ?? 'http://127.0.0.1:8080';
  if (!/^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/.test(base))
    refuse('--url', base, `--url is ${base.slice(0, 100)}`, 'an address such as http://127.0.0.1:8080');
  if (problems.length > 0 || !known) return bad(...problems);
  const query = [
    ...(path === undefined ? [] : [`path=${encodeURIComponent(path)}`]),
    ...(values.has('--attempt') ? [`attempt=${values.get('--attempt')}`] : []),
    ...(values.has('--process') ? [`process=${encodeURIComponent(values.get('--process')!)}`] : []),
    ...(values.has('--tail') ? [`offset=-${values.get('--tail')}`] : []),
    ...(switches.has('--follow') ? ['follow=true'] : []),
  ].join('&');
  const place = {
    logs: `logs/${instance}/${switches.has('--stderr') ? 'stderr' : 'stdout'}`,
    files: `instances/${instance}/files`,
    cat: `instances/${instance}/files/content`,
  }[what];
  const token = values.get('--token') ?? env.HORAE_TOKEN;
  return good({
    what,
    job_url: `${base.replace(/\/+$/, '')}/api/v1/jobs/${parts.slice(0, 3).map(encodeURIComponent).join('/')}`,
    instance: Number(instance),
    run: values.get('--run'),
    rest: query === '' ? place : `${place}?${query}`,
    headers: (token === undefined ? {} : { authorization: `Bearer ${token}` }) as TaskAsk['headers'],
    json: switches.has('--json'),
  });
}

/** The newest run of a page of runs. */
export function newestRun(body: unknown): string | undefined {
  const { runs = [] } = (body ?? {}) as { readonly runs?: readonly { readonly run: string }[] };
  return runs[0]?.run;
}

type Entry = {
  readonly name: string;
  readonly kind: string;
  readonly mode: string;
  readonly size: number;
  readonly modified_at: string;
  readonly user: string;
};

/** A folder as `ls -l` shows it; what would move the cursor is shown as JSON writes it. */
export function printFiles(body: unknown): string {
  const { entries = [], next } = (body ?? {}) as { readonly entries?: readonly Entry[]; readonly next?: string };
  const lines = entries.map(({ name, kind, mode, size, modified_at, user }) => {
    const shown = /[\p{Cc}]/u.test(name) ? JSON.stringify(name) : name;
    return [mode, user, String(size), modified_at, `${shown}${kind === 'folder' ? '/' : ''}`];
  });
  const widths = [1, 2].map(column => Math.max(0, ...lines.map(line => line[column]!.length)));
  const text = lines.map(([mode = '', user = '', size = '', at = '', name = '']) =>
    [mode, user.padEnd(widths[0]!), size.padStart(widths[1]!), at, name].join('  '),
  );
  return [...text, ...(next === undefined ? [] : ['... and more']), ''].join('\n');
}
