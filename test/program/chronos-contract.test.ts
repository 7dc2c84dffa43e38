// chronos-contract.test.ts: what a client of Chronos may send, and what it may count on in the answer.
//
// Every route of Chronos 2 and 3 is a row: request, status, type and shape of the body. The rows are played in their order
// against the running program, under the prefixes of both generations.
// `strict` is the status under --chronos-compat strict, where it is another one.

import { join } from 'node:path';
import test from 'ava';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, runsOf, startHorae } from './horae.ts';

let lenient: Api;
let strictly: Api;
const owner = fileOwner();
test.before(async () => {
  const flags = ['--agent-resources', 'cpus:8;mem:8000;disk:9000', '--failure-retry', '10'];
  const start = async (...more: string[]) =>
    (await startHorae(owner, join(await tempDir(owner), 'data'), [...flags, ...more])).api;
  [lenient, strictly] = await Promise.all([start(), start('--chronos-compat', 'strict')]);
});
test.after.always(owner.clean);

const prefixes = ['/v1/scheduler', '/scheduler'] as const;
const json = 'application/json';
const text = 'text/plain';

/**
 * What a body is like: 'string', 'number', 'boolean'; a list of one shape; {field: shape} with these fields in this order;
 * or a pattern.
 */
type Shape = string | RegExp | readonly [Shape?] | { readonly [field: string]: Shape };
type Row = {
  readonly request: readonly [method: string, path: string, body?: unknown];
  /** Instead of application/json. */
  readonly sent_as?: string;
  readonly status: number;
  readonly strict?: number;
  readonly type?: string;
  readonly body?: Shape;
};

const error = { status: 'string', message: 'string' };
/** In the order in which Chronos wrote them, and what Horae adds. */
const common = {
  name: 'string',
  command: 'string',
  shell: 'boolean',
  executor: 'string',
  executorFlags: 'string',
  taskInfoData: 'string',
  retries: 'number',
  owner: 'string',
  ownerName: 'string',
  description: 'string',
  successCount: 'number',
  errorCount: 'number',
  lastSuccess: 'string',
  lastError: 'string',
  cpus: 'number',
  disk: 'number',
  mem: 'number',
  disabled: 'boolean',
  softError: 'boolean',
  dataProcessingJobType: 'boolean',
  errorsSinceLastSuccess: 'number',
  fetch: [{ uri: 'string', executable: 'boolean', cache: 'boolean', extract: 'boolean' }],
  uris: ['string'],
  environmentVariables: [{ name: 'string', value: 'string' }],
  arguments: ['string'],
  highPriority: 'boolean',
  runAsUser: 'string',
  concurrent: 'boolean',
  maxCompletionTime: 'number',
  constraints: [['string']],
} as const;
const scheduled: Shape = { ...common, schedule: 'string', scheduleTimeZone: 'string', invocationCount: 'number' };
/** What Chronos 2 had beside, where a job says it. */
const older: Shape = {
  ...common,
  schedule: 'string',
  scheduleTimeZone: 'string',
  epsilon: 'string',
  async: 'boolean',
  invocationCount: 'number',
};
const dependent: Shape = { ...common, parents: ['string'], invocationCount: 'number' };

const far = 'R/2040-01-01T00:00:00.000Z/PT24H';
const job = (name: string, more: object = {}) => ({ name, command: 'true', schedule: far, ...more });
const everything = job('every', {
  owner: 'a@example.com,b@example.com',
  arguments: ['-v'],
  fetch: [{ uri: 'http://example.com/x.tgz', executable: false, cache: false, extract: true }],
  environmentVariables: [{ name: 'A', value: 'b' }],
  constraints: [['rack', 'EQUALS', 'rack-1']],
});
const refused = { status: 400, type: json, body: error } as const;
const unknown = {
  status: 404,
  strict: 400,
  type: json,
  body: { status: /^(Not Found|Bad Request)$/, message: /nobody' not found$/ },
};
const done = { status: 204 } as const;

const lost = { status: 404, strict: 400, type: json, body: error } as const;
const nobodys_task = 'ct%3A1420843781398%3A0%3Anobody%3A';
const percentiles = ['75thPercentile', '95thPercentile', '98thPercentile', '99thPercentile', 'median', 'mean'] as const;
const histogram = Object.fromEntries([...percentiles, 'count'].map(name => [name, 'number']));
const slow = { jobNameLabel: 'string', time: 'number' };

const rows: readonly Row[] = [
  // Nothing is there yet.
  { request: ['GET', '/jobs'], status: 200, type: json, body: [] },
  { request: ['GET', '/jobs/summary'], status: 200, type: json, body: { jobs: [] } },
  { request: ['GET', '/graph/dot'], status: 200, type: text, body: /^digraph G \{\s*\}\s*$/ },
  { request: ['GET', '/graph/csv'], status: 200, type: text, body: /^$/ },
  { request: ['GET', '/leader'], status: 200, type: json, body: { leader: /^127\.0\.0\.1:\d+$/ } },
  // Create and replace.
  { request: ['POST', '/iso8601', everything], ...done },
  { request: ['POST', '/iso8601', everything], ...done },
  { request: ['PUT', '/iso8601', job('root', { epsilon: 'PT15M', async: false, scheduleTimeZone: 'PST' })], ...done },
  { request: ['POST', '/dependency', { name: 'leaf', command: 'true', parents: ['root', 'every'] }], ...done },
  { request: ['PUT', '/dependency', { name: 'leaf', command: 'true', parents: ['root'] }], ...done },
  {
    request: [
      'POST',
      '/iso8601',
      job('typed', { cpus: '0.5', mem: '64', retries: '1', dataProcessingJobType: 'true', invented: 1 }),
    ],
    ...done,
  },
  {
    request: ['POST', '/iso8601', job('bad', { schedule: 'FOO' })],
    ...refused,
    body: { status: 'string', message: /^Cannot parse schedule 'FOO'/ },
  },
  {
    request: ['POST', '/iso8601', job('a/b')],
    ...refused,
    body: { status: 'string', message: /the job's name is invalid/ },
  },
  { request: ['POST', '/iso8601', { command: 'true' }], ...refused },
  { request: ['POST', '/iso8601', '{'], ...refused },
  { request: ['POST', '/iso8601', '{}'], sent_as: text, status: 415, type: json, body: error },
  { request: ['POST', '/dependency', { name: 'c', command: 'true', parents: [] }], ...refused },
  {
    request: ['POST', '/dependency', { name: 'c', command: 'true', parents: ['nobody'] }],
    status: 422,
    strict: 400,
    type: json,
    body: error,
  },
  // Look.
  { request: ['GET', '/job/every'], status: 200, type: json, body: scheduled },
  { request: ['GET', '/job/leaf'], status: 200, type: json, body: dependent },
  { request: ['GET', '/job/root'], status: 200, type: json, body: older },
  { request: ['GET', '/job/nobody'], ...unknown },
  { request: ['GET', '/jobs/search?name=EVER'], status: 200, type: json, body: [scheduled] },
  { request: ['GET', '/jobs/search?command=tru&limit=1&offset=0'], status: 200, type: json, body: [scheduled] },
  { request: ['GET', '/jobs/search?any=nothing'], status: 200, type: json, body: [] },
  { request: ['GET', '/jobs/search?limit=-1'], ...refused },
  {
    request: ['GET', '/jobs/summary'],
    status: 200,
    type: json,
    body: {
      jobs: [
        {
          name: 'string',
          status: /^fresh$/,
          state: /^idle$/,
          schedule: 'string',
          parents: ['string'],
          disabled: 'boolean',
        },
      ],
    },
  },
  { request: ['GET', '/graph/dot'], status: 200, type: text, body: /^digraph G \{\n(.*\n)*\s*\d+ -> \d+;?\n\}\n?$/ },
  {
    request: ['GET', '/graph/csv'],
    status: 200,
    type: text,
    body: /^node,every,fresh,idle\n(.*\n)*link,root,leaf\n?$/,
  },
  // Start, kill, decree.
  { request: ['POST', '/iso8601', job('often', { concurrent: true })], ...done },
  { request: ['POST', '/iso8601', job('never', { disabled: true })], ...done },
  { request: ['PUT', '/job/often'], ...done },
  { request: ['PUT', '/job/often?arguments=-debug%20on'], ...done },
  { request: ['PUT', '/job/often?arguments='], ...done },
  { request: ['PUT', '/job/never'], status: 409, strict: 400, type: json, body: error },
  { request: ['PUT', '/job/nobody'], ...unknown },
  { request: ['PUT', '/job/success/often'], status: 200, type: text, body: /^marked job often as successful: true$/ },
  {
    request: ['PUT', '/job/success/nobody'],
    status: 200,
    type: text,
    body: /^marked job nobody as successful: false$/,
  },
  { request: ['DELETE', '/task/kill/often'], ...done },
  { request: ['DELETE', '/task/kill/nobody'], ...unknown },
  { request: ['DELETE', '/task/all'], ...done },
  {
    request: ['PUT', `/task/${nobodys_task}`, { statusCode: 0 }],
    status: 404,
    strict: 400,
    type: json,
    body: error,
  },
  { request: ['PUT', `/task/${nobodys_task}`, { statusCode: 'well' }], ...refused },
  // How long, how far.
  { request: ['GET', '/job/stat/every'], status: 200, type: json, body: { histogram, taskStatHistory: [] } },
  { request: ['GET', '/job/stat/nobody'], ...unknown },
  ...percentiles.map((name): Row => ({ request: ['GET', `/stats/${name}`], status: 200, type: json, body: [slow] })),
  { request: ['GET', '/stats/12thPercentile'], status: 200, type: json, body: [] },
  { request: ['POST', `/job/nobody/task/${nobodys_task}/progress`, { numAdditionalElementsProcessed: 1 }], ...unknown },
  { request: ['POST', `/job/typed/task/${nobodys_task}/progress`, { numAdditionalElementsProcessed: 1 }], ...lost },
  { request: ['POST', `/job/typed/task/${nobodys_task}/progress`, { numAdditionalElementsProcessed: -1 }], ...refused },
  { request: ['POST', `/job/every/task/${nobodys_task}/progress`, { numAdditionalElementsProcessed: 1 }], ...refused },
  // From dependent to scheduled and back.
  { request: ['POST', '/iso8601', job('leaf')], ...done },
  { request: ['GET', '/job/leaf'], status: 200, type: json, body: scheduled },
  { request: ['POST', '/dependency', { name: 'leaf', command: 'true', parents: ['root'] }], ...done },
  { request: ['GET', '/job/leaf'], status: 200, type: json, body: dependent },
  // Delete.
  { request: ['DELETE', '/job/nobody'], ...unknown },
  ...['leaf', 'root', 'every', 'typed', 'often', 'never'].map(
    (name): Row => ({ request: ['DELETE', `/job/${name}`], ...done }),
  ),
];
/** Outside of the prefixes. */
const beside: readonly Row[] = [
  { request: ['GET', '/ping'], status: 200, type: text, body: /^pong\n$/ },
  { request: ['GET', '/metrics'], status: 200, type: text, body: /^# HELP / },
  { request: ['GET', '/'], status: 200, type: 'text/html', body: /<title>/ },
];

for (const strict of [false, true])
  test.serial(
    `every route answers as a client of Chronos expects it, ${strict ? 'strictly as it was' : 'with better statuses'}`,
    async t => {
      const api = strict ? strictly : lenient;
      for (const row of beside) await play(row, '');
      for (const prefix of prefixes) {
        for (const row of rows) await play(row, prefix);
        await until('its jobs to be gone', async () => (await api.request('GET', `${prefix}/jobs`)).text === '[]');
      }

      async function play(
        { request: [method, path, body], sent_as, status, strict: other, type, body: shape }: Row,
        prefix: string,
      ) {
        const line = `${method} ${prefix}${path} ${JSON.stringify(body) ?? ''}`;
        const answer = await api.request(
          method,
          `${prefix}${path}`,
          body,
          sent_as === undefined ? {} : { 'content-type': sent_as },
        );
        t.is(answer.status, strict ? (other ?? status) : status, `${line}\n${answer.text}`);
        if (type === undefined) t.is(answer.text, '', line);
        else t.is(answer.headers.get('content-type')?.split(';')[0], type, line);
        if (shape === undefined) return;
        t.deepEqual(misfits(type === json ? answer.body() : answer.text, shape), [], line);
        if (status >= 400) t.notRegex(answer.text, /\n|\tat |\.ts:/, 'short, and without a stack');
      }
    },
  );

test.serial('what was listed can be posted again: nothing is wrong with it, and it comes to the same', async t => {
  const api = lenient;
  await api.request('POST', '/scheduler/iso8601', everything);
  await api.request('POST', '/scheduler/dependency', {
    name: 'leaf',
    command: 'true',
    parents: ['every'],
    softError: true,
  });
  const listed = async () => (await api.get('/scheduler/jobs')) as Readonly<Record<string, unknown>>[];
  const version = async (name: string) =>
    ((await api.get(`/api/v1/jobs/chronos/default/${name}`)) as { job: { fetch?: unknown[] } }).job;
  const [before, jobs] = [await listed(), await Promise.all(['every', 'leaf'].map(version))];
  for (const each of before) {
    const { status, text } = await api.request(
      'POST',
      `/scheduler/${'parents' in each ? 'dependency' : 'iso8601'}`,
      each,
    );
    t.is(status, 204, text);
  }
  t.deepEqual(await listed(), before);
  t.deepEqual(await Promise.all(['every', 'leaf'].map(version)), jobs);
  t.is(jobs[0]!.fetch?.length, 1);
});

test.serial('what Chronos took and was poisoned by is refused at the door, and nothing of it is kept', async t => {
  const api = lenient;
  const zero = { name: 'zero', command: 'true' };
  t.is((await api.request('POST', '/scheduler/iso8601', job('first'))).status, 204);
  t.is(
    (await api.request('POST', '/scheduler/dependency', { ...zero, name: 'second', parents: ['first'] })).status,
    204,
  );
  const poison: readonly (readonly [says: string, route: string, body: object, status: number, message: RegExp])[] = [
    ['self-parent', 'dependency', { ...zero, parents: ['zero'] }, 409, /zero -> zero/],
    ['mutual parents', 'dependency', { ...zero, name: 'first', parents: ['second'] }, 409, /first -> second -> first/],
    ['missing parents', 'dependency', { ...zero, parents: ['first', 'nobody'] }, 422, /no job nobody/],
    [
      'unknown zone',
      'iso8601',
      job('zero', { scheduleTimeZone: 'Europe/Atlantis' }),
      400,
      /unknown time zone "Europe\/Atlantis"/,
    ],
    [
      'bad regex',
      'iso8601',
      job('zero', { constraints: [['rack', 'LIKE', '[[[']] }),
      400,
      /^\/constraints\/0\/2: "\[\[\["/,
    ],
    [
      'unknown operator',
      'iso8601',
      job('zero', { constraints: [['rack', 'NEAR', 'x']] }),
      400,
      /^\/constraints\/0: .*NEAR/,
    ],
    ['start before 1970', 'iso8601', job('zero', { schedule: 'R/1969-12-31T23:59:59Z/P1D' }), 400, /is before 1970!/],
    ['its first instant', 'iso8601', job('zero', { schedule: 'R/1970-01-01T00:00:00Z/P1D' }), 400, /is before 1970!/],
    [
      'time-only start',
      'iso8601',
      job('zero', { schedule: 'R/T05:50Z/P1D' }),
      400,
      /^\/schedule: Cannot parse .* no date/,
    ],
    [
      'a period of less than a second',
      'iso8601',
      job('zero', { schedule: 'R/2040-01-01T00:00:00Z/PT0.5S' }),
      400,
      /at least one second/,
    ],
    ...(
      [
        ['/command', { command: null }],
        ['/retries', { retries: null }],
        ['/disabled', { disabled: null }],
        ['/arguments/1', { arguments: ['a', null] }],
        ['/environmentVariables/0/value', { environmentVariables: [{ name: 'A', value: null }] }],
        ['/constraints/0/2', { constraints: [['rack', 'EQUALS', null]] }],
        ['/uris/0', { uris: [null] }],
        ['/container/network', { container: { image: 'x', network: null } }],
      ] as const
    ).map(
      ([place, more]) =>
        [`null: ${place}`, 'iso8601', job('zero', more), 400, new RegExp(`^${place}: .*is null`)] as const,
    ),
  ];
  const before = (await api.request('GET', '/scheduler/jobs')).text;
  for (const [says, route, body, status, message] of poison) {
    const answer = await api.request('POST', `/v1/scheduler/${route}`, body);
    t.is(answer.status, status, `${says}: ${answer.text}`);
    t.regex((answer.body() as { message: string }).message, message, says);
  }
  t.is((await api.request('GET', '/scheduler/jobs')).text, before);
});

test.serial('R1 with retries is one run of that many attempts and never another one (#814)', async t => {
  const api = lenient;
  const post = (body: object) => api.request('POST', '/v1/scheduler/iso8601', body);
  t.is((await post({ name: 'one', command: 'exit 3', schedule: 'R1//PT1S', retries: 2 })).status, 204);
  const ended = (name: string) => async () =>
    (await runsOf(api, `chronos/default/${name}`)).filter(run => 'ended_at' in run);
  const [first] = await until<Awaited<ReturnType<typeof runsOf>> | undefined>('its run to end', async () => {
    const runs = await ended('one')();
    return runs.length > 0 ? runs : undefined;
  });
  t.is(first!.state, 'failed');
  t.is(first!.instances[0]!.failures, 3);
  // A witness that is due every second has run three times since then: so would it have, had it become infinite.
  await post({ name: 'witness', command: 'true', schedule: 'R3//PT1S' });
  await until('the witness to have run', async () => (await ended('witness')()).length === 3);
  t.is((await runsOf(api, 'chronos/default/one')).length, 1);
  const { schedule, errorCount } = (await api.get('/v1/scheduler/job/one')) as { schedule: string; errorCount: number };
  t.is(errorCount, 1, 'attempts between are not counted');
  t.regex(schedule, /^R[01]\//);
  const { histogram: durations, taskStatHistory } = (await api.get('/v1/scheduler/job/stat/one')) as Readonly<
    Record<string, unknown>
  >;
  t.deepEqual(misfits(durations, histogram), []);
  const task = { taskId: /^ct:\d+:[012]:one:$/, jobName: /^one$/, slaveId: 'string' };
  const times = { startTime: /^\d\d(\/\d\d){2} \d\d(:\d\d){2}$/, endTime: /:/, duration: /^\d+s$/, status: /^Fail$/ };
  t.deepEqual(misfits(taskStatHistory, [{ ...task, ...times }]), []);
  t.is((taskStatHistory as unknown[]).length, 3);
  const slowest = (await api.get('/v1/scheduler/stats/median')) as { jobNameLabel: string }[];
  t.deepEqual(misfits(slowest, [slow]), []);
  t.true(slowest.some(each => each.jobNameLabel === 'witness'));
});

// --- how an answer is looked at --------------------------------------------------------------------

/** Where a value is not of a shape. */
function misfits(value: unknown, shape: Shape, place = ''): string[] {
  const no = (expected: string) => [
    `${place || 'the body'} is ${JSON.stringify(value)?.slice(0, 120)}: expected ${expected}`,
  ];
  if (typeof shape === 'string') return typeof value === shape ? [] : no(shape);
  if (shape instanceof RegExp) return typeof value === 'string' && shape.test(value) ? [] : no(String(shape));
  if (isList(shape)) {
    const [each] = shape;
    if (!Array.isArray(value)) return no('a list');
    if (each === undefined) return value.length === 0 ? [] : no('an empty list');
    return value.flatMap((one, index) => misfits(one, each, `${place}/${index}`));
  }
  if (typeof value !== 'object' || value === null) return no('an object');
  const given = value as Readonly<Record<string, unknown>>;
  const [are, are_to_be] = [Object.keys(given), Object.keys(shape)];
  if (are.join() !== are_to_be.join()) return no(`the fields ${are_to_be.join()}`);
  return are.flatMap(field => misfits(given[field], shape[field]!, `${place}/${field}`));
}
const isList = (shape: Shape): shape is readonly [Shape?] => Array.isArray(shape);
