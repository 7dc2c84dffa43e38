// secrets.test.ts: secrets in containers of a real Docker engine: who is in there has them, and its engine knows nothing.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { runsOf, startHorae } from '../program/horae.ts';
import { docker, startDocker, type TestEngine } from '../support/docker.ts';
import { commandLinesWith, filesWith } from '../support/holders.ts';
import { serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';

const owner = fileOwner();
let engine: TestEngine;
let horae: Awaited<ReturnType<typeof startHorae>>;
let data = '';
/** With what a shell would read in its own way. */
const value = ["it's $HOME `x`", '"\\ a$(b)'].join('-');
const digest = createHash('sha256').update(value).digest('hex');
const secrets = [
  { name: 'db', env: 'DB_PASSWORD' },
  { name: 'db', file: 'db.txt' },
];
/** Tells of what it has without telling it, and waits. */
const line =
  'id -u > who; cat who; printf %s "$DB_PASSWORD" | sha256sum; tr -d "\\n" < .secrets/db.txt | sha256sum; echo "$0 $*"; sleep 1000';

test.before(async () => {
  if (docker === undefined) return;
  const folder = await tempDir(owner);
  data = join(folder, 'data');
  mkdirSync(join(folder, 'secrets', 'me'), { recursive: true });
  writeFileSync(join(folder, 'secrets', 'me', 'db'), `${value}\n`);
  engine = await startDocker(owner);
  await engine.image('busybox:1', ['WORKDIR /mnt/mesos/sandbox']);
  const words = JSON.stringify(['/bin/sh', '-c', line]);
  await engine.image('entry:1', [`ENTRYPOINT ${words}`, 'CMD ["own"]', 'USER nobody', 'WORKDIR /mnt/mesos/sandbox']);
  horae = await startHorae(owner, data, ['--docker', engine.socket, '--secrets-dir', join(folder, 'secrets')]);
});
test.after.always(owner.clean);
const real = serialWith(docker);

const submit = async (t: ExecutionContext, name: string, document: object) => {
  const job = { role: 'me', environment: 'test', name, mem: 64, kill_grace_ms: 0, secrets, ...document };
  const answer = await horae.api.request('POST', '/api/v1/jobs', job);
  t.is(answer.status, 201, answer.text);
};
const runIn = (name: string, state: string) =>
  until(`${name} to be ${state}`, async () =>
    (await runsOf(horae.api, `me/test/${name}`)).find(run => run.instances[0]?.state === state || run.state === state),
  );
const outputOf = async (name: string, lines: number) => {
  const run = await runIn(name, 'running');
  return until(`${lines} lines of ${name}`, async () => {
    const said = (await horae.api.request('GET', run.instances[0]!.links.stdout!)).text.split('\n');
    return said.length > lines ? said : undefined;
  });
};
const end = async (name: string) => {
  const { status } = await horae.api.request('DELETE', `/api/v1/jobs/me/test/${name}`);
  if (status >= 300) throw new Error(`${name} was not deleted: ${status}`);
  await until('its container to go', async () => (await engine.api.list()).length === 0);
};
/** As it is, or as a shell is told it. */
const holders = (folder: string) => filesWith(folder, value, value.replaceAll("'", "'\\''"));
/** What the engine writes down, and what it tells. */
async function engineKnows(): Promise<boolean> {
  const home = dirname(engine.socket);
  const [one] = await engine.api.list();
  const inspected = JSON.stringify(await engine.api.inspect(one!.Id));
  const told = inspected.includes(JSON.stringify(value).slice(1, -1)) || inspected.includes('"DB_PASSWORD');
  return told || holders(join(home, 'data', 'containers')).length > 0 || holders(join(home, 'exec')).length > 0;
}
real('a line for a shell has its secrets in its environment and in files, and its engine has them nowhere', async t => {
  await submit(t, 'lined', { command: line, container: { image: 'busybox:1' } });
  const [user, in_env, in_file] = await outputOf('lined', 4);
  t.deepEqual([user, in_env, in_file], ['0', `${digest}  -`, `${digest}  -`]);
  t.false(await engineKnows());
  t.deepEqual(commandLinesWith(value), []);
  const held = holders(data);
  t.deepEqual(held.map(path => path.split('/').slice(-2).join('/')).sort(), ['secrets/.variables', 'secrets/db.txt']);
  t.true(held.every(path => path.startsWith(join(data, 'agent', 'meta'))));
  t.is(statSync(join(held[0]!, '..', '..')).mode & 0o777, 0o700, 'nobody else of this machine gets there');
  const { run } = await runIn('lined', 'running');
  const files = `/api/v1/jobs/me/test/lined/runs/${run}/instances/0/files`;
  for (const path of ['', '?path=.secrets', '/content?path=.secrets/db.txt', '/content?path=.secrets/.variables'])
    t.notRegex((await horae.api.request('GET', `${files}${path}`)).text, /secrets"|\$HOME `x`/, path);

  // A command beside it has the same environment.
  const main = join(import.meta.dirname, '..', '..', 'main.ts');
  const beside = ['sh', '-c', 'printf %s "$DB_PASSWORD" | sha256sum'];
  const argv = [main, 'task', 'exec', '--url', horae.api.url, '-T', 'me/test/lined', '--', ...beside];
  const child = spawn(process.execPath, argv, {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.is(await text(child.stdout), `${digest}  -\n`);

  await end('lined');
  await until('its secrets to go', () => holders(data).length === 0);
  t.false(horae.child.output().includes(value));
});

real('what an image runs by itself, as whomever it likes, has them too', async t => {
  await submit(t, 'own', { container: { image: 'entry:1' } });
  const [user, in_env, in_file, words] = await outputOf('own', 4);
  t.deepEqual([user, in_env, in_file, words], ['65534', `${digest}  -`, `${digest}  -`, 'own ']);
  t.false(await engineKnows());
  await end('own');
  await until('its secrets to go', () => holders(data).length === 0);
});

real('an image without a shell gets files, and says so when it is to have variables', async t => {
  await engine.image('bare:1', ['ENTRYPOINT ["/bin/busybox"]'], ['bin/sh']);
  const container = { image: 'bare:1', shell: false, arguments: ['wc', '-c', '/mnt/mesos/sandbox/.secrets/db.txt'] };
  await submit(t, 'files', { container, secrets: [secrets[1]] });
  const done = await runIn('files', 'succeeded');
  const said = await horae.api.request('GET', done.instances[0]!.links.stdout!);
  t.is(said.text, `${value.length + 1} /mnt/mesos/sandbox/.secrets/db.txt\n`);
  await submit(t, 'variables', { container });
  const { instances } = await runIn('variables', 'failed');
  t.regex(
    JSON.stringify(instances[0]!.reason),
    /secrets in the environment want a \/bin\/sh in the image: expected files/,
  );
});

real('a container whose secret cannot be had is not made', async t => {
  const container = { image: 'busybox:1' };
  await submit(t, 'missing', { command: 'true', container, secrets: [{ name: 'nothing', env: 'X' }] });
  const { instances } = await runIn('missing', 'failed');
  t.regex(JSON.stringify(instances[0]!.reason), /there is no secret \\"me\/nothing\\"/);
  t.deepEqual(await engine.api.list(), []);
});
