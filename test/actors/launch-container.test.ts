// launch-container.test.ts: from a job with a container to the ContainerInfo that Mesos is told.

import test from 'ava';
import { launchPlan, requirements } from '../../actors/instance/launch.ts';
import { instanceKey, jobKey, taskId } from '../../actors/model/ids.ts';
import { readJob } from '../../actors/model/job.ts';
import { hostsOf } from '../../mesos/hosts.ts';
import { match } from '../../mesos/match.ts';
import { acceptCall } from '../../mesos/task-info.ts';
import { offer } from '../mesos/support/offers.ts';

const overhead = { cpus: 0.01, mem: 32, disk: 1 };
const key = jobKey('www', 'prod', 'web');

/** The one operation of the ACCEPT that launches such a job. */
function launched(more: object) {
  const read = readJob({ role: 'www', environment: 'prod', name: 'web', ...more });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const job = read.value;
  const instance = instanceKey(key, '1.service', 0);
  const task_id = taskId(instance, 1);
  const { plan } = requirements(key, 1, job, overhead);
  const [placement] = match(hostsOf([offer({ id: 'O1' })]), [{ ...plan, task_id }]).placements;
  const { ports, hostname } = placement!;
  const cause = { type: 'service' } as const;
  const state = {
    key: instance,
    job_key: key,
    run: '1.service',
    index: 0,
    cause,
    job,
    version: 1,
    run_created_at: 0,
    record: undefined,
  };
  const real = launchPlan(state, { task_id, hostname, ports, matched: plan }, 1, {});
  const { accept } = acceptCall([{ ...placement!, plan: real }], { framework_id: 'F', refuse_seconds: 0 });
  const operation = accept.operations[0]!;
  const task =
    operation.type === 'LAUNCH'
      ? operation.launch.task_infos[0]!
      : operation.type === 'LAUNCH_GROUP'
        ? operation.launch_group.task_group.tasks[0]!
        : undefined;
  return { operation, task: task!, ports };
}

test('a Docker container goes out as a LAUNCH, since a group may not hold it', t => {
  const container = {
    image: 'nginx:1',
    port_mappings: [{ port: 'http', container_port: 80 }],
    volumes: [{ host_path: '/srv', container_path: '/data', mode: 'ro' }],
    parameters: [{ key: 'hostname', value: 'web' }],
    user: 'nobody',
    stop_signal: 'SIGQUIT',
    force_pull: true,
  };
  const { operation, task, ports } = launched({ command: 'run {{thermos.ports[http]}}', container });
  t.is(operation.type, 'LAUNCH');
  t.deepEqual(task.container, {
    type: 'DOCKER',
    docker: {
      image: 'nginx:1',
      network: 'BRIDGE',
      port_mappings: [{ host_port: ports.http!, container_port: 80, protocol: 'tcp' }],
      parameters: [
        { key: 'hostname', value: 'web' },
        { key: 'user', value: 'nobody' },
        { key: 'stop-signal', value: 'SIGQUIT' },
      ],
      force_pull_image: true,
    },
    volumes: [{ mode: 'RO', container_path: '/data', host_path: '/srv' }],
  });
  t.like(task.command, { shell: true, value: `run ${ports.http}` });
  t.true(
    task.command!.environment!.variables.some(({ name, value }) => name === 'PORT_http' && value === `${ports.http}`),
  );
});

test('without a shell, command and arguments are words for the entrypoint', t => {
  const { task } = launched({ command: 'serve', container: { image: 'x', arguments: ['-p', '{{mesos.instance}}'] } });
  t.like(task.command, { shell: false, value: 'serve', arguments: ['-p', '0'] });
  const bare = launched({ container: { image: 'x' } }).task.command;
  t.like(bare, { shell: false, arguments: [] });
  t.is(bare?.value, undefined);
});

test("a container of Mesos's own goes out in a group, its networks and volumes named", t => {
  const container = {
    type: 'mesos',
    image: 'nginx:1',
    networks: [{ name: 'cni', labels: { zone: 'a' } }],
    port_mappings: [{ port: 'http', container_port: 80, protocol: 'tcp' }],
    volumes: [{ container_path: 'data', external: { driver: 'rexray', name: 'v', options: { size: '5' } } }],
  };
  const { operation, task, ports } = launched({ command: 'run', container });
  t.is(operation.type, 'LAUNCH_GROUP');
  t.deepEqual(task.container, {
    type: 'MESOS',
    mesos: { image: { type: 'DOCKER', docker: { name: 'nginx:1' }, cached: true } },
    volumes: [
      {
        mode: 'RW',
        container_path: 'data',
        source: {
          type: 'DOCKER_VOLUME',
          docker_volume: { driver: 'rexray', name: 'v', driver_options: { parameter: [{ key: 'size', value: '5' }] } },
        },
      },
    ],
    network_infos: [
      {
        name: 'cni',
        labels: { labels: [{ key: 'zone', value: 'a' }] },
        port_mappings: [{ host_port: ports.http!, container_port: 80, protocol: 'tcp' }],
      },
    ],
  });
});
