// document.ts: Chronos's job documents, translated. Pure: a document in, a job or problems out, and back.
//
// People come to Horae with files full of Chronos jobs and programs that post them. So their dialect is read as leniently
// as Chronos read it (numbers in quotes, fields it never knew), and what was posted is kept and given back as it was,
// with today's counters in it. What Chronos accepted and then did wrong is refused instead: a null, an unknown time zone.
//
// Chronos's names are flat and richer in letters than a job key: they live under chronos/default/, other characters
// percent-encoded.

import { type CustomExecutor, word_length_max, words_max } from '../../../actors/model/command-line.ts';
import { portsOfContainer } from '../../../actors/model/container.ts';
import type { JobKey } from '../../../actors/model/ids.ts';
import { identifier, jobKey, parseJobKey } from '../../../actors/model/ids.ts';
import type { Job } from '../../../actors/model/job.ts';
import { parents_max } from '../../../actors/model/parents.ts';
import type { JobView } from '../../../actors/model/views.ts';
import { approximateMs, parseDuration } from '../../../schedules/duration.ts';
import { overlapOfChronos } from '../../../schedules/overlap.ts';
import { bad, good, type Problem, type Result } from '../../../schedules/problem.ts';
import { readChronosContainer } from './container.ts';
import { fetchOfChronos } from './fetch.ts';
import { type ChronosRules, chronos_rules_default } from './rules.ts';

export const chronos_role = 'chronos';
export const chronos_environment = 'default';
/** Name, environment and role of a job key may have 180 bytes together. */
const name_bytes_max = 120;
const completion_s_max = 31_622_400;
const name_allowed = /^[\w.\-\s#]+$/;

export type ChronosDocument = Readonly<Record<string, unknown>>;

/** The job key that a Chronos name has; undefined for a name that no job can have. */
export function chronosKey(name: string): JobKey | undefined {
  const encoded = encodeName(name);
  const usable = identifier.test(encoded) && Buffer.byteLength(encoded) <= name_bytes_max;
  return usable ? jobKey(chronos_role, chronos_environment, encoded) : undefined;
}

/** A key must begin with a letter, a digit or "_": `_` before what does not, and for a "_" that could be taken for that. */
function encodeName(name: string): string {
  return [...name]
    .map((char, index) => (/[A-Za-z0-9_]/.test(char) || (index > 0 && /[.-]/.test(char)) ? char : percent(char)))
    .join('')
    .replace(/^_%/, '_%5F%')
    .replace(/^%/, '_%');
}
const percent = (char: string) =>
  [...Buffer.from(char)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

// --- in -----------------------------------------------------------------------------------------------------------------

/** The name by which Chronos's clients know a job: of another role or environment its whole key. */
export function chronosName(key: JobKey): string {
  const prefix = `${chronos_role}/${chronos_environment}/`;
  if (!key.startsWith(prefix)) return key;
  const encoded = key.slice(prefix.length).replace(/^_(?=%)/, '');
  try {
    return decodeURIComponent(encoded);
  } catch {
    return key; // By Horae's own API a job may be called chronos/default/100%: no name of Chronos's.
  }
}

/**
 * A document posted to `iso8601` or, with parents, to `dependency`, as a job of ours and as what will be given back.
 * `rules.generation` says whose rules hold. 3: no run is dropped, misses collapse into one late run, a count counts launches.
 * 2: a target runs within epsilon or is missed, a count counts targets, a run that finds another one active is dropped.
 */
export function readChronos(
  input: unknown,
  rules: ChronosRules = chronos_rules_default,
  route: 'iso8601' | 'dependency' = 'iso8601',
): Result<{ readonly job: Job; readonly document: ChronosDocument }> {
  if (input === null || typeof input !== 'object' || Array.isArray(input))
    return bad({ place: '', message: 'the body is not a job', expected: 'a JSON object' });
  const { generation } = rules;
  const posted = input as ChronosDocument;
  const problems: Problem[] = [];
  const wrong = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place, value: brief(value), message, expected });
  for (const place of nullsIn(posted))
    wrong(
      place,
      null,
      `"${place.slice(1)}" is null`,
      'a value, or the field left out: Chronos took null for a text or a 0',
    );
  if (problems.length > 0) return bad(...problems);
  const { fetch, command: program } = fetchOfChronos(posted, wrong);
  // A command that is an address was run by the name of what it brought, whatever else the document said of it.
  const document = program === undefined ? posted : { ...posted, command: program, shell: true, arguments: [] };
  const read = reader(document, wrong);

  const name = read.text('name', '');
  const key = chronosKey(name);
  if (name === '') wrong('/name', document.name, "the job's name is missing", 'a name');
  else if (!name_allowed.test(name) || key === undefined)
    wrong(
      '/name',
      name,
      "the job's name is invalid",
      `letters, digits, "_", ".", "-", "#" and spaces, at most ${name_bytes_max} bytes when encoded`,
    );
  const dependent = route === 'dependency';
  const parents = parentsOf(document.parents, dependent, wrong);
  // Beside parents Chronos passed a schedule over.
  // Without one generation 3 ran the job at once, and once.
  const schedule = dependent ? '' : read.text('schedule', generation === 3 ? 'R1//PT24H' : '');
  if (schedule === '' && !dependent)
    wrong('/schedule', document.schedule, 'the schedule is missing', 'R<count>/<start>/<period>, e.g. R//PT1H');
  // Chronos took it for that time on the first day of 1970, and so ran the job at once.
  if (/^R\d*\/T/.test(schedule))
    wrong('/schedule', schedule, `Cannot parse schedule '${schedule}': its start has no date`, 'a date before the "T"');
  const shell = read.flag('shell', true);
  const words = argumentsOf(document, wrong);
  const container = readChronosContainer(
    document.container,
    { command: read.text('command', ''), shell, arguments: words },
    wrong,
  );
  const executor = executorOf(read, name, wrong);
  const command = commandOf(read, wrong);
  if (executor !== undefined && container !== undefined)
    wrong('/executor', document.executor, 'an executor of its own cannot be put into a container', 'one of them');
  if (command === '' && container === undefined && executor === undefined)
    wrong('/command', document.command, 'there is nothing to run', 'a command');
  const retries = Math.floor(read.number('retries', 2));
  if (retries < 0 || retries > 10_000) wrong('/retries', retries, `retries ${retries}`, 'from 0 to 10000');
  const zone = read.text('scheduleTimeZone', '');
  const epsilon_ms = epsilonOf(read.text('epsilon', ''), rules, wrong);
  const constraints = constraintsOf(document.constraints, wrong);
  const env = environmentOf(document.environmentVariables, wrong);
  const resource = (field: 'cpus' | 'mem' | 'disk', max: number) => {
    const given = read.number(field, 0);
    if (given < 0 || given > max) wrong(`/${field}`, given, `${field} is ${given}`, `from 0 (the default) to ${max}`);
    // Chronos took 0 for "whatever you think right".
    return given === 0 ? rules[field] : given;
  };
  const cpus = resource('cpus', 100_000);
  const mem = resource('mem', 1_000_000_000);
  const disk = resource('disk', 1_000_000_000);
  const description = read.text('description', '');
  const owner = read.text('owner', '');
  const concurrent = read.flag('concurrent', false);
  const disabled = read.flag('disabled', false);
  const high = read.flag('highPriority', false);
  const soft_error = read.flag('softError', false);
  const user = read.text('runAsUser', '');
  if (!/^(?:[^\s:/\0-][^\s:/\0]{0,255})?$/.test(user))
    wrong('/runAsUser', user, `runAsUser is "${user}"`, 'the name of a user of the agents');
  // Read for their types alone: what they mean is not for this route to do, but rubbish in them is rubbish.
  for (const field of ['dataProcessingJobType', 'dataJob']) read.flag(field, false);
  const called_back = read.flag('async', false);
  const completion_s = read.number('maxCompletionTime', 0);
  if (!(completion_s >= 0 && completion_s <= completion_s_max))
    wrong(
      '/maxCompletionTime',
      completion_s,
      `maxCompletionTime ${completion_s}`,
      `seconds, up to ${completion_s_max}; 0: none`,
    );
  if (problems.length > 0) return bad(...problems);

  const job: Job = {
    role: chronos_role,
    environment: chronos_environment,
    name: key!.slice(key!.lastIndexOf('/') + 1),
    ...(description === '' ? {} : { description }),
    ...(owner === '' ? {} : { owner }),
    ...(command === '' ? {} : { command }),
    ...(executor === undefined ? {} : { executor }),
    ...(container?.shell === false || executor !== undefined || words.length === 0 ? {} : { arguments: words }),
    ...(container !== undefined || executor !== undefined || shell ? {} : { shell: false }),
    variables: 'chronos',
    ...(container === undefined ? {} : { container }),
    ...(fetch.length === 0 ? {} : { fetch }),
    ...(user === '' ? {} : { user }),
    service: false,
    instances: 1,
    cpus,
    mem,
    disk,
    ports: container === undefined ? [] : [...new Set(portsOfContainer(container))],
    env: { ...env, ...builtIns({ name, owner, cpus, mem, disk }) },
    schedules: dependent ? [] : [{ id: 's0', iso8601: schedule, ...(zone === '' ? {} : { zone }), dialect: 'chronos' }],
    ...(dependent ? { parents, join: 'latest' } : {}),
    ...(soft_error ? { soft_error } : {}),
    enabled: !disabled,
    max_task_failures: retries + 1,
    // Always as long as the first time.
    retry: { delay_ms: rules.retry_delay_ms, factor: 1 },
    ...(completion_s === 0 ? {} : { timeouts: { run_ms: Math.ceil(completion_s * 1_000) } }),
    ...(called_back ? { async: true } : {}),
    overlap: overlapOf(concurrent, generation),
    catch_up:
      generation === 3 ? { policy: 'last', from: 'start' } : { policy: 'all', window_ms: epsilon_ms, from: 'start' },
    ...(rules.disable_after_failures === 0 ? {} : { pause_on_failure: rules.disable_after_failures }),
    count: generation === 3 ? 'launches' : 'targets',
    priority: high ? 1 : 0,
    constraints,
    kill_grace_ms: 3_000,
    labels: {},
  };
  return good({ job, document: posted });
}

/** The places of nulls, however deep. */
function nullsIn(value: unknown, place = ''): readonly string[] {
  if (value === null) return [place];
  if (typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, each]) => nullsIn(each, `${place}/${name}`));
}

/** Parents by name, as keys. */
function parentsOf(value: unknown, dependent: boolean, wrong: Wrong): readonly JobKey[] {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) {
    if (dependent) wrong('/parents', value, 'there are no parents', 'the names of the jobs that it follows');
    return [];
  }
  if (!dependent) {
    wrong('/parents', value, 'this route takes jobs with a schedule', 'no parents; or the route dependency');
    return [];
  }
  if (!Array.isArray(value)) {
    wrong('/parents', value, '"parents" is not a list', 'a list of names');
    return [];
  }
  // A name stands once however often it is said: Chronos kept a set.
  const keys = new Set<JobKey>();
  for (const [index, each] of value.entries()) {
    const name = typeof each === 'string' ? each : '';
    const key = parseJobKey(name).ok ? name : name_allowed.test(name) ? chronosKey(name) : undefined;
    if (key === undefined) wrong(`/parents/${index}`, each, "a parent's name is invalid", 'the name of a job');
    else keys.add(key);
  }
  if (keys.size > parents_max) wrong('/parents', keys.size, `${keys.size} parents`, `at most ${parents_max}`);
  return [...keys];
}

/** A run that is due while another is active: kept for when that one ends (once), or dropped; or let run beside it. */
function overlapOf(concurrent: boolean, generation: 2 | 3): Job['overlap'] {
  const { policy } = overlapOfChronos(concurrent, generation, runs_unlimited);
  return { policy: policy === 'allow' ? 'allow' : policy === 'buffer_one' ? 'buffer-one' : 'skip' };
}
/** The scheduler's own limit holds instead. */
const runs_unlimited = Number.MAX_SAFE_INTEGER;

/** Generation 3 read the field and did nothing with it; so do we, so rubbish in it was no mistake there. */
function epsilonOf(text: string, { generation, epsilon_ms }: ChronosRules, wrong: Wrong): number {
  if (text === '') return epsilon_ms;
  const read = parseDuration(text, '/epsilon', true);
  if (read.ok) return approximateMs(read.value);
  if (generation === 2)
    wrong('/epsilon', text, read.problems[0]?.message ?? 'epsilon cannot be read', 'a period such as PT15M');
  return epsilon_ms;
}

type Wrong = (place: string, value: unknown, message: string, expected: string) => void;
type Reader = ReturnType<typeof reader>;

/** Fields as Chronos's JSON library took them: numbers and flags may stand in quotes, an absent one has its default. */
function reader(document: ChronosDocument, wrong: Wrong) {
  const given = (field: string) => (document[field] === null ? undefined : document[field]);
  return {
    text(field: string, fallback: string): string {
      const value = given(field);
      if (value === undefined) return fallback;
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
      wrong(`/${field}`, value, `"${field}" is not a text`, 'a string');
      return fallback;
    },
    number(field: string, fallback: number): number {
      const value = given(field);
      if (value === undefined) return fallback;
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
      if (typeof number === 'number' && Number.isFinite(number)) return number;
      wrong(`/${field}`, value, `"${field}" is ${JSON.stringify(brief(value))}`, 'a number');
      return fallback;
    },
    flag(field: string, fallback: boolean): boolean {
      const value = given(field);
      if (value === undefined) return fallback;
      if (value === true || value === 'true') return true;
      if (value === false || value === 'false') return false;
      wrong(`/${field}`, value, `"${field}" is ${JSON.stringify(brief(value))}`, 'true or false');
      return fallback;
    },
  };
}

function commandOf(read: Reader, wrong: Wrong): string {
  const command = read.text('command', '');
  if (command.length > 65_536) wrong('/command', command, 'the command is too long', 'at most 65536 characters');
  return command;
}

/** An executor of the job's own is told `taskInfoData`, or the flags and the command. */
function executorOf(read: Reader, name: string, wrong: Wrong): CustomExecutor | undefined {
  const command = read.text('executor', '');
  if (command === '') return undefined;
  const data = read.text('taskInfoData', '') || `${read.text('executorFlags', '')}|${read.text('command', '')}`;
  for (const [field, text] of Object.entries({ executor: command, taskInfoData: data }))
    if (text.length > 65_536) wrong(`/${field}`, text, `${field} is too long`, 'at most 65536 characters');
  // Mesos takes neither spaces nor "/" in an id.
  return { id: encodeName(name), command, data };
}

/** Variables that Chronos set for every task, and that a job could not set otherwise. Those of one task come with it. */
function builtIns(job: {
  name: string;
  owner: string;
  cpus: number;
  mem: number;
  disk: number;
}): Record<string, string> {
  const decimal = (value: number) => (Number.isInteger(value) ? `${value}.0` : String(value));
  return {
    CHRONOS_JOB_NAME: job.name,
    CHRONOS_JOB_OWNER: job.owner,
    CHRONOS_RESOURCE_CPU: decimal(job.cpus),
    CHRONOS_RESOURCE_MEM: decimal(job.mem),
    CHRONOS_RESOURCE_DISK: decimal(job.disk),
  };
}

/** Whatever a job says these are, Chronos says otherwise. */
const built_in: ReadonlySet<string> = new Set(Object.keys(builtIns({ name: '', owner: '', cpus: 0, mem: 0, disk: 0 })));

function argumentsOf({ arguments: words }: ChronosDocument, wrong: Wrong): readonly string[] {
  if (words === undefined || words === null) return [];
  if (!Array.isArray(words)) {
    wrong('/arguments', words, '"arguments" is not a list', 'a list of strings');
    return [];
  }
  const texts = words.map(String);
  if (texts.length > words_max || texts.some(word => word.length > word_length_max))
    wrong('/arguments', words, 'too many arguments, or too long ones', `${words_max} of ${word_length_max} characters`);
  return texts;
}

function environmentOf(value: unknown, wrong: Wrong): Record<string, string> {
  if (value === undefined || value === null) return {};
  const place = '/environmentVariables';
  if (!Array.isArray(value)) {
    wrong(place, value, 'environmentVariables is not a list', 'a list of {name, value}');
    return {};
  }
  const env: [string, string][] = [];
  for (const [index, each] of value.entries()) {
    const { name, value: text } = (each ?? {}) as Record<string, unknown>;
    if (typeof name !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name === '__proto__')
      wrong(`${place}/${index}/name`, name, 'not the name of a variable', 'letters, digits and "_"');
    else env.push([name, text === undefined || text === null ? '' : String(text)]);
  }
  return Object.fromEntries(env);
}

const operators = ['EQUALS', 'LIKE', 'UNLIKE'] as const;

function constraintsOf(value: unknown, wrong: Wrong): Job['constraints'] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    wrong('/constraints', value, 'constraints is not a list', 'a list of [attribute, operator, value]');
    return [];
  }
  return value.flatMap((each, index): (readonly [string, (typeof operators)[number], string])[] => {
    const place = `/constraints/${index}`;
    const [attribute, operator, wanted] = Array.isArray(each) ? each.map(String) : [];
    // Chronos dropped an operator that it did not know, and with it the constraint: the job then ran anywhere.
    const known = operators.find(one => one === operator?.toUpperCase());
    if (attribute === undefined || wanted === undefined || known === undefined) {
      wrong(
        place,
        each,
        `constraint ${JSON.stringify(brief(each))} will not do`,
        `[attribute, ${operators.join('|')}, value]`,
      );
      return [];
    }
    return [[attribute, known, wanted]];
  });
}

function brief(value: unknown): unknown {
  const text = JSON.stringify(value) ?? '';
  return text.length > 200 ? `${text.slice(0, 200)}...` : value;
}

// --- out ----------------------------------------------------------------------------------------------------------------

/** A job as Chronos's clients know it: what was posted, every field that Chronos would add, today's counters. */
export function writeChronos(view: JobView): Record<string, unknown> {
  const { record, tally } = view;
  const { job } = record;
  const posted = { ...(record.origin?.document as ChronosDocument | undefined) };
  const at = (instant: number | undefined) => (instant === undefined ? '' : new Date(instant).toISOString());
  const [schedule] = job.schedules;
  const known = {
    name: text(posted.name, job.name),
    command: text(posted.command, job.command ?? ''),
    shell: truth(posted.shell, true),
    executor: text(posted.executor, ''),
    executorFlags: text(posted.executorFlags, ''),
    taskInfoData: text(posted.taskInfoData, ''),
    retries: job.max_task_failures - 1,
    owner: job.owner ?? '',
    ownerName: text(posted.ownerName, ''),
    description: job.description ?? '',
    successCount: tally?.successes ?? 0,
    errorCount: tally?.failures ?? 0,
    lastSuccess: at(tally?.last_success_at),
    lastError: at(tally?.last_failure_at),
    cpus: job.cpus,
    disk: job.disk,
    mem: job.mem,
    disabled: isDisabled(view),
    softError: job.soft_error === true,
    dataProcessingJobType: isDataJob(view),
    errorsSinceLastSuccess: tally?.failures_since_success ?? 0,
    fetch: Array.isArray(posted.fetch) ? posted.fetch : [],
    uris: Array.isArray(posted.uris) ? posted.uris : [],
    environmentVariables: Object.entries(job.env)
      .filter(([name]) => !built_in.has(name))
      .map(([name, value]) => ({ name, value })),
    arguments: Array.isArray(posted.arguments) ? posted.arguments : [],
    highPriority: job.priority > 0,
    // Chronos said root. A list that is posted again must not make root of whoever it was.
    runAsUser: text(posted.runAsUser, ''),
    concurrent: job.overlap.policy === 'allow',
    maxCompletionTime: Number(posted.maxCompletionTime ?? 0) || 0,
    constraints: job.constraints,
    // A dependent job that got its parent's schedule is one with a schedule, whatever it was posted as.
    ...(job.parents === undefined
      ? {
          schedule: schedule?.iso8601 ?? '',
          scheduleTimeZone: schedule?.zone ?? '',
        }
      : { parents: job.parents.map(chronosName) }),
  };
  const ours = (field: string) => field in known || ['parents', 'schedule', 'scheduleTimeZone'].includes(field);
  // What Chronos never knew of, its clients still find again.
  const { successCount, errorCount } = known;
  const others = Object.fromEntries(Object.entries(posted).filter(([field]) => !ours(field)));
  return { ...known, ...others, invocationCount: successCount + errorCount };
}

/**
 * Chronos disabled what had failed too often, and what had run as often as it was to once the last run had succeeded. Here the
 * one is held and the other has nothing left to do, and both are told as disabled.
 */
export function isDisabled({ record: { job }, trigger, runs, tally }: JobView): boolean {
  if (!job.enabled || trigger?.paused?.by === 'horae') return true;
  const [cursor] = Object.values(trigger?.cursors ?? {});
  const over = cursor?.remaining === 0 && runs.length + (trigger?.waiting.length ?? 0) === 0;
  return over && (tally?.last_success_at ?? 0) > (tally?.last_failure_at ?? 0);
}

/** Whether its tasks tell how many elements they have processed. */
export function isDataJob({ record: { origin } }: JobView): boolean {
  const posted = origin?.document as ChronosDocument | undefined;
  return truth(posted?.dataProcessingJobType ?? posted?.dataJob, false);
}

const text = (value: unknown, fallback: string) => (value === undefined || value === null ? fallback : String(value));
const truth = (value: unknown, fallback: boolean) =>
  value === undefined ? fallback : value === true || value === 'true';
