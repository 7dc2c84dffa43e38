// following.test.ts: jobs that follow others in the real program: what a parent leaves reaches its children's environment.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, startHorae } from './horae.ts';

const owner = fileOwner();
let api: Api;
let scratch: string;
test.before(async () => {
  scratch = await tempDir(owner);
  const flags = ['--agent-resources', 'cpus:16;mem:16000;disk:10000'];
  ({ api } = await startHorae(owner, join(scratch, 'data'), flags));
});
test.after.always(owner.clean);

const far = { cron: '0 0 1 1 *' };
async function create(name: string, fields: object): Promise<void> {
  const answer = await api.request('POST', '/api/v1/jobs', { role: 'me', environment: 'test', name, ...fields });
  if (answer.status !== 201) throw new Error(`${name}: ${answer.status} ${answer.text}`);
}
const start = (name: string) => api.request('POST', `/api/v1/jobs/me/test/${name}/runs`);
const get = async (path: string) => JSON.parse((await api.request('GET', path)).text);
const lines = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []);

test('exit code, run id and result of each parent reach the environment of its child, of a plain command too', async t => {
  const seen = join(scratch, 'seen');
  await create('extract', {
    ...far,
    command: `printf '%s\\n' 'rows; touch ${scratch}/harm $(id) "q"' > "$HORAE_RESULT"`,
  });
  await create('check', { ...far, command: 'cd /; echo {{x}} > $HORAE_RESULT; exit 3' });
  await create('load', {
    parents: ['extract', 'me/test/check'],
    trigger_rule: 'any_success',
    command: `env | grep ^HORAE_PARENT | sort > ${seen}.part; mv ${seen}.part ${seen}`,
  });
  const runs = [];
  for (const name of ['extract', 'check']) runs.push(JSON.parse((await start(name)).text).run);
  const variables = await until('the child', () => existsSync(seen) && lines(seen));
  t.deepEqual(variables, [
    'HORAE_PARENTS=2',
    'HORAE_PARENT_1_EXIT_CODE=0',
    'HORAE_PARENT_1_JOB=me/test/extract',
    'HORAE_PARENT_1_OUTCOME=succeeded',
    `HORAE_PARENT_1_RESULT=rows; touch ${scratch}/harm $(id) "q"`,
    `HORAE_PARENT_1_RUN=${runs[0]}`,
    'HORAE_PARENT_2_EXIT_CODE=3',
    'HORAE_PARENT_2_JOB=me/test/check',
    'HORAE_PARENT_2_OUTCOME=failed',
    'HORAE_PARENT_2_RESULT={{x}}',
    `HORAE_PARENT_2_RUN=${runs[1]}`,
  ]);
  t.false(existsSync(join(scratch, 'harm')));
  const [run] = (await get('/api/v1/jobs/me/test/load/runs')).runs;
  t.like(run.cause, { type: 'dependency', parents: [{ job: 'me/test/extract', run: runs[0] }, { exit_code: 3 }] });
  t.deepEqual((await get('/api/v1/jobs/me/test/extract')).children, ['me/test/load']);
});

test('what lies before a job is seen and cleared, and a success by decree lets it go on', async t => {
  for (const name of ['one', 'two']) await create(name, { ...far, command: 'echo of one > $HORAE_RESULT' });
  await create('both', { parents: ['one', 'two'], command: 'true' });
  await start('one');
  const path = '/api/v1/jobs/me/test/both/tokens';
  const tokens = await until('the token', async () => {
    const found = await get(path);
    return found.edges[0].waiting === 1 && found;
  });
  t.like(tokens, {
    job: 'me/test/both',
    join: 'each',
    trigger_rule: 'all_success',
    edges: [
      {
        parent: 'me/test/one',
        waiting: 1,
        tokens: [{ outcome: 'succeeded', well: true, result: 'of one', exit_code: 0 }],
      },
      { parent: 'me/test/two', waiting: 0, tokens: [] },
    ],
  });
  t.like(JSON.parse((await api.request('DELETE', `${path}?parent=me/test/one`)).text), { cleared: 1 });
  t.is((await get(path)).edges[0].waiting, 0);
  for (const name of ['one', 'two'])
    t.is((await api.request('POST', `/api/v1/jobs/me/test/${name}/mark-success`)).status, 200);
  await until('the child', async () => (await get('/api/v1/jobs/me/test/both')).tally.successes === 1);
});

test('what cannot be is refused with its place, and a parent is not deleted without a word for its children', async t => {
  const submission = (name: string, parents: string[]) => ({
    role: 'me',
    environment: 'test',
    name,
    parents,
    command: 'true',
  });
  await create('top', { ...far, command: 'true' });
  await create('mid', { parents: ['top'], command: 'true' });
  const missing = await api.request('POST', '/api/v1/jobs', submission('x', ['nobody']));
  t.is(missing.status, 422);
  t.like(JSON.parse(missing.text).problems[0], { place: '/parents/0', value: 'me/test/nobody' });
  const cycle = await api.request('PUT', '/api/v1/jobs/me/test/top', submission('top', ['mid']), { 'if-match': '*' });
  t.is(cycle.status, 409);
  t.regex(cycle.text, /me\/test\/top -> me\/test\/mid -> me\/test\/top/);
  t.is((await api.request('DELETE', '/api/v1/jobs/me/test/top')).status, 409);
  t.is((await api.request('DELETE', '/api/v1/jobs/me/test/top?children=orphan')).status, 400);
  t.is((await api.request('DELETE', '/api/v1/jobs/me/test/top?children=detach')).status, 204);
  t.is((await get('/api/v1/jobs/me/test/mid')).job.parents, undefined);
});

test('a task of processes finds the note of its parent, braces and all, and leaves one', async t => {
  const seen = join(scratch, 'seen-by-processes');
  await create('note', { ...far, command: `printf '%s{thermos.ports[http]}} %s{&x}}' '{' '{' > $HORAE_RESULT` });
  await create('processes', {
    parents: ['note'],
    processes: [{ name: 'one', command: 'echo "got $HORAE_PARENT_1_RESULT" > $HORAE_RESULT' }],
  });
  await create('last', { parents: ['processes'], command: `echo "$HORAE_PARENT_1_RESULT" > ${seen}` });
  await start('note');
  // The executor is packed first, Node and all.
  const noted = await until('the last', () => lines(seen).length > 0 && lines(seen), 90_000);
  t.deepEqual(noted, ['got {{thermos.ports[http]}} {{&x}}']);
});

test("Chronos's clients are told what cannot be followed, and see the graph", async t => {
  const post = (route: string, body: object) => api.request('POST', `/v1/scheduler/${route}`, body);
  const schedule = 'R/2030-01-01T00:00:00Z/PT24H';
  t.is((await post('iso8601', { name: 'a b', command: 'true', schedule })).status, 204);
  t.is((await post('dependency', { name: 'c', command: 'true', parents: ['a b'] })).status, 204);
  const said = async (body: object) => {
    const { status, text } = await post('dependency', { command: 'true', ...body });
    return [status, JSON.parse(text).message];
  };
  t.deepEqual(await said({ name: 'd', parents: ['nobody', 'a b'] }), [
    422,
    'job d cannot have these parents: there is no job nobody',
  ]);
  t.deepEqual(await said({ name: 'd', parents: ['d'] }), [409, 'job d would follow itself: d -> d']);
  t.deepEqual(await said({ name: 'a b', parents: ['c'] }), [409, 'job a b would follow itself: a b -> c -> a b']);
  t.is((await said({ name: 'd', parents: [] }))[0], 400);
  t.is((await post('iso8601', { name: 'd', command: 'true', schedule, parents: ['c'] })).status, 400);
  t.is((await api.request('GET', '/scheduler/graph/csv')).text, 'node,a b,fresh,idle\nnode,c,fresh,idle\nlink,a b,c\n');
  t.is((await api.request('DELETE', '/v1/scheduler/job/a%20b')).status, 204);
  const [c] = JSON.parse((await api.request('GET', '/scheduler/jobs')).text);
  t.like(c, { name: 'c', schedule });
  t.false('parents' in c);
});
