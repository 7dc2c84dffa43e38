// pull.test.ts: where images come from: pulled when they are missing or must be new, from a registry that the engine asks.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { docker, startDocker, type TestEngine } from '../support/docker.ts';
import { serialWith } from '../support/needs.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { fileOwner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { contained, openWard, wardFolder } from './ward.ts';

const owner = fileOwner();
let engine: TestEngine;
let registry: Registry;
let ward: Awaited<ReturnType<typeof openWard>>;
let root_fs: Buffer;
test.before(async () => {
  if (docker === undefined) return;
  registry = await startRegistry(owner);
  engine = await startDocker(owner);
  root_fs = await engine.root_fs();
  ward = await openWard(owner, { socket: engine.socket });
});
test.after.always(owner.clean);
const real = serialWith(docker);
const run = async (id: string, docker: object) => {
  await ward.outcome(contained(id, undefined, docker));
  return ward.output(id);
};

real('an image is pulled when it is missing, and not again; a forced pull brings what is new', async t => {
  registry.put('app', root_fs, { Cmd: ['/bin/echo', 'first'] });
  const image = registry.at('app');
  t.is(await run('missing', { image }), 'first\n');
  t.is(registry.asked('app'), 1);
  registry.put('app', root_fs, { Cmd: ['/bin/echo', 'second'] });
  t.is(await run('there', { image }), 'first\n');
  t.is(registry.asked('app'), 1);
  t.is(await run('forced', { image, force_pull_image: true }), 'second\n');
});

real('an image that the registry does not have is told in the words of the engine', async t => {
  const done = await ward.outcome(contained('unknown', 'true', { image: registry.at('nobody:3') }));
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
  t.regex(done.message, /the image 127\.0\.0\.1:\d+\/nobody:3 cannot be had: manifest .*unknown/);
});

real('a registry that wants to know who we are is shown what docker login wrote down', async t => {
  const closed = await startRegistry(t, 'ann:s3cret:x');
  closed.put('private', root_fs, { Cmd: ['/bin/echo', 'let in'] });
  const image = closed.at('private');
  const refused = await ward.outcome(contained('stranger', 'true', { image }));
  t.regex(
    refused.message,
    /the image \S+ cannot be had: .*(no basic auth credentials|unauthorized|authentication required)/,
  );
  const folder = wardFolder(t);
  const login = join(folder, 'config.json');
  const auth = Buffer.from('ann:s3cret:x').toString('base64');
  writeFileSync(login, JSON.stringify({ auths: { [image.split('/')[0]!]: { auth } } }));
  const known = await openWard(t, { socket: engine.socket, login });
  const told = await known.outcome(contained('known', undefined, { image }));
  t.is(told.state, 'TASK_FINISHED', told.message);
  t.is(known.output('known'), 'let in\n');
});

real('an image of another architecture is refused by that name, not by a program that cannot be run', async t => {
  registry.put('foreign', root_fs, { Cmd: ['/bin/true'] }, 's390x');
  const done = await ward.outcome(contained('foreign', 'true', { image: registry.at('foreign') }));
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
  t.regex(done.message, /the image \S+ is for s390x, and this machine is amd64: expected an image for amd64/);
});

real("the image's own stop signal is heeded", async t => {
  registry.put('quits', root_fs, { StopSignal: 'SIGQUIT' });
  const line = "trap 'echo quit; exit 0' QUIT; echo up; while :; do sleep 0.1; done";
  await ward.scheduler.launch([contained('quits', line, { image: registry.at('quits') })]);
  await ward.scheduler.reached('quits', 'TASK_RUNNING');
  await until('it to speak', () => ward.output('quits').includes('up'));
  await ward.kill('quits', 60_000);
  await ward.scheduler.reached('quits', 'TASK_KILLED');
  t.is(ward.output('quits'), 'up\nquit\n');
});

real(
  "a container of Mesos's own kind is run from the same image, its command in the place of the entrypoint",
  async t => {
    registry.put('entry', root_fs, { Entrypoint: ['/bin/echo', 'entry'] });
    const container = {
      type: 'MESOS',
      docker: undefined,
      mesos: { image: { type: 'DOCKER', docker: { name: registry.at('entry') } } },
    };
    const command = { shell: false, value: '/bin/printf', arguments: ['printf', '%s!', 'a b'] };
    await ward.outcome(contained('mesos', undefined, {}, { container, command }));
    t.is(ward.output('mesos'), 'a b!');
  },
);
