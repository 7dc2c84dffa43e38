// job-container.test.ts: what a job may say of its container, and how it is written down.

import test from 'ava';
import { readJob } from '../actors/model/job.ts';

const base = { role: 'www', environment: 'prod', name: 'hello', command: 'true' };
const jobOf = (more: object) => {
  const read = readJob({ ...base, ...more });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value;
};
const placesOf = (more: object) => {
  const read = readJob({ ...base, ...more });
  return read.ok ? [] : read.problems.map(({ place }) => place);
};

test('a container of few words is kept with all that they mean', t => {
  t.deepEqual(jobOf({ container: { image: 'busybox' } }).container, {
    type: 'docker',
    image: 'busybox',
    network: 'host',
    networks: [],
    port_mappings: [],
    volumes: [],
    parameters: [],
    force_pull: false,
    shell: true,
    arguments: [],
  });
});

test('an image may bring what is run: a job with a container needs no command', t => {
  const { command, container } = jobOf({ command: undefined, container: { image: 'nginx', arguments: ['-v'] } });
  t.is(command, undefined);
  t.like(container, { shell: false, arguments: ['-v'] });
  t.deepEqual(placesOf({ command: undefined }), ['/command']);
});

test('a port that is mapped by name is asked for, and makes the network a bridge', t => {
  const job = jobOf({
    ports: ['admin'],
    container: { image: 'web', port_mappings: [{ container_port: 80, port: 'http' }] },
  });
  t.deepEqual(job.ports, ['admin', 'http']);
  t.is(job.container?.network, 'bridge');
  t.is(jobOf({ container: { image: 'web', networks: [{ name: 'blue' }] } }).container?.network, 'user');
});

test('a canonical container, read again, is the same text', t => {
  const container = {
    stop_signal: 'SIGINT',
    user: 'nobody',
    volumes: [
      { container_path: '/data', mode: 'ro', host_path: '/srv' },
      { external: { options: { size: '1' }, name: 'v', driver: 'rexray' }, container_path: '/ext' },
    ],
    networks: [{ labels: { a: '1' }, name: 'blue', protocol: 'ipv4' }],
    port_mappings: [{ protocol: 'udp', port: 'dns', container_port: 53 }],
    parameters: [{ value: 'x', key: 'hostname' }],
    image: 'dns:1',
  };
  const once = JSON.stringify(jobOf({ container }));
  t.is(JSON.stringify(jobOf(JSON.parse(once))), once);
});

test('what cannot be meant is refused at its place', t => {
  const mapped = [{ container_port: 80, port: 'http' }];
  const refused: [object, string][] = [
    [{ container: {} }, '/container/image'],
    [{ container: { image: 'a b' } }, '/container/image'],
    [{ container: { image: 'x', network: 'NAT' } }, '/container/network'],
    [{ container: { image: 'x', network: 'host', port_mappings: mapped } }, '/container/network'],
    [{ container: { image: 'x', network: 'user' } }, '/container/networks'],
    [{ container: { image: 'x', port_mappings: [{ container_port: 80 }] } }, '/container/port_mappings/0'],
    [
      { container: { image: 'x', port_mappings: [{ container_port: 0, port: 'a' }] } },
      '/container/port_mappings/0/container_port',
    ],
    [{ container: { image: 'x', volumes: [{ container_path: '/a:b' }] } }, '/container/volumes/0/container_path'],
    [
      {
        container: {
          image: 'x',
          volumes: [{ container_path: '/a', host_path: '/b', external: { driver: 'd', name: 'n' } }],
        },
      },
      '/container/volumes/0',
    ],
    [{ container: { image: 'x', shell: true, arguments: ['a'] } }, '/container/arguments'],
    [{ command: undefined, container: { image: 'x', shell: true } }, '/container/shell'],
    [{ container: { image: 'x', stop_signal: 'HUP' } }, '/container/stop_signal'],
    [{ container: { image: 'x', type: 'mesos', user: 'nobody' } }, '/container/user'],
    [{ container: { image: 'x' }, health_check: { checker: { type: 'http' } } }, '/container'],
    [{ container: { image: 'x', colour: 'blue' } }, '/container/colour'],
  ];
  for (const [change, place] of refused) t.true(placesOf(change).includes(place), JSON.stringify(change));
});
