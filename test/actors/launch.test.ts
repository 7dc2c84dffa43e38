// launch.test.ts: from a job to what Mesos is told: which executor, which resources, what of the job is filled in where.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import { type InstanceState, instance } from '../../actors/instance/instance.ts';
import { launchPlan, requirements } from '../../actors/instance/launch.ts';
import { instanceKey, jobKey, taskId } from '../../actors/model/ids.ts';
import { readJob } from '../../actors/model/job.ts';
import { readLaunch } from '../../mesos/executor/launch.ts';
import { hostsOf } from '../../mesos/hosts.ts';
import { match } from '../../mesos/match.ts';
import { acceptCall } from '../../mesos/task-info.ts';
import { offer } from '../mesos/support/offers.ts';

const overhead = { cpus: 0.01, mem: 32, disk: 1 };
const archive = () => 'http://horae.example.com:8080/executor/1-abc/horae-executor.tar.gz';
const key = jobKey('www', 'prod', 'web');
function stateOf(more: object): InstanceState {
  const read = readJob({ role: 'www', environment: 'prod', name: 'web', ...more });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return {
    key: instanceKey(key, '1.service', 3),
    job_key: key,
    run: '1.service',
    index: 3,
    cause: { type: 'service' },
    job: read.value,
    version: 1,
    run_created_at: 0,
    record: undefined,
  };
}
/** The one task of the ACCEPT that launches it, as Mesos is told. */
function launched(state: InstanceState) {
  const task_id = taskId(state.key, 1);
  const { plan } = requirements(key, 1, state.job, overhead);
  const [placement] = match(hostsOf([offer({ id: 'O1' })]), [{ ...plan, task_id }]).placements;
  const { ports, hostname } = placement!;
  const real = launchPlan(state, { task_id, hostname, ports, matched: plan }, 1, { archive });
  const { accept } = acceptCall([{ ...placement!, plan: real }], { framework_id: 'F', refuse_seconds: 0 });
  return { operation: accept.operations[0]!, ports, task_id, hostname };
}
const amount = (resources: readonly { name: string; scalar?: { value: number } }[] = [], name: string) =>
  resources.find(one => one.name === name)?.scalar?.value;

test("a job of processes goes out with Horae's own executor, its needs beside those of the task", t => {
  const processes = [{ name: 'serve', command: 'serve {{thermos.ports[http]}} {{mesos.instance}}', daemon: true }];
  const health_check = { checker: { type: 'http', port: 'http' } };
  const state = stateOf({
    processes,
    health_check,
    env: { A: 'at {{mesos.hostname}}' },
    disk: 128,
    kill_grace_ms: 9_000,
  });
  const { operation, ports, task_id, hostname } = launched(state);
  if (operation.type !== 'LAUNCH') return t.fail(operation.type);
  const [info] = operation.launch.task_infos;
  t.is(info!.command, undefined);
  t.like(info!.executor, { type: 'CUSTOM', executor_id: { value: task_id }, framework_id: { value: 'F' } });
  t.deepEqual(info!.executor?.command?.uris, [{ value: archive(), extract: true, cache: true }]);
  t.is(amount(info!.executor?.resources, 'disk'), 192, 'for the archive');
  t.is(amount(info!.resources, 'disk'), 128, 'all of it for the task');
  t.is(info!.kill_policy?.grace_period?.nanoseconds, 9_000_000_000);
  t.deepEqual(info!.discovery, {
    visibility: 'CLUSTER',
    name: 'web.prod.www',
    ports: { ports: [{ number: ports.http!, name: 'http', protocol: 'tcp' }] },
  });
  const read = readLaunch(info!, hostname);
  if (!read.ok) return t.fail(JSON.stringify(read.problems));
  t.is(read.value.document.processes[0]!.command, `serve ${ports.http} 3`);
  t.like(read.value.document.env, {
    A: `at ${hostname}`,
    HORAE_JOB: 'www/prod/web',
    HORAE_INSTANCE: '3',
    HORAE_ATTEMPT: '1',
  });
  t.is(read.value.document.finalization_wait_ms, 9_000);
  t.is(read.value.bindings.user, 'www');
});

test('what the task must be able to trust is not for its job to set', t => {
  const state = stateOf({ processes: [{ name: 'a', command: 'true' }], env: { HORAE_ATTEMPT: '99' } });
  const { operation, hostname } = launched(state);
  if (operation.type !== 'LAUNCH') return t.fail(operation.type);
  const read = readLaunch(operation.launch.task_infos[0]!, hostname);
  t.is(read.ok && read.value.document.env.HORAE_ATTEMPT, '1');
});

test('a plain command goes out as it is, under the default executor, with its blanks filled in and all other braces kept', t => {
  const command = "serve {{thermos.ports[http]}} {{ mesos.instance }} -f '{{.Name}}' {{x}}";
  const { operation, ports } = launched(stateOf({ command, env: { HOST: '{{mesos.hostname}}', OTHER: '{{y}}' } }));
  if (operation.type !== 'LAUNCH_GROUP') return t.fail(operation.type);
  const [info] = operation.launch_group.task_group.tasks;
  t.is(operation.launch_group.executor?.type, 'DEFAULT');
  t.is(amount(operation.launch_group.executor?.resources, 'mem'), overhead.mem);
  t.is(info!.command?.value, `serve ${ports.http} 3 -f '{{.Name}}' {{x}}`);
  const variables = Object.fromEntries((info!.command?.environment?.variables ?? []).map(one => [one.name, one.value]));
  t.like(variables, { HOST: 'host-S0', OTHER: '{{y}}', PORT_http: String(ports.http) });
});

test('one whose health is looked at has an executor, even if it is a single command', t => {
  const { operation } = launched(
    stateOf({ command: 'serve', health_check: { checker: { type: 'shell', command: 'true' } } }),
  );
  if (operation.type !== 'LAUNCH') return t.fail(operation.type);
  t.is(operation.launch.task_infos[0]!.discovery, undefined, 'without ports there is nothing to be found');
});

test('a task whose health is looked at has the time of all its checks before it is given up', t => {
  const health_check = {
    checker: { type: 'shell', command: 'true' },
    initial_interval_ms: 3_600_000,
    interval_ms: 60_000,
    max_consecutive_failures: 2,
    min_consecutive_successes: 3,
  };
  const window_ms = (60 + 2 + 3) * 60_000;
  const times = {
    retry_delay_ms: 1,
    retry_delay_ms_max: 1,
    kill_retry_ms: 1,
    well_after_ms: 1,
    start_timeout_ms: 10_000,
    executor: overhead,
  };
  const placed = { attempt: 1, failures: 0, since: 0, agent_id: 'S0', hostname: 'h0', version: 1 };
  const says = (command: object, now: number) => {
    const state = { ...stateOf({ command: 'serve', ...command }), record: { status: 'starting', ...placed } as const };
    const status = { task_id: { value: taskId(state.key, 1) }, state: 'TASK_STARTING' } as const;
    return instance(times)(state, { type: 'updated', status }, now).state.record?.status;
  };
  t.is(says({}, 10_000), 'killing');
  t.is(says({ health_check }, window_ms + 9_999), 'starting');
  t.is(says({ health_check }, window_ms + 10_000), 'killing');
});

test('a job that needs the executor asks for no place before it is packed; others do not wait for it', t => {
  let packed: string | undefined;
  const times = {
    retry_delay_ms: 1,
    retry_delay_ms_max: 1,
    kill_retry_ms: 1,
    well_after_ms: 1,
    start_timeout_ms: 1,
    executor: overhead,
    archive: () => packed,
  };
  const said = (step: { readonly effects: readonly Effect[] }) =>
    step.effects.flatMap(one => (one.type === 'tell' ? [`${one.to} ${one.message.type}`] : []));
  const move = instance(times);
  t.deepEqual(said(move(stateOf({ command: 'true' }), { type: 'begin' }, 0)), ['placement wanted']);
  const waits = move(stateOf({ processes: [{ name: 'a', command: 'true' }] }), { type: 'begin' }, 0);
  t.deepEqual(said(waits), ['timetable armed']);
  t.is(waits.state.record?.status, 'pending');
  t.deepEqual(said(move(waits.state, { type: 'due' }, 250)), ['timetable armed'], 'it is not there yet');
  packed = 'http://127.0.0.1/executor.tar.gz';
  const asks = move(waits.state, { type: 'due' }, 500);
  t.deepEqual(said(asks), ['placement wanted']);
  t.is(asks.effects.length, 1, 'nothing is written for having waited');
});

test('user and limits of processes: of the command, or of the executor whose children the processes are', t => {
  const limits = { user: 'www-data', rlimits: { nofile: { soft: 100, hard: 200 }, core: 'unlimited', nproc: 50 } };
  const container = {
    type: 'MESOS',
    rlimit_info: {
      rlimits: [
        { type: 'RLMT_CORE' },
        { type: 'RLMT_NOFILE', soft: 100, hard: 200 },
        { type: 'RLMT_NPROC', soft: 50, hard: 50 },
      ],
    },
  };
  const plain = launched(stateOf({ command: 'true', ...limits })).operation;
  if (plain.type !== 'LAUNCH_GROUP') return t.fail(plain.type);
  const [info] = plain.launch_group.task_group.tasks;
  t.is(info!.command?.user, 'www-data');
  t.deepEqual(info!.container as unknown, container);
  const several = launched(stateOf({ processes: [{ name: 'p', command: 'true' }], ...limits })).operation;
  if (several.type !== 'LAUNCH') return t.fail(several.type);
  const { executor, container: of_task } = several.launch.task_infos[0]!;
  t.is(executor?.command?.user, 'www-data');
  t.deepEqual(executor?.container as unknown, container);
  t.is(of_task, undefined);
});
