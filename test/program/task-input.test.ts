// task-input.test.ts: tasks that cannot be, or behave badly: each has an outcome with a name, and nobody else notices.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { isAlive, runningUnder } from '../support/processes.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, type RunAnswer, type Running, runsOf } from './horae.ts';
import { startMesos, startServe } from './serving.ts';

const owner = fileOwner();
let mesos: { readonly url: string };
let horae: Running;
let api: Api;
let scratch: string;
test.before(async () => {
  scratch = await tempDir(owner);
  const flags = [
    '--agent-resources',
    'cpus:16;mem:16000;disk:40000;ports:[31000-31099]',
    '--allocation-interval-ms',
    '0',
  ];
  mesos = await startMesos(owner, join(scratch, 'mesos'), flags);
  horae = await startServe(owner, mesos.url, join(scratch, 'data'), ['--refuse-seconds', '0']);
  ({ api } = horae);
  await create('bystander', { service: true, command: 'sleep 100000' });
});
test.after.always(owner.clean);

const submit = (name: string, fields: object, at = api) =>
  at.request('POST', '/api/v1/jobs', { role: 'me', environment: 'test', name, ...fields });
async function create(name: string, fields: object, at = api): Promise<string> {
  const answer = await submit(name, fields, at);
  if (answer.status !== 201) throw new Error(`${name}: ${answer.status} ${answer.text}`);
  return `me/test/${name}`;
}
const ended = (key: string, at = api): Promise<RunAnswer> =>
  until(
    `the end of ${key}`,
    async () => (await runsOf(at, key)).find(({ state }) => ['succeeded', 'failed', 'killed'].includes(state)),
    90_000,
  );
const running = (key: string): Promise<RunAnswer> =>
  until(`${key} to run`, async () => (await runsOf(api, key)).find(({ state }) => state === 'running'), 90_000);
const one = (name: string, command: string) => ({ processes: [{ name, command }] });

test('what no task can be is refused before anything runs, with its place', async t => {
  const two = [
    { name: 'a', command: 'true' },
    { name: 'b', command: 'true' },
  ];
  const http = { checker: { type: 'http', port: 'admin' } };
  const cases: readonly (readonly [string, object, RegExp])[] = [
    [
      'a cyclic order',
      {
        processes: two,
        order: [
          ['a', 'b'],
          ['b', 'a'],
        ],
      },
      /a.*b.*a|b.*a.*b/,
    ],
    ['a dependency on a daemon', { processes: [{ ...two[0], daemon: true }, two[1]], order: [['a', 'b']] }, /daemon/],
    ['a name with a slash', one('a/b', 'true'), /a\/b/],
    ['a health check to a port that is not asked for', { ...one('a', 'true'), health_check: http }, /admin/],
    ['a variable that nobody binds', one('a', 'echo {{thermos.nobody}}'), /thermos\.nobody/],
  ];
  for (const [what, fields, says] of cases) {
    const answer = await submit('wrong', fields);
    t.is(answer.status, 422, `${what}: ${answer.text}`);
    const { problems } = answer.body() as { problems: readonly { place: string; message: string }[] };
    t.true(problems.length > 0 && problems.every(({ place }) => place.startsWith('/')), what);
    t.regex(answer.text, says, what);
  }
  t.is((await api.request('GET', '/api/v1/jobs/me/test/wrong')).status, 404);
});

test('a command that does not exist fails with 127, as a process and alone', async t => {
  const process = await create('no-process', one('main', 'no-such-command-here'));
  const alone = await create('no-command', { command: 'no-such-command-here now' });
  for (const key of [process, alone]) {
    const { instances } = await ended(key);
    t.like(instances[0], { state: 'failed', failures: 1 }, key);
    t.true(
      instances[0]!.reason?.exit_code === 127 || JSON.stringify(instances[0]!.reason).includes('127'),
      JSON.stringify(instances[0]!.reason),
    );
  }
});

test('an executor that cannot be fetched fails the task, which says so; who needs none runs', async t => {
  const flags = ['--executor-archive', 'http://127.0.0.1:1/horae-executor.tar.gz', '--refuse-seconds', '0'];
  const other = await startServe(t, mesos.url, join(scratch, 'other'), flags);
  const key = await create('unfetched', one('main', 'true'), other.api);
  const plain = await create('plain', { command: 'true' }, other.api);
  t.like((await ended(key, other.api)).instances[0], { state: 'failed', reason: { code: 'launch-failed' } });
  t.is((await ended(plain, other.api)).state, 'succeeded');
});

test('1 GB of log in a moment is read, turned and let go: no more of it stays than may', async t => {
  const key = await create('talks', {
    processes: [
      {
        name: 'talker',
        command: 'head -c 1000000000 /dev/zero | tr "\\\\0" x',
        logger: { mode: 'rotate', size_bytes: 1_000_000, backups: 2 },
      },
    ],
  });
  const run = await ended(key);
  t.is(run.state, 'succeeded', JSON.stringify(run.instances));
  const logs = filesBelow(join(scratch, 'mesos')).filter(path => path.includes('/.logs/talker/0/stdout'));
  const kept = logs.map(path => statSync(path).size);
  t.true(kept.length > 0 && kept.length <= 3, `${kept}`);
  t.true(
    kept.every(size => size <= 2_000_000),
    `${kept}`,
  );
});

test('who forks away, ignores SIGTERM and closes its outputs is ended when its task is', async t => {
  const noted = join(scratch, 'noted');
  const stray = `trap '' TERM HUP; exec >&- 2>&- <&-; echo $$ >> ${noted}; while :; do sleep 0.2; done`;
  const key = await create('stubborn', {
    processes: [{ name: 'main', command: `(setsid sh -c "${stray.replaceAll('$', '\\$')}" &) ; ${stray}` }],
    kill_grace_ms: 1_000,
  });
  await running(key);
  const pids = await until('both to be there', () => {
    const all = existsSync(noted) ? linesOf(noted).map(Number) : [];
    return all.length === 2 && all;
  });
  t.true(pids.every(isAlive));
  t.is((await api.request('POST', `/api/v1/jobs/${key}/kill`)).status, 202);
  t.like((await ended(key)).instances[0], { state: 'killed', reason: { code: 'killed' } });
  await until('both to be gone', () => !pids.some(isAlive));
});

test.after('all that while the scheduler and the task beside them noticed nothing', async t => {
  const [run] = await runsOf(api, 'me/test/bystander');
  t.like(run?.instances[0], { state: 'running', attempt: 1 });
  t.is(horae.child.output().match(/"level":(50|60)/g), null);
  t.true(runningUnder(join(scratch, 'mesos')).length > 0);
});

const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').filter(Boolean);

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : [];
  });
}
