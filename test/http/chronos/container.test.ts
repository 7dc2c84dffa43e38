// container.test.ts: Chronos jobs in containers: what its users have in their files means here what it meant there.

import test from 'ava';
import { readChronos } from '../../../transport/http/chronos/document.ts';
import { serve } from '../support/serve.ts';

/** The sample of Chronos's documentation. */
const sample = {
  schedule: 'R/2014-09-25T17:22:00Z/PT2M',
  name: 'dockerjob',
  container: {
    type: 'DOCKER',
    image: 'libmesos/ubuntu',
    network: 'BRIDGE',
    volumes: [{ containerPath: '/var/log/', hostPath: '/logs/', mode: 'RW' }],
  },
  cpus: '0.5',
  mem: '512',
  fetch: [],
  command: 'while sleep 10; do date =u %T; done',
};
const jobOf = (document: object) => {
  const read = readChronos({ ...sample, ...document });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value.job;
};
const placesOf = (document: object) => {
  const read = readChronos({ ...sample, ...document });
  return read.ok ? [] : read.problems.map(({ place }) => place);
};

test('the documented sample is accepted, and reads back as it was written', async t => {
  const { ask, core } = await serve(t);
  t.is((await ask('POST', '/scheduler/iso8601', { json: sample })).status, 204);
  const { job } = core.views.job('chronos/default/dockerjob')!.record;
  t.like(job, { command: sample.command, cpus: 0.5, mem: 512 });
  t.like(job.container, { type: 'docker', image: 'libmesos/ubuntu', network: 'bridge', shell: true });
  t.deepEqual(job.container?.volumes, [{ container_path: '/var/log/', host_path: '/logs/', mode: 'rw' }]);
  const [listed] = (await ask('GET', '/scheduler/jobs')).json as unknown as Record<string, unknown>[];
  t.deepEqual(listed!.container, sample.container);
});

test('an absent type is DOCKER, an absent network HOST, texts are numbers and flags', t => {
  const { container } = jobOf({ container: { image: 'x', forcePullImage: 'true' } });
  t.like(container, { type: 'docker', network: 'host', force_pull: true });
  const infos = [
    { name: 'blue', labels: [{ key: 'a', value: '1' }], portMappings: [{ hostPort: '8080', containerPort: '80' }] },
  ];
  t.like(jobOf({ container: { type: 'docker', image: 'x', network: 'USER', networkInfos: infos } }).container, {
    networks: [{ name: 'blue', labels: { a: '1' } }],
    port_mappings: [{ container_port: 80, host_port: 8080 }],
  });
});

test('a port without a number of its own is asked of the offer', t => {
  const networkInfos = [{ portMappings: [{ containerPort: 80 }] }];
  const job = jobOf({ container: { image: 'x', network: 'BRIDGE', networkInfos } });
  t.deepEqual(job.ports, ['port_80']);
  t.deepEqual(job.container?.port_mappings, [{ container_port: 80, port: 'port_80' }]);
  t.deepEqual(job.container?.networks, []);
});

test('without a shell the arguments stay words, for the entrypoint of the image', t => {
  const job = jobOf({ shell: false, command: 'serve', arguments: ['a b', '$x'] });
  t.is(job.command, 'serve');
  t.like(job.container, { shell: false, arguments: ['a b', '$x'] });
  const bare = jobOf({ command: undefined });
  t.is(bare.command, undefined);
  t.is(bare.container?.shell, false);
});

test('external volumes, parameters and the containers of Mesos are understood', t => {
  const external = { name: 'v', provider: 'rexray', options: [{ key: 'size', value: '5' }] };
  const volumes = [{ containerPath: '/data', mode: 'RO', external }];
  const docker = jobOf({ container: { image: 'x', volumes, parameters: [{ key: 'env', value: 'A=1' }] } });
  t.deepEqual(docker.container?.volumes, [
    { container_path: '/data', mode: 'ro', external: { driver: 'rexray', name: 'v', options: { size: '5' } } },
  ]);
  t.deepEqual(docker.container?.parameters, [{ key: 'env', value: 'A=1' }]);
  t.like(jobOf({ container: { type: 'mesos', image: 'x' } }).container, { type: 'mesos' });
});

test('a container without an image was none to Chronos', t => {
  const job = jobOf({ container: { type: 'DOCKER' } });
  t.is(job.container, undefined);
  t.deepEqual(placesOf({ command: undefined, container: { type: 'DOCKER' } }), ['/command']);
});

test('what is wrong with a container is said at its place', t => {
  const refused: [object, string][] = [
    [{ type: 'LXC', image: 'x' }, '/container/type'],
    [{ image: 'x', network: 'bridge' }, '/container/network'],
    [{ image: 'x', forcePullImage: 'perhaps' }, '/container/forcePullImage'],
    [{ image: 'x', volumes: 'all' }, '/container/volumes'],
    [{ image: 'x', volumes: [{ hostPath: '/a' }] }, '/container/volumes/0/containerPath'],
    [{ image: 'x', volumes: [{ containerPath: '/a', mode: 'RX' }] }, '/container/volumes/0/mode'],
    [{ image: '' }, '/container/image'],
  ];
  for (const [container, place] of refused) t.true(placesOf({ container }).includes(place), JSON.stringify(container));
  t.deepEqual(placesOf({ container: 'x' }), ['/container']);
});
