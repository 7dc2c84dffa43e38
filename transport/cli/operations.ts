// operations.ts: `horae log-level` and `horae debug bundle`: how much a node logs, and what it knows, for a bug report.
//
// Pure: a line becomes a request, an answer becomes lines. Each asks the node at --url, and no other.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { readFlags } from './flags.ts';

export const log_level_usage = `Usage: horae log-level [LEVEL] [MODULE=LEVEL ...] [FLAGS]

How much a scheduler logs; or have it log more or less, as a whole or by module. MODULE=default: as the whole.
It holds until it is changed again or that scheduler ends. Needs the role admin.

  --url URL      Where the scheduler listens; $HORAE_URL, or http://127.0.0.1:8080 when left out.
  --token TOKEN  Sent as a bearer token; $HORAE_TOKEN when left out.
  --json         The scheduler's own answer, as JSON.`;

export const debug_usage = `Usage: horae debug bundle [FLAGS]

What a scheduler knows of itself, for a bug report: versions, settings without what is secret in them, the last lines of
its log, counts, metrics, health, and how the doctor finds its Mesos, as text files in a .tar.gz. Needs the role admin.

  --out FILE     Where it is written, for you alone to read; horae-debug-INSTANT.tar.gz when left out. Not over another.
  --url URL      Where the scheduler listens; $HORAE_URL, or http://127.0.0.1:8080 when left out.
  --token TOKEN  Sent as a bearer token; $HORAE_TOKEN when left out.`;

type Environment = Readonly<Record<string, string | undefined>>;
type Headers = Readonly<Record<string, string>>;
export type LogLevelAsk = {
  readonly method: 'GET' | 'PUT';
  readonly url: string;
  readonly headers: Headers;
  readonly body?: string;
  readonly json: boolean;
};
export type DebugAsk = { readonly url: string; readonly headers: Headers; readonly out: string | undefined };

export function readLogLevel(argv: readonly string[], env: Environment): Result<LogLevelAsk> {
  const read = readFlags(argv, { values: ['--url', '--token'], switches: ['--json'] });
  if (!read.ok) return read;
  const { words, values, switches } = read.value;
  const where = serverOf(values, env);
  if (!where.ok) return where;
  let level: string | undefined;
  const modules: Record<string, string | null> = {};
  const problems: Problem[] = [];
  for (const word of words) {
    const [, module, own] = /^([a-z]+)=([a-z]+)$/.exec(word) ?? [];
    if (module !== undefined && own !== undefined) modules[module] = own === 'default' ? null : own;
    else if (level === undefined && /^[a-z]+$/.test(word)) level = word;
    else
      problems.push({
        place: word,
        value: word,
        message: `"${word.slice(0, 80)}" after "horae log-level": expected one level, and MODULE=LEVEL, as in: horae log-level info http=debug`,
        expected: 'a level, or MODULE=LEVEL',
      });
  }
  if (problems.length > 0) return bad(...problems);
  const changes = words.length > 0;
  const wish = { level, ...(Object.keys(modules).length === 0 ? {} : { modules }) };
  const { url, headers } = where.value;
  return good({
    method: changes ? 'PUT' : 'GET',
    url: `${url}/api/v1/log-level`,
    headers: changes ? { ...headers, 'content-type': 'application/json' } : headers,
    ...(changes ? { body: JSON.stringify(wish) } : {}),
    json: switches.has('--json'),
  });
}

export function readDebug(argv: readonly string[], env: Environment): Result<DebugAsk> {
  const read = readFlags(argv, { values: ['--url', '--token', '--out'], switches: [] });
  if (!read.ok) return read;
  const { words, values } = read.value;
  const where = serverOf(values, env);
  if (!where.ok) return where;
  if (words.length !== 1 || words[0] !== 'bundle') {
    const message = `"${words.join(' ').slice(0, 80)}" after "horae debug": expected "bundle", as in: horae debug bundle`;
    return bad({ place: 'debug', value: words.join(' '), message, expected: 'bundle' });
  }
  const { url, headers } = where.value;
  return good({ url: `${url}/api/v1/debug`, headers, out: values.get('--out') });
}

type Told = {
  readonly node: string;
  readonly level: string;
  readonly modules: Readonly<Record<string, string>>;
  readonly known_modules: readonly string[];
  readonly audited?: boolean;
};

export function printLogLevel(body: unknown): string {
  const { node, level, modules, known_modules, audited } = body as Told;
  const own = Object.entries(modules).map(([module, each]) => `${module}=${each}`);
  const lines = [`${node} logs at ${[level, ...own].join(' ')}`];
  if (audited === false) lines.push('its own log says who changed that; it could not be put on record');
  if (audited === undefined) lines.push(`modules: ${known_modules.join(' ')}`);
  return `${lines.join('\n')}\n`;
}

function serverOf(
  values: ReadonlyMap<string, string>,
  env: Environment,
): Result<{ readonly url: string; readonly headers: Headers }> {
  const base = values.get('--url') ?? env.HORAE_URL ?? 'http://127.0.0.1:8080';
  if (!/^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/.test(base)) {
    const expected = 'an address such as http://127.0.0.1:8080';
    return bad({
      place: '--url',
      value: base,
      message: `--url is ${base.slice(0, 100)}: expected ${expected}`,
      expected,
    });
  }
  const token = values.get('--token') ?? env.HORAE_TOKEN;
  const headers: Headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return good({ url: base.replace(/\/+$/, ''), headers });
}
