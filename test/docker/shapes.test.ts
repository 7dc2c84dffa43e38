// shapes.test.ts: what needs no engine: the frames of its output, options of docker run, names of images, logins.

import test from 'ava';
import fc from 'fast-check';
import { lineBehind } from '../../mesos/local/docker/behind.ts';
import { containerName } from '../../mesos/local/docker/containers.ts';
import { imageQuery, readAddress } from '../../mesos/local/docker/engine.ts';
import { applyOption, type Draft } from '../../mesos/local/docker/options.ts';
import { loginFor, registryOf } from '../../mesos/local/docker/registry.ts';
import { requestFor } from '../../mesos/local/docker/request.ts';
import { demultiplexer, type Kind, lines } from '../../mesos/local/docker/stream.ts';
import { readTenant } from '../../mesos/local/docker/tenant.ts';
import type { TaskInfo } from '../../mesos/protocol.ts';

const frame = (kind: number, bytes: Uint8Array) => {
  const header = Buffer.alloc(8);
  header[0] = kind;
  header.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
};

test('output is told apart wherever the pipe is cut, and not a byte is changed', t => {
  const pieces = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 })), { maxLength: 12 });
  fc.assert(
    fc.property(pieces, fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1 }), (frames, cuts) => {
      const pipe = Buffer.concat(frames.map(([kind, bytes]) => frame(kind, bytes)));
      const got: Record<Kind, Buffer[]> = { 1: [], 2: [] };
      const take = demultiplexer((kind, bytes) => void got[kind].push(Buffer.from(bytes)));
      for (let at = 0, n = 0; at < pipe.length; n++) {
        const end = at + cuts[n % cuts.length]!;
        take(pipe.subarray(at, end));
        at = end;
      }
      for (const kind of [1, 2] as const) {
        const sent = Buffer.concat(frames.filter(([one]) => one === kind).map(([, bytes]) => bytes));
        if (!Buffer.concat(got[kind]).equals(sent)) return false;
      }
      return true;
    }),
  );
  t.throws(() => demultiplexer(() => undefined)(Buffer.from('HTTP/1.1 500')), { message: /a frame of output begins/ });
});

test('news come by the line, the last one without an end too, and none without bound', t => {
  const got: string[] = [];
  const news = lines(line => void got.push(line), 20);
  news.add('{"a":1}\r\n{"b"');
  news.add(':2}\n\n{"c":3}');
  news.end();
  t.deepEqual(
    got.map(line => line.trim()),
    ['{"a":1}', '{"b":2}', '{"c":3}'],
  );
  t.throws(() => news.add('x'.repeat(21)));
});

test('an image is asked for by one tag, or by its digest', t => {
  t.deepEqual(imageQuery('busybox'), { fromImage: 'busybox', tag: 'latest' });
  t.deepEqual(imageQuery('host:5000/a/b'), { fromImage: 'host:5000/a/b', tag: 'latest' });
  t.deepEqual(imageQuery('host:5000/a/b:1.2'), { fromImage: 'host:5000/a/b', tag: '1.2' });
  t.deepEqual(imageQuery('a@sha256:00'), { fromImage: 'a@sha256:00' });
});

test('an engine is found by socket or by host and port, and nothing else is taken for one', t => {
  t.deepEqual(readAddress('/run/d.sock'), { socketPath: '/run/d.sock' });
  t.deepEqual(readAddress('unix:///run/d.sock'), { socketPath: '/run/d.sock' });
  t.deepEqual(readAddress('tcp://10.0.0.1:2375'), { host: '10.0.0.1', port: 2375 });
  for (const text of ['', 'ssh://host', 'unix://run', 'tcp://host']) t.is(readAddress(text), undefined, text);
});

test('a login is found under the names that files have for a registry', t => {
  const auth = Buffer.from('ann:pass').toString('base64');
  const login = { username: 'ann', password: 'pass' };
  t.like(loginFor('busybox', JSON.stringify({ auths: { 'https://index.docker.io/v1/': { auth } } })), login);
  t.like(loginFor('r.io/x', JSON.stringify({ 'https://r.io': { auth } })), login);
  t.like(loginFor('r.io/x', JSON.stringify({ auths: { 'r.io': { identitytoken: 't' } } })), { identitytoken: 't' });
  t.is(loginFor('other.io/x', JSON.stringify({ auths: { 'r.io': { auth } } })), undefined);
  t.regex(String(loginFor('r.io/x', JSON.stringify({ credsStore: 'pass' }))), /helper program, which is not asked/);
  t.is(loginFor('r.io/x', '{'), 'it is not JSON');
  t.is(registryOf('library/busybox'), 'docker.io');
  t.is(registryOf('localhost/x'), 'localhost');
});

test('options of docker run become what the API calls them; an unknown one and one that cannot be read are refused', t => {
  const draft: Draft = { config: {}, host: {} };
  const given: [string, string][] = [
    ['publish', '127.0.0.1:8080:80'],
    ['publish', '53/udp'],
    ['env', 'A=1'],
    ['env', 'B=2'],
    ['label', 'x=y=z'],
    ['ulimit', 'nofile=100:200'],
    ['shm-size', '64m'],
    ['cpus', '1.5'],
    ['tmpfs', '/run:size=1m'],
    ['device', '/dev/fuse'],
    ['log-driver', 'local'],
    ['log-opt', 'max-size=1m'],
    ['read-only', ''],
    ['--sysctl', 'net.core.somaxconn=1'],
  ];
  for (const [key, value] of given) t.is(applyOption(draft, key, value), undefined, key);
  t.deepEqual(draft.config, {
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    Env: ['A=1', 'B=2'],
    Labels: { x: 'y=z' },
  });
  t.deepEqual(draft.host, {
    PortBindings: { '80/tcp': [{ HostPort: '8080', HostIp: '127.0.0.1' }], '53/udp': [{ HostPort: '' }] },
    Ulimits: [{ Name: 'nofile', Soft: 100, Hard: 200 }],
    ShmSize: 67_108_864,
    NanoCpus: 1.5e9,
    Tmpfs: { '/run': 'size=1m' },
    Devices: [{ PathOnHost: '/dev/fuse', PathInContainer: '/dev/fuse', CgroupPermissions: 'rwm' }],
    LogConfig: { Type: 'local', Config: { 'max-size': '1m' } },
    ReadonlyRootfs: true,
    Sysctls: { 'net.core.somaxconn': '1' },
  });
  t.regex(applyOption(draft, 'publish', 'http')!, /is "http": expected/);
  t.regex(applyOption(draft, 'shm-size', 'much')!, /is "much": expected a number of bytes/);
  t.regex(applyOption(draft, 'tty', 'true')!, /cannot be given: output would lose its kind/);
  t.regex(applyOption(draft, 'constructor', 'x')!, /is not known/);
});

const scalar = (name: string, value: number) => ({ name, type: 'SCALAR', scalar: { value } }) as const;
const taskOf = (more: Partial<TaskInfo>): TaskInfo => ({
  name: 'a',
  task_id: { value: 'a' },
  agent_id: { value: 'S' },
  resources: [scalar('cpus', 0.5), scalar('mem', 64)],
  command: { value: 'true' },
  container: { type: 'DOCKER', docker: { image: 'x' } },
  ...more,
});
const context = { sandbox: '/box', agent_id: 'S', framework_id: 'F', cpu_hard: true, secrets: '/meta/secrets' };

test('resources are limits, and paths that are not whole are those of the sandbox', t => {
  const volumes = [{ mode: 'RO', container_path: 'data', host_path: 'given' } as const];
  const made = requestFor(taskOf({ container: { type: 'DOCKER', docker: { image: 'x' }, volumes } }), context);
  if ('problem' in made) return t.fail(made.problem);
  const { HostConfig } = made.body as { HostConfig: object };
  t.like(HostConfig, {
    CpuShares: 512,
    NanoCpus: 5e8,
    Memory: 64 * 2 ** 20,
    MemorySwap: 64 * 2 ** 20,
    NetworkMode: 'host',
    Binds: ['/box/given:/mnt/mesos/sandbox/data:ro'],
  });
});

test('a container that this agent cannot make is refused with what would be right', t => {
  const refused: [Partial<TaskInfo>, RegExp][] = [
    [{ container: { type: 'DOCKER' } }, /names no Docker image/],
    [{ container: { type: 'MESOS', mesos: { image: { type: 'APPC' } } } }, /names no Docker image/],
    [{ container: { type: 'DOCKER', docker: { image: 'x', network: 'USER' } } }, /no network_infos names it/],
    [
      { container: { type: 'DOCKER', docker: { image: 'x', port_mappings: [{ host_port: 1, container_port: 2 }] } } },
      /ports are mapped, and the network is HOST/,
    ],
    [
      {
        container: {
          type: 'DOCKER',
          docker: { image: 'x' },
          volumes: [{ mode: 'RW', container_path: '/a', host_path: '../../etc' }],
        },
      },
      /climbs/,
    ],
    [
      {
        container: {
          type: 'DOCKER',
          docker: { image: 'x' },
          volumes: [{ mode: 'RW', container_path: '/a', source: { type: 'HOST_PATH' } }],
        },
      },
      /comes from HOST_PATH: expected DOCKER_VOLUME/,
    ],
  ];
  for (const [more, words] of refused) {
    const made = requestFor(taskOf(more), context);
    t.regex('problem' in made ? made.problem : 'made', words);
  }
});

test('secrets of a container are bound into it, and stand nowhere in what its engine is told', t => {
  const secret = { type: 'REFERENCE', reference: { name: 'me/db' } };
  const volumes = [{ mode: 'RO', container_path: '.secrets/db', source: { type: 'SECRET', secret } } as const];
  const environment = { variables: [{ name: 'DB_PASSWORD', type: 'SECRET', secret } as const] };
  const made = requestFor(
    taskOf({ command: { value: 'true', environment }, container: { type: 'DOCKER', docker: { image: 'x' }, volumes } }),
    context,
  );
  if ('problem' in made) return t.fail(made.problem);
  const { HostConfig, Env } = made.body as { HostConfig: { Mounts: object[] }; Env: string[] };
  t.like(HostConfig.Mounts[1], { Source: '/meta/secrets', Target: '/mnt/mesos/sandbox/.secrets', ReadOnly: true });
  t.false(JSON.stringify(Env).includes('DB_PASSWORD'));
  t.is(made.behind?.[0], '/bin/sh');
});

test('what a container runs behind other words is what the engine would have run', t => {
  const image = { Entrypoint: ['/entry', 'e'], Cmd: ['own'] };
  const lines: [object, object, string[] | undefined][] = [
    [{}, image, ['/entry', 'e', 'own']],
    [{ Cmd: ['a'] }, image, ['/entry', 'e', 'a']],
    [{ Entrypoint: ['/mine'] }, image, ['/mine']],
    [{ Entrypoint: ['/mine'], Cmd: ['a'] }, image, ['/mine', 'a']],
    [{}, { Entrypoint: null, Cmd: ['own'] }, ['own']],
    [{}, {}, undefined],
  ];
  for (const [wanted, of, line] of lines)
    t.deepEqual(lineBehind(['sh'], wanted, of), line && { Entrypoint: ['sh'], Cmd: line });
});

test('as whom a container runs is read from its own lists of users and groups, as an engine reads them', t => {
  const users = ['root:x:0:0:', 'www:x:33:34:', '1000:x:7:8:'].map(line => line.split(':'));
  const groups = ['staff:x:50:', ''].map(line => line.split(':'));
  const cases: [string, string, object | undefined][] = [
    ['www', '', { uid: 33, gid: 34 }],
    ['www', 'staff', { uid: 33, gid: 50 }],
    ['33', '', { uid: 33, gid: 34 }],
    ['65534', '', { uid: 65_534, gid: 0 }],
    ['5', '6', { uid: 5, gid: 6 }],
    ['1000', '', { uid: 7, gid: 8 }],
    ['nobody', '', undefined],
    ['4294967295', '', undefined],
    ['www', 'nobodies', undefined],
  ];
  for (const [user, group, tenant] of cases)
    t.deepEqual(readTenant({ user, group }, users, groups), tenant as never, `${user}:${group}`);
});

test('a container has a name that the engine takes, and no other task has it', t => {
  const name = containerName('S', 'ct:1420843781398:0:a job:--x y');
  t.regex(name, /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/);
  t.not(containerName('S', 'a b'), containerName('S', 'a_b'));
  t.true(containerName('S', 'x'.repeat(255)).length < 255);
});
