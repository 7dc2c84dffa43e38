// chronos.ts: a directory as chronos-sync kept it: scheduled/NAME.yaml and dependent/NAME.yaml, one Chronos job each.
//
// Whether a file and a server agree is not seen by their texts: Chronos adds every default, moves a schedule on with each run,
// counts, and says twice what is fetched. So both sides are brought to one form first. What a file does not say is the default
// that Chronos has for it; where that is the server's own to choose, whatever the server has is right. Counters never count, and
// whether a job is disabled is left to people, unless its file says it.

import { approximateMs, parseDuration, printDuration } from '../../schedules/duration.ts';
import { nearest } from '../../schedules/nearest.ts';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { readChronos } from '../http/chronos/document.ts';
import { type ChronosRules, chronos_rules_default } from '../http/chronos/rules.ts';
import type { Check, Dialect, WrittenFile } from './dialect.ts';
import { differences, type FieldChange, type Fields, same } from './diff.ts';
import { yamlText } from './native.ts';
import type { Found, Wanted } from './plan.ts';

/** Which server is spoken to. Horae lists what it was given; Chronos what it made of that. */
export type ChronosServer = 'horae' | 'chronos';

/** What a file must say, as chronos-sync had it. */
const required = ['name', 'command', 'owner', 'cpus', 'disk', 'mem', 'runAsUser'] as const;
/** What no file can set. */
const volatile = [
  'successCount',
  'errorCount',
  'errorsSinceLastSuccess',
  'lastSuccess',
  'lastError',
  'invocationCount',
] as const;

type Kind = 'text' | 'number' | 'flag' | 'list';
/** Fields with the default that Chronos has for them; undefined: the server chooses. */
const known: Readonly<Record<string, readonly [Kind, unknown]>> = {
  command: ['text', ''],
  shell: ['flag', true],
  executor: ['text', ''],
  executorFlags: ['text', ''],
  taskInfoData: ['text', ''],
  retries: ['number', 2],
  owner: ['text', ''],
  ownerName: ['text', ''],
  description: ['text', ''],
  cpus: ['number', undefined],
  disk: ['number', undefined],
  mem: ['number', undefined],
  disabled: ['flag', false],
  softError: ['flag', false],
  dataProcessingJobType: ['flag', false],
  arguments: ['list', undefined],
  highPriority: ['flag', false],
  runAsUser: ['text', undefined],
  concurrent: ['flag', false],
  maxCompletionTime: ['number', 0],
  schedule: ['text', undefined],
  scheduleTimeZone: ['text', ''],
  epsilon: ['text', undefined],
  async: ['flag', false],
};
/** Read in ways of their own. */
const others = ['name', 'fetch', 'uris', 'environmentVariables', 'constraints', 'container', 'parents', 'dataJob'];
/** Where an empty value, or 0, says "whatever the server thinks right". */
const chosen = ['cpus', 'disk', 'mem', 'runAsUser', 'epsilon'];

export function chronosDialect(
  check: Check,
  server: ChronosServer = 'horae',
  rules: ChronosRules = chronos_rules_default,
): Dialect {
  return {
    layout: 'chronos',
    shape: 'scheduled/NAME.yaml or dependent/NAME.yaml',
    read(document, file) {
      const checked = readFile(document, file, rules, check);
      if (!checked.ok) return checked;
      const fields = checked.value;
      const sent = without(fields, volatile);
      return good({
        name: String(fields.name),
        parents: parentsOf(fields),
        fields: canonical(sent),
        document: sent,
      });
    },
    owns: (file, name) => stemsOf(name).includes(stemOf(file)),
    compare: (wanted, found) => compare(wanted, found, server),
    brandNew: ({ document }) => differences({}, without(document, ['name'])),
    replacement: ({ document }, found) => {
      const disabled =
        document.disabled !== undefined || found.fields.disabled !== true ? {} : ({ disabled: true } as const);
      // Chronos forgets what is not sent again. Horae counts for itself.
      const counted =
        server === 'horae'
          ? {}
          : Object.fromEntries(
              volatile.flatMap(each => (each in found.document ? [[each, found.document[each]]] : [])),
            );
      return { ...counted, ...document, ...disabled };
    },
    roleOf: () => undefined,
    write: (found, { source, keep_disabled }) => {
      const taken = new Set<string>();
      // Who is called as a file is comes before those whose names must be changed for one.
      const plain = (one: Found) => Number(stemsOf(one.name)[0] !== one.name);
      return [...found]
        .sort((a, b) => plain(a) - plain(b))
        .map((one): WrittenFile => {
          const folder = one.parents.length > 0 ? 'dependent' : 'scheduled';
          const stem = stemsOf(one.name).find(each => /^[^.]/.test(each) && !taken.has(`${folder}/${each}`)) ?? '';
          taken.add(`${folder}/${stem}`);
          const off = one.fields.disabled !== true ? '' : keep_disabled ? 'disabled: true\n' : switched_off;
          return {
            file: `${folder}/${stem}.yaml`,
            text: `# From ${source}\n${off}${yamlText(written(one.document))}`,
          };
        });
    },
  };
}

const switched_off = '# It was disabled when this was written; "disabled: true" would keep it so.\n';

/** A job of the server's list. */
export function foundChronos(listed: unknown): Found | undefined {
  const { name } = (listed ?? {}) as { name?: unknown };
  if (typeof listed !== 'object' || typeof name !== 'string' || name === '') return undefined;
  const document = listed as Fields;
  return { name, parents: parentsOf(document), fields: canonical(without(document, volatile)), document };
}

// --- files --------------------------------------------------------------------------------------------------------------

const stemOf = (file: string) => file.slice(file.lastIndexOf('/') + 1).replace(/\.ya?ml$/i, '');

/**
 * How the file of a job may be called. chronos-sync took what is before a slash away, and made "_" of whatever a file is not
 * called; where two jobs come to the same by that, percent signs keep them apart.
 */
function stemsOf(name: string): readonly [string, string] {
  const plain = name.replace(/^.*[\\/]/, '').replace(/[^0-9A-Za-z.-]/g, '_');
  const exact = name.replace(/^\.|[^0-9A-Za-z.-]/gu, char =>
    [...Buffer.from(char)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
  return [plain, exact];
}

function readFile(document: unknown, file: string, rules: ChronosRules, check: Check): Result<Fields> {
  if (document === null || typeof document !== 'object' || Array.isArray(document))
    return bad({ place: '', message: 'there is no job in it', expected: 'fields such as "name: hello"' });
  const fields = document as Fields;
  const problems: Problem[] = [];
  const wrong = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place, value, message, expected });
  const dependent = file.startsWith('dependent/');
  for (const field of [...required, dependent ? 'parents' : 'schedule'])
    if (fields[field] === undefined || fields[field] === null)
      wrong(`/${field}`, undefined, `"${field}" is missing`, `${field}, as in every file of this layout`);
  const [amiss, place] = dependent ? (['schedule', 'scheduled'] as const) : (['parents', 'dependent'] as const);
  if (fields[amiss] !== undefined && fields[amiss] !== null)
    wrong(
      `/${amiss}`,
      undefined,
      `there is "${amiss}" in it, and the file stands in ${file.split('/')[0]}/`,
      `${place}/`,
    );
  if ('<<' in fields) wrong('/<<', undefined, '"<<" merges nothing here', 'the fields themselves');
  const name = typeof fields.name === 'number' ? String(fields.name) : fields.name;
  if (typeof name === 'string' && name !== '' && !stemsOf(name).includes(stemOf(file)))
    wrong('/name', name, `it is of the job "${name}"`, `a file called ${stemsOf(name)[0]}.yaml`);
  if (problems.length > 0) return bad(...problems);
  const read = readChronos(without(fields, volatile), rules, dependent ? 'dependency' : 'iso8601');
  if (!read.ok) return read;
  const checked = check(read.value.job);
  if (checked.ok) return good(fields);
  return bad(
    ...checked.problems.map(each => ({
      ...each,
      place: each.place.startsWith('/constraints') ? each.place : '/schedule',
    })),
  );
}

/** Fields that Chronos never knew: they do nothing there, so they are most likely misspelt. */
export function unknownFields(document: Fields): readonly Problem[] {
  const names = [...Object.keys(known), ...others, ...volatile];
  return Object.keys(document)
    .filter(field => !names.includes(field))
    .map(field => {
      const near = nearest(field, names);
      const expected = near ?? 'a field of Chronos';
      return { place: `/${field}`, message: `Chronos has no field "${field}"`, expected };
    });
}

/** What is written down of a job: what a person might have said of it. */
function written(document: Fields): Fields {
  const { parents, uris: _uris, fetch, disabled: _, ...rest } = without(document, volatile);
  const kept = Object.fromEntries(
    Object.entries(rest).filter(([field, value]) => {
      const empty = value === null || (Array.isArray(value) && value.length === 0);
      const told = required.some(each => each === field) || known[field]?.[1] === undefined;
      return !empty && (told || !same(value, known[field]?.[1]));
    }),
  );
  const fetched = fetchOf(document);
  const entries: readonly unknown[] = Array.isArray(fetch) ? fetch : [];
  const named = new Set(entries.map(each => (each as Fields).uri));
  // Chronos refuses a job that says it twice; what `uris` can say, both of its generations understand.
  const simple = fetched.every(each => same(each, { uri: each.uri }));
  const brought =
    fetched.length === 0
      ? {}
      : simple
        ? { uris: fetched.map(each => each.uri).sort() }
        : { fetch: [...entries, ...fetched.filter(each => !named.has(each.uri)).map(({ uri }) => ({ uri }))] };
  if (!Array.isArray(parents) || parents.length === 0) return { ...kept, ...brought };
  const { schedule: _schedule, scheduleTimeZone: _zone, ...followed } = kept;
  return { ...followed, ...brought, parents: [...parents].sort() };
}

// --- one form -----------------------------------------------------------------------------------------------------------

function compare({ fields }: Wanted, found: Found, server: ChronosServer): readonly FieldChange[] {
  const before = { ...found.fields };
  const after = { ...fields };
  if (after.disabled === undefined || isOver(after, found)) {
    delete before.disabled;
    delete after.disabled;
  }
  // Horae lists an epsilon only where one was given.
  for (const field of chosen)
    if (after[field] === undefined && !(field === 'epsilon' && server === 'horae')) delete before[field];
  if (server === 'chronos') {
    // It lists what it knows, all of it; what it does not know it does not keep.
    for (const field of Object.keys(after))
      if (!(field in found.document) && !['fetch', 'container', 'parents', 'schedule'].includes(field))
        delete after[field];
    for (const field of Object.keys(before)) if (!(field in known) && !others.includes(field)) delete before[field];
    if (movedOn(String(after.schedule ?? ''), String(before.schedule ?? ''))) before.schedule = after.schedule;
  }
  const missing = Object.fromEntries(
    Object.keys({ ...before, ...after })
      .filter(field => known[field]?.[1] !== undefined && field !== 'disabled')
      .map(field => [field, known[field]![1]]),
  );
  return differences({ ...missing, ...before }, { ...missing, ...after });
}

/** A schedule that has run as often as it was to is told as disabled, and no file can change that. */
function isOver(after: Fields, { fields, document }: Found): boolean {
  const finite = /^R\d/.test(String(fields.schedule ?? ''));
  return after.disabled === false && fields.disabled === true && finite && Boolean(document.lastSuccess);
}

/** Chronos writes into the schedule itself how far it has come: whether the one can have become the other. */
export function movedOn(from: string, to: string): boolean {
  if (from === to) return true;
  const [one, other] = [from, to].map(text => text.split('/'));
  if (one?.length !== 3 || other?.length !== 3) return false;
  const [before, after] = [one, other].map(parts => /^R(-?\d*)$/.exec(parts[0]!)?.[1]);
  if (before === undefined || after === undefined || (before === '') !== (after === '')) return false;
  if (before !== '' && Number(after) > Number(before)) return false;
  const periods = [one[2]!, other[2]!].map(text => parseDuration(text, '', true));
  const [period, its] = periods.map(read => (read.ok ? approximateMs(read.value) : undefined));
  if (period === undefined || period !== its) return false;
  // Instants that are written with their offset can be compared; of others Chronos's own zone would have to be known.
  const absolute = /(?:Z|[+-]\d\d:?\d\d)$/;
  const [start, reached] = [one[1]!, other[1]!].map(text => (absolute.test(text) ? Date.parse(text) : Number.NaN));
  return !(start! > reached!);
}

/** Every field that differs from what Chronos takes for granted, in one spelling. */
function canonical(document: Fields): Fields {
  const { name: _, dataJob, ...given } = document;
  const fields: Record<string, unknown> = {};
  for (const [field, value] of Object.entries({
    ...(dataJob === undefined ? {} : { dataProcessingJobType: dataJob }),
    ...given,
  })) {
    if (value === null || value === undefined || others.includes(field)) continue;
    const spec = known[field];
    const read = spec === undefined ? value : spelled(value, spec[0]);
    if (chosen.includes(field) && (read === '' || read === 0)) continue;
    if (Array.isArray(read) && read.length === 0) continue;
    if (spec === undefined || field === 'disabled' || spec[1] === undefined || !same(read, spec[1]))
      fields[field] = field === 'epsilon' ? periodOf(String(read)) : read;
  }
  const parents = [...new Set(parentsOf(document))].sort();
  if (parents.length > 0) {
    fields.parents = parents;
    delete fields.schedule;
    delete fields.scheduleTimeZone;
  }
  const fetched = fetchOf(document);
  if (fetched.length > 0) fields.fetch = fetched;
  const env = environmentOf(document.environmentVariables);
  if (Object.keys(env).length > 0) fields.environmentVariables = env;
  const { constraints, container } = document;
  if (Array.isArray(constraints) && constraints.length > 0)
    fields.constraints = constraints.map(each =>
      Array.isArray(each) ? each.map((part, index) => (index === 1 ? String(part).toUpperCase() : String(part))) : each,
    );
  if (typeof container === 'object' && container !== null && (container as Fields).image)
    fields.container = lean(container);
  return fields;
}

function spelled(value: unknown, kind: Kind): unknown {
  if (kind === 'text') return String(value);
  if (kind === 'number') return Number(value);
  if (kind === 'flag') return value === true || value === 'true';
  return Array.isArray(value) ? value.map(String) : value;
}

/** Equal periods are equal, however they are written. */
function periodOf(text: string): string {
  const read = parseDuration(text, '', true);
  return read.ok ? printDuration(read.value) : text;
}

function parentsOf({ parents }: Fields): readonly string[] {
  return Array.isArray(parents) ? parents.map(String) : [];
}

type FetchedFile = Fields & { readonly uri: string };

/** What is fetched, said once, without defaults, in an order of its own: it all is there before the task begins. */
function fetchOf({ fetch, uris }: Fields): readonly FetchedFile[] {
  const entries = (Array.isArray(fetch) ? fetch : []).map(each => (typeof each === 'string' ? { uri: each } : each));
  const said = new Set(entries.map(each => (each as Fields | null)?.uri));
  const more = (Array.isArray(uris) ? uris : []).filter(uri => !said.has(uri)).map(uri => ({ uri }));
  return [...entries, ...more]
    .map(each => {
      const { uri, extract, executable, cache, output_file } = each as Fields;
      const is = (value: unknown) => value === true || value === 'true';
      return {
        uri: String(uri),
        ...(extract === undefined || extract === null || is(extract) ? {} : { extract: false }),
        ...(is(executable) ? { executable: true } : {}),
        ...(is(cache) ? { cache: true } : {}),
        ...(output_file ? { output_file } : {}),
      };
    })
    .sort((a, b) => (a.uri < b.uri ? -1 : a.uri > b.uri ? 1 : 0));
}

/** What Chronos sets for every task, whatever the job says. */
const built_in = /^CHRONOS_(?:JOB_NAME|JOB_OWNER|RESOURCE_CPU|RESOURCE_MEM|RESOURCE_DISK)$/;

function environmentOf(value: unknown): Fields {
  if (!Array.isArray(value)) return {};
  const entries = value.map(each => each as { name?: unknown; value?: unknown } | null);
  return Object.fromEntries(
    entries
      .filter(each => !built_in.test(String(each?.name)))
      .map(each => [String(each?.name), each?.value === undefined || each.value === null ? '' : String(each.value)]),
  );
}

const container_defaults: Fields = { type: 'DOCKER', network: 'HOST', mode: 'RW', protocol: 'IPv4' };

/** Without what is empty, off or the default; numbers and texts that say the same are the same. */
function lean(value: unknown, field = ''): unknown {
  if (Array.isArray(value)) return value.map(each => lean(each));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value)
        .map(([name, each]) => [name, lean(each, name)] as const)
        .filter(([name, each]) => {
          if (each === null || each === '' || each === 'false' || (Array.isArray(each) && each.length === 0))
            return false;
          return container_defaults[name] !== each;
        }),
    );
  return value === null ? null : field === 'type' ? String(value).toUpperCase() : String(value);
}

const without = (fields: Fields, names: readonly string[]): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
