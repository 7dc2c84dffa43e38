// program.test.ts: the whole program with containers: what people of Chronos post, and a service behind a mapped port.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type Api, runsOf, startHorae } from '../program/horae.ts';
import { docker, startDocker, type TestEngine } from '../support/docker.ts';
import { freePort } from '../support/free-port.ts';
import { serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';

const owner = fileOwner();
let engine: TestEngine;
let api: Api;
let scratch: string;
let port: number;
test.before(async () => {
  if (docker === undefined) return;
  scratch = await tempDir(owner);
  engine = await startDocker(owner);
  await engine.image('libmesos/ubuntu');
  port = await freePort();
  const flags = [
    '--agent-resources',
    `cpus:16;mem:16000;disk:10000;ports:[${port}-${port}]`,
    '--docker',
    engine.socket,
  ];
  ({ api } = await startHorae(owner, join(scratch, 'data'), flags));
});
test.after.always(owner.clean);
const real = serialWith(docker);

real("Chronos's documented sample of a job in a container runs, and reads back as it was written", async t => {
  const logs = join(scratch, 'logs');
  mkdirSync(logs);
  writeFileSync(join(logs, 'given'), 'from the host\n');
  const sample = {
    schedule: 'R1//PT2M',
    name: 'dockerjob',
    container: {
      type: 'DOCKER',
      image: 'libmesos/ubuntu',
      network: 'BRIDGE',
      volumes: [{ containerPath: '/var/log/', hostPath: logs, mode: 'RW' }],
    },
    cpus: '0.5',
    mem: '64',
    uris: [],
    command: 'cat /var/log/given; date -u +%T > /var/log/time; exit 4',
    retries: 0,
  };
  t.is((await api.request('POST', '/scheduler/iso8601', sample)).status, 204);
  const run = await until('its end', async () =>
    (await runsOf(api, 'chronos/default/dockerjob')).find(({ state }) => state === 'failed'),
  );
  t.like(run.instances[0], { state: 'failed', reason: { code: 'exited', exit_code: 4 } });
  t.is((await api.request('GET', run.instances[0]!.links.stdout!)).text, 'from the host\n');
  t.regex(readFileSync(join(logs, 'time'), 'utf8'), /^\d\d:\d\d:\d\d\n$/);
  const [listed] = (await api.get('/scheduler/jobs')) as { container: object }[];
  t.deepEqual(listed!.container, sample.container);
});

real('a service in a bridge is reached through the port of the offer that its container port is mapped to', async t => {
  const job = {
    role: 'me',
    environment: 'test',
    name: 'web',
    service: true,
    mem: 64,
    command: 'echo "hello, $HORAE_JOB on $PORT_http" > /www/index.html; exec httpd -f -p 8080 -h /www',
    container: { image: 'libmesos/ubuntu', port_mappings: [{ container_port: 8080, port: 'http' }] },
  };
  t.is((await api.request('POST', '/api/v1/jobs', job)).status, 201);
  const page = await until('the page', () =>
    fetch(`http://127.0.0.1:${port}/`).then(
      answer => (answer.ok ? answer.text() : undefined),
      () => undefined,
    ),
  );
  t.is(page, `hello, me/test/web on ${port}\n`);
  const found = (await api.get('/api/v1/discovery/me/test/web')) as { members: { ports: object }[] };
  t.deepEqual(
    found.members.map(({ ports }) => ports),
    [{ http: port }],
  );
  t.is((await api.request('DELETE', '/api/v1/jobs/me/test/web')).status < 300, true);
  await until('the container to go', async () => (await engine.api.list()).length === 0);
});

real('an image that cannot be had: the instance says so in the words of the engine, once', async t => {
  const container = { image: '127.0.0.1:1/nowhere:1' };
  const job = { role: 'me', environment: 'test', name: 'nowhere', mem: 64, command: 'true', container };
  t.is((await api.request('POST', '/api/v1/jobs', job)).status, 201);
  const run = await until('its end', async () =>
    (await runsOf(api, 'me/test/nowhere')).find(({ state }) => state === 'failed'),
  );
  t.like(run.instances[0], { state: 'failed', attempt: 1, reason: { code: 'launch-failed' } });
  t.regex(JSON.stringify(run.instances[0]), /nowhere:1 cannot be had: .*(connect|refused)/);
});

real('a container that wants more memory than its job has is over-limit', async t => {
  const container = { image: 'libmesos/ubuntu' };
  const command = 'dd if=/dev/zero of=/dev/null bs=200M count=1';
  const job = { role: 'me', environment: 'test', name: 'hungry', mem: 32, command, container };
  t.is((await api.request('POST', '/api/v1/jobs', job)).status, 201);
  const run = await until('its end', async () =>
    (await runsOf(api, 'me/test/hungry')).find(({ state }) => state === 'failed'),
  );
  t.is(run.instances[0]!.reason!.code, 'over-limit');
});
