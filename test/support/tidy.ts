// tidy.ts: the rules of the house that text can show, as functions from files to complaints.
//
// Which folder may import what keeps the parts apart; which files are pure keeps them replayable. Both are easy to break
// by a line that works, so they are checked like anything else that can break. Files are read as text, a line at a time:
// no parser, so a rule may only look for what is plain to see.

import { basename, posix } from 'node:path';

export type SourceFile = { readonly path: string; readonly text: string };
/** `test/x.ts:12: what is there: what to do instead`. */
export type Complaint = string;

export const lines_max = 600;
export const line_length_max = 130;

/** Every rule, by name. */
export const rules: Readonly<Record<string, (file: SourceFile) => readonly Complaint[]>> = {
  'each folder imports only what it may': folders,
  'each package is imported only where it belongs': packages,
  'pure files import pure files only': pureImports,
  'pure files ask nobody for the time, for chance or for anything outside': pureCalls,
  'the time comes from a Clock everywhere': clocks,
  'only a program that talks to a person writes to the console': consoles,
  'every file begins by saying what it is': header,
  'files and lines stay short': lengths,
  'the compiler and the linter are not silenced, and nothing is left for later': leftovers,
  'tests wait for conditions, not for time': sleeps,
};

// --- what may import what -----------------------------------------------------------------------------------------

/** Folders by longest prefix; values are prefixes of what may be imported, `type:` for types alone. Itself always. */
const may_import: Readonly<Record<string, readonly string[]>> = {
  'schedules/': [],
  'mesos/': [
    'schedules/clock.ts',
    'schedules/backoff.ts',
    'schedules/problem.ts',
    'schedules/hash.ts',
    'schedules/book.ts',
    'transport/zookeeper/',
  ],
  // What a task of processes may say is checked at submission by the function that the executor reads it with.
  'actors/model/': [
    'schedules/',
    'type:mesos/',
    'mesos/executor/document.ts',
    'mesos/executor/health.ts',
    'mesos/executor/template.ts',
  ],
  'actors/': ['schedules/', 'mesos/', 'type:transport/', 'type:settings.ts'],
  'transport/': ['actors/model/', 'schedules/', 'type:settings.ts'],
  // They go out to agents in the executor's archive: nothing from npm, nothing of the scheduler's.
  'helpers/': ['schedules/clock.ts', 'schedules/backoff.ts', 'schedules/problem.ts', 'transport/cli/flags.ts'],
  'settings.ts': ['schedules/', 'transport/cli/'],
  'main.ts': [''],
  'programs/': [''],
  'bench/': [''],
  'test/': [''],
};
const nobody_imports = ['main.ts', 'programs/', 'bench/', 'test/'];

function folders({ path, text }: SourceFile): Complaint[] {
  const home = homeOf(path);
  if (home === undefined)
    return [
      `${path}:1: a source file outside the known folders: give it a place in ARCHITECTURE.md and a rule in tidy.ts`,
    ];
  return importsOf(text).flatMap(({ from, line, type_only }) => {
    const target = resolved(path, from);
    if (target === undefined || target.startsWith(home)) return [];
    const place = `${path}:${line}: `;
    if (!sameSide(home, target))
      return [
        `${place}imports ${target}: nothing that ships imports main.ts, bench/ or test/, and only main.ts programs/`,
      ];
    const allowed = may_import[home]!.some(entry =>
      entry.startsWith('type:') ? type_only && target.startsWith(entry.slice(5)) : target.startsWith(entry),
    );
    if (allowed) return [];
    if (may_import[home]!.some(entry => entry.startsWith('type:') && target.startsWith(entry.slice(5))))
      return [
        `${place}imports ${target}: ${home} knows only its types; use "import type" and take the object as an argument`,
      ];
    return [
      `${place}imports ${target}: ${home} may import ${[...may_import[home]!, 'itself'].join(', ')}; take it as an argument`,
    ];
  });
}

/** bench/ and test/ may import everything; nothing else may import them, nor main.ts. Programs are for main.ts alone. */
const sameSide = (home: string, target: string) =>
  !nobody_imports.some(hidden => target.startsWith(hidden)) ||
  ['bench/', 'test/'].includes(home) ||
  (home === 'main.ts' && target.startsWith('programs/'));

function homeOf(path: string): string | undefined {
  return Object.keys(may_import)
    .filter(prefix => path.startsWith(prefix))
    .sort((a, b) => b.length - a.length)[0];
}

/** Packages that have one home, so that they can be replaced there. Benchmarks and tests may measure against them. */
const package_homes: Readonly<Record<string, readonly string[]>> = {
  nact: ['actors/actor.ts', 'actors/address.ts', 'actors/runtime/'],
  luxon: ['schedules/'],
  re2js: ['mesos/constraints.ts'],
  lmdb: ['transport/journal/'],
  'cassandra-driver': ['transport/cassandra/'],
  'node-zookeeper-client': ['transport/zookeeper/'],
  ws: ['transport/'],
  'find-my-way': ['transport/http/'],
  'ical.js': ['transport/http/'],
  nodemailer: ['transport/notify/mail.ts'],
  msgpackr: ['transport/'],
  pino: ['programs/', 'transport/'],
  zod: ['actors/model/', 'transport/http/'],
  yaml: ['actors/model/', 'transport/'],
};

function packages({ path, text }: SourceFile): Complaint[] {
  if (isOutside(path)) return [];
  return importsOf(text).flatMap(({ from, line }) => {
    const name = Object.keys(package_homes).find(known => from === known || from.startsWith(`${known}/`));
    if (from.startsWith('.') || from.startsWith('node:')) return [];
    if (name === undefined) return [`${path}:${line}: imports the package ${from}: give it a home in tidy.ts`];
    if (package_homes[name]!.some(home => path.startsWith(home))) return [];
    return [
      `${path}:${line}: imports ${name}: it lives in ${package_homes[name]!.join(', ')}; go through what that offers`,
    ];
  });
}

// --- what is pure -------------------------------------------------------------------------------------------------

/** Files that talk to the world, with what they are for. Everything else in schedules/, mesos/, actors/ is pure. */
const shells: Readonly<Record<string, string>> = {
  'schedules/clock.ts': 'is the clock',
  'mesos/agent-files.ts': 'reads sandboxes over HTTP',
  'mesos/agent-sessions.ts': 'carries what is typed to agents, and back',
  'mesos/agent-usage.ts': 'asks agents what tasks use',
  'mesos/call-pipe.ts': 'a connection for calls',
  'mesos/doctor-visit.ts': 'asks masters and agents how they are',
  'mesos/http-get.ts': 'one question over HTTP',
  'mesos/http-link.ts': 'the HTTP connection with a master',
  'mesos/leader-watch.ts': 'asks ZooKeeper who leads the masters',
  'mesos/result-file.ts': 'reads what a task left in its sandbox',
  'mesos/subscription.ts': 'the long stream',
  'mesos/local/server.ts': 'serves HTTP',
  'mesos/local/agent': 'starts processes',
  'mesos/local/index.ts': 'puts a local Mesos together',
  'mesos/local/one-machine.ts': 'puts a local Mesos together',
  'mesos/local/dress.ts': 'hands a task its variables',
  'mesos/local/docker/attendant.ts': 'stands beside a container',
  'mesos/local/docker/containers.ts': 'sends attendants, and clears up',
  'mesos/local/docker/engine.ts': 'speaks with a Docker engine',
  'mesos/local/docker/secrets.ts': 'writes secrets where a container finds them',
  'mesos/local/docker/tenant.ts': 'gives a sandbox to whom a container runs as',
  'mesos/local/claims.ts': 'claims a task on disk before it may start',
  'mesos/local/work-dir.ts': 'keeps the agent id on disk',
  'mesos/local/wrapper': 'the shell around a task',
  'mesos/local/process': 'starts and watches processes',
  'mesos/local/fetch/': 'fetches and unpacks files',
  'mesos/local/executor-host.ts': 'writes down, starts and sends what is decided of executors',
  'mesos/local/executor-process.ts': 'starts and watches executors',
  'mesos/local/executor-server.ts': 'serves HTTP',
  'mesos/local/executor-token.ts': 'keeps a key on disk, and signs with it',
  'mesos/local/http-body.ts': 'reads from connections',
  'mesos/local/task-process.ts': 'starts a task',
  'mesos/local/limits/cgroups.ts': 'writes and reads what the kernel limits',
  'mesos/local/limits/disk-walk.ts': 'looks at files',
  'mesos/local/limits/process-table.ts': 'reads processes',
  'mesos/local/sessions/': 'runs commands in tasks',
  'mesos/local/limits/users.ts': 'asks who is who, and gives files away',
  'mesos/local/limits/warden.ts': 'looks at what containers use, and ends them',
  'mesos/local/secrets.ts': 'asks for secrets, and writes them into sandboxes',
  'mesos/local/removal.ts': 'removes what tasks left',
  'mesos/local/sandbox': 'reads and writes sandboxes',
  'mesos/local/checkpoint': 'writes what must survive',
  'mesos/executor/agent': 'the connection with the agent',
  'mesos/executor/archive.ts': 'packs files',
  'mesos/executor/attendant': 'performs what a task asks for',
  'mesos/executor/checkpoint': 'writes what must survive',
  'mesos/executor/checks': 'asks a task for its health',
  'mesos/executor/executor.ts': 'puts an executor together',
  'mesos/executor/logs': 'moves bytes from pipes to files',
  'mesos/executor/main.ts': 'a program of its own',
  'mesos/executor/porter': 'the shell around a process',
  'mesos/executor/runner': 'starts and watches processes',
  'mesos/executor/strays': 'finds and ends processes',
  'actors/runtime/': 'runs actors',
};

export function isPure(path: string): boolean {
  if (path.endsWith('.actor.ts')) return false;
  if (Object.keys(shells).some(prefix => path.startsWith(prefix))) return false;
  if (path === 'settings.ts' || /^transport\/cli\/.*\.ts$/.test(path)) return true;
  return /^(schedules|mesos|actors)\/.*\.ts$/.test(path);
}

/** Types are erased, so a pure file may speak of what it does not touch. */
function pureImports({ path, text }: SourceFile): Complaint[] {
  if (!isPure(path)) return [];
  return importsOf(text).flatMap(({ from, line, type_only }) => {
    if (type_only) return [];
    const place = `${path}:${line}: a pure file imports ${from}: `;
    if (from.startsWith('node:')) return [`${place}leave it to its shell, and take what it gives as an argument`];
    const target = resolved(path, from);
    if (target === undefined || isPure(target) || target === 'schedules/clock.ts') return [];
    return [`${place}import its types alone, and return an effect for it to perform`];
  });
}

const outside: readonly (readonly [RegExp, string])[] = [
  [/\bset(Timeout|Interval|Immediate)\(|\bqueueMicrotask\(/, 'ask a Clock to be woken, or return an effect'],
  [
    /(?<![.\w])process\.(env|argv|pid|cwd|exit|kill|on|once|std\w+|hrtime|nextTick|\w+Usage)\b|\bglobalThis\b/,
    'take what is needed as an argument',
  ],
  [/\bcrypto\.|\bfetch\(/, 'take what is needed as an argument'],
];

function pureCalls({ path, text }: SourceFile): Complaint[] {
  return isPure(path) ? matches(path, text, outside, 'in a pure file') : [];
}

const clock_readings: readonly (readonly [RegExp, string])[] = [
  [
    /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bprocess\.hrtime\b|\bDateTime\.(now|local|utc)\(\)/,
    'take an instant or a Clock as an argument',
  ],
  [/\bMath\.random\(/, 'take the number as an argument'],
];
/** Where time and chance come from. */
const sources_of_time: Readonly<Record<string, string>> = {
  'schedules/clock.ts': 'is the clock',
  'programs/scheduler.ts': 'throws the real dice',
  'transport/console/page/time.js': 'is the clock of a browser page, set by the scheduler',
  'bench/': 'measures the machine',
  'test/': 'measures the machine, and draws seeds that it prints',
};

function clocks({ path, text }: SourceFile): Complaint[] {
  if (Object.keys(sources_of_time).some(prefix => path.startsWith(prefix))) return [];
  return matches(path, text, clock_readings, '');
}

function consoles({ path, text }: SourceFile): Complaint[] {
  if (isOutside(path) || path === 'main.ts' || /^(programs|helpers|transport\/cli)\//.test(path)) return [];
  return matches(path, text, [[/\bconsole\.\w+\(/, 'log through the logger that was passed in']], '');
}

// --- how files look -----------------------------------------------------------------------------------------------

function header({ path, text }: SourceFile): Complaint[] {
  const [first, second] = text.split('\n');
  const line = first?.startsWith('#!') ? second : first;
  const begin = `// ${basename(path)}: `;
  if (line?.startsWith(begin) && line.length > begin.length) return [];
  return [`${path}:1: begins without its header: "${begin}what this file is, in a sentence", then the idea behind it`];
}

/** What cannot be broken without harm: a text alone on its line, and the rows of a table (which says why it is one). */
const is_text = /^\s*([\w-]+: )?(['"`]).*\2[,;)]*$/;
const is_table = /^\/\/ biome-ignore format: \S/m;

function lengths({ path, text }: SourceFile): Complaint[] {
  const lines = text.split('\n');
  const complaints: Complaint[] = [];
  const count = lines.length - (lines.at(-1) === '' ? 1 : 0);
  if (count > lines_max)
    complaints.push(
      `${path}:${lines_max}: ${count} lines: split it by what its parts are about (at most ${lines_max})`,
    );
  if (is_table.test(text)) return complaints;
  for (const [index, line] of lines.entries())
    if (line.length > line_length_max && !is_text.test(line))
      complaints.push(`${path}:${index + 1}: ${line.length} characters: break the line (at most ${line_length_max})`);
  return complaints;
}

// Put together from halves, so that this file does not complain of itself.
const banned: readonly (readonly [RegExp, string])[] = [
  [
    new RegExp(`\\b(${['FIX', 'ME|X', 'XX|HA', 'CK'].join('')})\\b`),
    'do it, or say in plain words what is missing and why',
  ],
  [new RegExp(`@ts-(ig${'nore'}|nocheck|expect-error)`), 'give the value its true type'],
  [new RegExp(`\\bas ${'any'}\\b|: ${'any'}\\b|<${'any'}>`), 'use unknown, and look before use'],
  [new RegExp(`biome-ig${'nore'}[^:]*(:\\s*(<.*)?)?$`), 'say the reason after a colon'],
  [new RegExp(`\\b(test|t)\\.on${'ly'}\\(`), 'run one file with: node test/run.ts NAME'],
];

function leftovers({ path, text }: SourceFile): Complaint[] {
  return matches(path, text, banned, '', true);
}

function sleeps({ path, text }: SourceFile): Complaint[] {
  if (!path.startsWith('test/') || path.startsWith('test/support/')) return [];
  const naps: readonly (readonly [RegExp, string])[] = [
    [
      /\btimers\/promises|\bsetTimeout\((resolve|done|r|f|finish),/,
      'wait for the condition itself (support/until.ts, a line, an event, a simulated clock)',
    ],
  ];
  return matches(path, text, naps, '');
}

// --- reading text -------------------------------------------------------------------------------------------------

type Import = { readonly from: string; readonly line: number; readonly type_only: boolean };

/** Static imports and re-exports, which may span lines, and `import('...')`. */
function importsOf(text: string): Import[] {
  const found: Import[] = [];
  const statements = /^(?:import|export)\s+(type\s)?(?:[^'"`;()=]*?\sfrom\s+)?'([^']+)'/gm;
  for (const match of text.matchAll(statements))
    found.push({ from: match[2]!, line: lineAt(text, match.index), type_only: match[1] !== undefined });
  for (const match of text.matchAll(/(typeof\s+)?\bimport\('([^']+)'\)/g))
    found.push({ from: match[2]!, line: lineAt(text, match.index), type_only: match[1] !== undefined });
  return found;
}

const lineAt = (text: string, index: number) => text.slice(0, index).split('\n').length;

/** The path in the repository that a relative import means. */
function resolved(path: string, from: string): string | undefined {
  return from.startsWith('.') ? posix.join(posix.dirname(path), from) : undefined;
}

const isOutside = (path: string) => path.startsWith('bench/') || path.startsWith('test/');

function matches(
  path: string,
  text: string,
  patterns: readonly (readonly [RegExp, string])[],
  where: string,
  with_comments = false,
): Complaint[] {
  return text.split('\n').flatMap((line, index) => {
    const looked_at = with_comments ? line : withoutComment(line);
    return patterns.flatMap(([pattern, instead]) => {
      const found = pattern.exec(looked_at)?.[0].trim();
      return found === undefined ? [] : [`${path}:${index + 1}: ${[`"${found}"`, where].join(' ').trim()}: ${instead}`];
    });
  });
}

/** Lines of prose begin with one of these in our format; a comment after code follows two slashes and a space. */
function withoutComment(line: string): string {
  return /^\s*(\/\/|\/\*|\*)/.test(line) ? '' : line.replace(/\s\/\/ .*$/, '');
}
