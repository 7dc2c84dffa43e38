// sync.ts: `horae sync`: the line that asks for it, and what is printed of a plan and of what came of it.
//
// Pure. What is planned goes to standard output, what is wrong to standard error, each with its file and line, as compilers
// do it.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import type { Layout } from '../sync/dialect.ts';
import type { FieldChange } from '../sync/diff.ts';
import type { Finding, Plan, Step } from '../sync/plan.ts';
import type { Outcome } from '../sync/server.ts';
import { readFlags } from './flags.ts';

export const sync_usage = `Usage: horae sync DIR [FLAGS]

Makes a scheduler have the jobs that a directory says: one YAML file each, ROLE/ENVIRONMENT/NAME.yaml, or as chronos-sync kept
them, scheduled/NAME.yaml and dependent/NAME.yaml. What differs is shown field by field. See docs/sync.md.

  --plan            Only say what would be done; --dry-run is the same.
  --validate        Only read the files, without a scheduler.
  --init            The other way round: write the scheduler's jobs into DIR.
  --delete-missing  Also delete jobs that no file names. Asks first.
  --yes             Do not ask.
  --force           Send every job, whether it differs or not, and whoever changed it meanwhile; with --init, write over files.
  --strict          Send nothing while anything is wrong with any file.
  --role ROLE       Only jobs of this role; may be given several times. Left out: of every role that has a file in DIR.
  --layout LAYOUT   native or chronos, where the directory does not show it.
  --keep-disabled   With --init: jobs that are switched off say so in their files.
  --url URL         Where the scheduler listens; $HORAE_URL, or http://127.0.0.1:8080 when left out. A Chronos will do, too.
  --token TOKEN     Sent as a bearer token; $HORAE_TOKEN when left out.
  --http-auth U:P   User and password for HTTP Basic; $HORAE_HTTP_AUTH when left out.
  --timeout-s N     How long one answer may take, and how long is waited between tries, all together; 30 when left out.
  --json            Plan and outcomes as JSON.

Ends with 0 when there is nothing left to do, 2 when --plan found something to do, 1 when anything went wrong.`;

export type SyncRequest = {
  readonly dir: string;
  readonly what: 'apply' | 'plan' | 'validate' | 'init';
  readonly delete_missing: boolean;
  readonly yes: boolean;
  readonly force: boolean;
  readonly strict: boolean;
  readonly keep_disabled: boolean;
  readonly json: boolean;
  /** Empty: all. */
  readonly roles: readonly string[];
  readonly layout: Layout | undefined;
  /** Without a slash at its end. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeout_ms: number;
};

const flags = {
  values: ['--url', '--token', '--http-auth', '--layout', '--timeout-s'],
  switches: [
    '--plan',
    '--dry-run',
    '--validate',
    '--init',
    '--delete-missing',
    '--yes',
    '--force',
    '--strict',
    '--keep-disabled',
    '--json',
  ],
  lists: ['--role'],
};

export function readSync(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Result<SyncRequest> {
  const read = readFlags(argv, flags);
  if (!read.ok) return read;
  const { words, values, switches, lists } = read.value;
  const problems: Problem[] = [];
  const refuse = (place: string, value: string, message: string, expected: string) =>
    problems.push({ place, value, message: `${message}: expected ${expected}`, expected });
  const [dir = ''] = words;
  if (words.length !== 1 || dir === '')
    refuse('sync', words.join(' '), `"${words.join(' ')}" after "horae sync"`, 'one directory');
  const whats = (['--plan', '--validate', '--init'] as const).filter(
    each => switches.has(each) || (each === '--plan' && switches.has('--dry-run')),
  );
  if (whats.length > 1) refuse(whats[1]!, '', `${whats.join(' and ')} are given`, 'one of them');
  const what = ({ '--plan': 'plan', '--validate': 'validate', '--init': 'init' } as const)[whats[0] ?? '--plan'];
  for (const [flag, ...of] of [
    ['--delete-missing', 'apply', 'plan'],
    ['--force', 'apply', 'plan', 'init'],
    ['--keep-disabled', 'init'],
  ] as const) {
    const asked = whats.length === 0 ? 'apply' : what;
    if (switches.has(flag) && !of.some(each => each === asked))
      refuse(flag, asked, `${flag} with ${whats[0] ?? 'a sync'}`, flag === '--keep-disabled' ? '--init' : 'it without');
  }
  const layout = values.get('--layout');
  if (layout !== undefined && layout !== 'native' && layout !== 'chronos')
    refuse('--layout', layout, `--layout is ${layout.slice(0, 40)}`, 'native or chronos');
  const timeout = values.get('--timeout-s') ?? '30';
  if (!/^[1-9]\d{0,3}$/.test(timeout))
    refuse('--timeout-s', timeout, `--timeout-s is ${timeout.slice(0, 20)}`, '1-9999');
  const url = values.get('--url') ?? env.HORAE_URL ?? 'http://127.0.0.1:8080';
  if (/^https?:\/\/[^/?#]*@/.test(url))
    refuse(
      '--url',
      '',
      'there is a user in --url',
      'the address alone, and --http-auth USER:PASSWORD or $HORAE_HTTP_AUTH',
    );
  else if (!/^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/.test(url))
    refuse('--url', url, `--url is ${url.slice(0, 100)}`, 'an address such as http://127.0.0.1:8080');
  const token = values.get('--token') ?? (values.has('--http-auth') ? undefined : env.HORAE_TOKEN);
  const auth = values.get('--http-auth') ?? (token === undefined ? env.HORAE_HTTP_AUTH : undefined);
  if (auth !== undefined && !/^[^:]+:/.test(auth))
    refuse('--http-auth', '', '--http-auth is no such pair', 'USER:PASSWORD');
  if (token !== undefined && auth !== undefined)
    refuse('--token', '', 'both --token and --http-auth are given', 'one of them');
  if (problems.length > 0) return bad(...problems);
  const authorization =
    token !== undefined
      ? { authorization: `Bearer ${token}` }
      : auth !== undefined
        ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` }
        : ({} as Record<string, string>);
  return good({
    dir,
    what: whats.length === 0 ? 'apply' : what,
    delete_missing: switches.has('--delete-missing'),
    yes: switches.has('--yes'),
    force: switches.has('--force'),
    strict: switches.has('--strict'),
    keep_disabled: switches.has('--keep-disabled'),
    json: switches.has('--json'),
    roles: lists.get('--role') ?? [],
    layout: layout as Layout | undefined,
    url: url.replace(/\/+$/, '').replace(/(\/v1)?\/scheduler$/, ''),
    headers: authorization,
    timeout_ms: Number(timeout) * 1_000,
  });
}

// --- what is printed ----------------------------------------------------------------------------------------------------

/** `dependent/b.yaml:3:1: /cpus: ...`, as editors find it. */
export function printFinding(dir: string, { file, line, column, message }: Finding): string {
  const place = [file === '' ? dir : `${dir.replace(/\/+$/, '')}/${file}`, line, column].filter(
    each => each !== undefined,
  );
  return plain(`${place.join(':')}: ${message}`);
}

const signs = { create: '+', change: '~', delete: '-' } as const;

/** `whole`: also every field of what is new. */
export function printStep(step: Step, whole = true): string {
  const head = `${signs[step.kind]} ${step.name}${step.kind === 'delete' ? '' : `  (${step.wanted.file})`}`;
  if (step.kind === 'delete' || (step.kind === 'create' && !whole)) return plain(head);
  const lines = step.changes.map(change => `    ${printChange(change, step.kind)}`);
  if (step.kind === 'change' && lines.length === 0) lines.push('    no difference: sent because of --force');
  return [head, ...lines].map(plain).join('\n');
}

function printChange({ field, from, to }: FieldChange, kind: Step['kind']): string {
  const name = field.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
  if (kind === 'create') return `${name}: ${shown(to, 0)}`;
  const cut = typeof from === 'string' && typeof to === 'string' ? sharedOf(from, to) : 0;
  return `${name}: ${from === undefined ? '(none)' : shown(from, cut)} -> ${to === undefined ? '(none)' : shown(to, cut)}`;
}

const shown_max = 100;
/** Long texts are shown from where they begin to differ. */
function sharedOf(from: string, to: string): number {
  if (from.length <= shown_max && to.length <= shown_max) return 0;
  let at = 0;
  while (at < from.length && from[at] === to[at]) at++;
  return Math.max(0, at - 20);
}

function shown(value: unknown, from: number): string {
  const cut = typeof value === 'string' && from > 0 ? value.slice(from) : value;
  const text = JSON.stringify(cut) ?? '';
  const short = text.length > shown_max ? `${text.slice(0, shown_max)}...` : text;
  return from > 0 ? `...${short}` : short;
}

/** Nothing that a file or a server says moves the cursor of whoever reads it. */
export const plain = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '?');

export type Counts = Readonly<Record<'create' | 'change' | 'delete', number>>;

export function countsOf(steps: readonly Pick<Step, 'kind'>[]): Counts {
  const of = (kind: Step['kind']) => steps.filter(step => step.kind === kind).length;
  return { create: of('create'), change: of('change'), delete: of('delete') };
}

/** The last line of a plan. */
export function printPlanned({ steps, same, unnamed }: Plan): string {
  const { create, change, delete: gone } = countsOf(steps);
  const left =
    unnamed.length === 0 ? '' : `; ${unnamed.length} on the server that no file names (see --delete-missing)`;
  if (steps.length === 0) return `Nothing to do: ${same} as their files say${left}.`;
  const parts = [`${create} to create`, `${change} to change`, `${gone} to delete`, `${same} as their files say`];
  return `${parts.join(', ')}${left}.`;
}

const said = {
  create: 'created',
  change: 'changed',
  delete: 'deleted',
} as const;

export const printDone = (step: Step): string => plain(`${said[step.kind]} ${step.name}`);

/** What did not come about, for standard error. A document that was refused is told by its lines. */
export function printFailed(dir: string, step: Step, outcome: Exclude<Outcome, { type: 'done' }>): readonly string[] {
  const file = step.kind === 'delete' ? '' : step.wanted.file;
  const words = {
    conflict: `not ${step.kind === 'delete' ? 'deleted' : 'written'}, somebody was there meanwhile`,
    refused: 'refused',
    unknown: `it may have been ${step.kind === 'delete' ? 'deleted' : 'written'}, or not`,
    skipped: 'not tried',
  }[outcome.type];
  const whole = printFinding(dir, { file, message: `${step.name}: ${words}: ${outcome.message}`, expected: '' });
  if (outcome.type !== 'refused' || step.kind === 'delete') return [whole];
  const { placeOf } = step.wanted;
  return [
    whole,
    ...outcome.problems.map(({ place, message, expected }) =>
      printFinding(dir, {
        file,
        ...(place.startsWith('/') ? placeOf(place) : {}),
        message: `${place}: ${message}${message.includes(expected) ? '' : `: expected ${expected}`}`,
        expected,
      }),
    ),
  ];
}
