// jobs.test.ts: Chronos's cases 23, 55, 71-74 and 76: documents at the door of the production server, and back.

import test from 'ava';
import { checkJob } from '../../actors/checks.ts';
import type { Job } from '../../actors/model/job.ts';
import { attributesOf, compileConstraint } from '../../mesos/constraints.ts';
import type { Attribute } from '../../mesos/protocol.ts';
import { readChronos } from '../../transport/http/chronos/document.ts';
import { serve } from '../http/support/serve.ts';
import type { Owner } from '../support/temp.ts';
import { rare } from './view.ts';

/** A server that looks at schedules and patterns as the real one does. */
const door = (t: Owner) =>
  serve(t, { compile: (job: Job) => checkJob(job, Date.UTC(2026, 0, 1), { default_zone: 'UTC', calendars: {} }) });

test('case 23 of Chronos: "sample.name" is the name of a job', async t => {
  const { ask } = await door(t);
  t.is((await ask('POST', '/v1/scheduler/iso8601', { json: rare('sample.name') })).status, 204);
  t.like((await ask('GET', '/v1/scheduler/job/sample.name')).json, { name: 'sample.name' });
});

test('case 55 of Chronos: a name is one job: posted again it replaces, and who insists on a new one is refused', async t => {
  const { ask, core } = await door(t);
  await ask('POST', '/v1/scheduler/iso8601', { json: rare('a', { command: 'one' }) });
  t.is((await ask('POST', '/v1/scheduler/iso8601', { json: rare('a', { command: 'two' }) })).status, 204);
  const listed = (await ask('GET', '/v1/scheduler/jobs')).json as unknown as readonly object[];
  t.is(listed.length, 1);
  t.like(listed[0], { name: 'a', command: 'two' });
  t.is((await ask('GET', '/v1/scheduler/graph/dot')).text.match(/label="a"/g)?.length, 1);
  const native = { role: 'chronos', environment: 'default', name: 'a', command: 'three' };
  const { status, text } = await ask('POST', '/api/v1/jobs', { json: native });
  t.is(status, 409);
  t.regex(text, /exists already/);
  t.is(core.views.job('chronos/default/a')!.record.job.command, 'two');
});

// --- where a job may run ------------------------------------------------------------------------------------------------

const rack = (name: string): Attribute => ({ name: 'rack', type: 'TEXT', text: { value: name } });
const others: readonly Attribute[] = [
  { name: 'side', type: 'TEXT', text: { value: 'south' } },
  { name: 'cores', type: 'SCALAR', scalar: { value: 1 } },
  { name: 'doors', type: 'SET', set: { item: ['north', 'west'] } },
];
/** Whether a job posted with this constraint may run on a host of these attributes. */
function allows(constraint: readonly unknown[], attributes: readonly Attribute[], hostname = 'h1'): boolean {
  const read = readChronos(rare('a', { constraints: [constraint] }));
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const compiled = compileConstraint(read.value.job.constraints[0]!);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return compiled.value(attributesOf(hostname, attributes));
}

test('case 71 of Chronos: EQUALS is exact, and a host has its name for an attribute, unless it has one of its own', t => {
  t.true(allows(['rack', 'EQUALS', 'rack-1'], [rack('rack-1')]));
  t.false(allows(['rack', 'EQUALS', 'rack-2'], [rack('rack-1')]));
  t.true(allows(['hostname', 'EQUALS', 'h1'], []));
  const own: Attribute = { name: 'hostname', type: 'TEXT', text: { value: 'alias' } };
  t.true(allows(['hostname', 'EQUALS', 'alias'], [own]));
  t.false(allows(['hostname', 'EQUALS', 'h1'], [own]));
});

for (const [number, operator, like] of [
  [72, 'LIKE', true],
  [73, 'UNLIKE', false],
] as const)
  test(`case ${number} of Chronos: ${operator} looks at the whole of a text, a number such as 1.0, or any item of a set`, t => {
    const attributes = [rack('rack-1'), ...others];
    for (const [attribute, pattern, matches] of [
      ['rack', 'rack-[1-3]', true],
      ['rack', 'rack-[2-3]', false],
      ['rack', 'rack', false],
      ['side', 'north|south', true],
      ['side', 'north|west', false],
      ['cores', '\\d\\.\\d', true],
      ['cores', '\\d', false],
      ['doors', '^n.*', true],
      ['doors', '^s.*', false],
    ] as const)
      t.is(allows([attribute, operator, pattern], attributes), matches === like, `${attribute} ${pattern}`);
    t.false(allows(['absent', operator, '.*'], attributes), 'what is not known is not promised');
    t.false(allows(['absent', operator, 'x'], attributes), 'nor its opposite');
  });

test('case 74 of Chronos: a pattern that is none is refused at the door, and one of Java is taken', async t => {
  const { ask } = await door(t);
  const post = (pattern: string) =>
    ask('POST', '/v1/scheduler/iso8601', { json: rare('a', { constraints: [['rack', 'LIKE', pattern]] }) });
  for (const pattern of ['[[[', '(', '(?=a)a']) {
    const { status, json } = await post(pattern);
    t.is(status, 400, pattern);
    t.regex(String(json.message), /regular expression/);
    t.notRegex(String(json.message), /schedule/);
  }
  t.is((await ask('GET', '/v1/scheduler/job/a')).status, 404, 'nothing is kept of it');
  for (const pattern of ['(?i)RACK-.*', '\\Qrack-1\\E']) t.is((await post(pattern)).status, 204, pattern);
});

// --- there and back -----------------------------------------------------------------------------------------------------

const whole = {
  name: 'sample job',
  command: 'run',
  shell: false,
  executor: '',
  executorFlags: '-v',
  taskInfoData: 'some data',
  retries: 7,
  owner: 'a@example.com, b@example.com',
  ownerName: 'Ann and Bob',
  description: 'it does it all',
  cpus: 1.5,
  disk: 300,
  mem: 200,
  disabled: true,
  softError: true,
  dataProcessingJobType: true,
  fetch: [{ uri: 'http://h/a.tgz', executable: false, cache: true, extract: false, output_file: 'a' }],
  uris: [],
  environmentVariables: [
    { name: 'FOO', value: 'bar' },
    { name: 'CHRONOS_URL', value: 'http://chronos:4400' },
    { name: 'EMPTY', value: '' },
  ],
  arguments: ['-a', 'two words'],
  highPriority: true,
  runAsUser: 'nobody',
  concurrent: true,
  maxCompletionTime: 3_600,
  constraints: [
    ['rack', 'EQUALS', 'rack-1'],
    ['hostname', 'UNLIKE', 'h[0-9]'],
  ],
  epsilon: 'PT15M',
  async: true,
};
for (const [route, kind] of [
  ['iso8601', { schedule: 'R5/2030-01-01T00:00:00.000Z/PT24H', scheduleTimeZone: 'Europe/Vienna' }],
  ['dependency', { parents: ['parent 1', 'parent.2'] }],
] as const)
  test(`case 76 of Chronos: a whole job of ${route} is read back as it was, and posted from that is the same`, async t => {
    const { ask } = await door(t);
    for (const name of ['parent 1', 'parent.2']) await ask('POST', '/scheduler/iso8601', { json: rare(name) });
    const posted = { ...whole, ...kind };
    const answer = await ask('POST', `/scheduler/${route}`, { json: posted });
    t.is(answer.status, 204, answer.text);
    const read = async () => (await ask('GET', '/v1/scheduler/job/sample%20job')).json;
    const first = await read();
    t.like(first, posted);
    const counters = { successCount: 0, errorCount: 0, errorsSinceLastSuccess: 0, lastSuccess: '', lastError: '' };
    t.deepEqual(first, { ...posted, ...counters, invocationCount: 0 });
    t.is((await ask('DELETE', '/scheduler/job/sample%20job')).status, 204);
    t.is((await ask('POST', `/scheduler/${route}`, { json: first })).status, 204);
    t.deepEqual(await read(), first);
  });
