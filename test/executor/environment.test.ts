// environment.test.ts: what an agent tells its executor, and what the executor tells its processes.

import test from 'ava';
import { durationMs, processEnvironment, readIntroduction, timings_default } from '../../mesos/executor/environment.ts';

const recorded = {
  MESOS_AGENT_ENDPOINT: '127.0.0.1:5151',
  MESOS_CHECKPOINT: '1',
  MESOS_DIRECTORY: '/sandbox',
  MESOS_EXECUTOR_ID: 'env',
  MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: '7secs',
  MESOS_FRAMEWORK_ID: 'F',
  MESOS_RECOVERY_TIMEOUT: '99hrs',
  MESOS_SANDBOX: '/sandbox',
  MESOS_SLAVE_PID: 'slave(1)@127.0.0.1:5151',
  MESOS_SUBSCRIPTION_BACKOFF_MAX: '2secs',
};

test('the environment of a real agent is understood', t => {
  t.deepEqual(readIntroduction(recorded), {
    ok: true,
    value: {
      endpoint: { host: '127.0.0.1', port: 5151 },
      path: '/api/v1/executor',
      framework_id: 'F',
      executor_id: 'env',
      sandbox: '/sandbox',
      recovery_ms: 99 * 3_600_000,
      backoff_ms_max: 2_000,
      shutdown_grace_ms: 7_000,
      timings: timings_default,
    },
  });
});

test('without checkpointing there is nothing to wait for; over a domain socket only the long path is known', t => {
  const read = readIntroduction({
    ...recorded,
    MESOS_CHECKPOINT: '0',
    MESOS_RECOVERY_TIMEOUT: undefined,
    MESOS_DOMAIN_SOCKET: '/run/agent.sock',
  });
  t.true(read.ok && read.value.recovery_ms === undefined);
  t.like(read.ok && read.value, { endpoint: { socket: '/run/agent.sock' }, path: '/slave(1)/api/v1/executor' });
});

test('everything that is missing or wrong is told at once', t => {
  const read = readIntroduction({
    MESOS_AGENT_ENDPOINT: 'nowhere',
    MESOS_SUBSCRIPTION_BACKOFF_MAX: '2 s',
    HORAE_EXECUTOR_IDLE_MS: 'x',
  });
  t.deepEqual(!read.ok && read.problems.map(({ place }) => place), [
    'MESOS_AGENT_ENDPOINT',
    'MESOS_FRAMEWORK_ID',
    'MESOS_EXECUTOR_ID',
    'MESOS_DIRECTORY',
    'MESOS_SUBSCRIPTION_BACKOFF_MAX',
    'HORAE_EXECUTOR_IDLE_MS',
  ]);
});

test('each of the executor’s own lengths of time can be set', t => {
  const read = readIntroduction({ ...recorded, HORAE_EXECUTOR_LAST_WORD_MS: '50' });
  t.deepEqual(read.ok && read.value.timings, { ...timings_default, last_word_ms: 50 });
});

test('durations in the words of Mesos', t => {
  const words = ['15mins', '2secs', '1.5secs', '500ms', '1weeks', '2', 'secs', '-1secs'];
  t.deepEqual(words.map(durationMs), [900_000, 2_000, 1_500, 500, 604_800_000, undefined, undefined, undefined]);
});

test('a process gets its ports, its user and what it asks for, and no secret of the executor’s', t => {
  const bindings = { task_id: 'T', instance: 0, hostname: 'h', user: 'www', ports: { http: 31_000 } };
  const own = { ...recorded, MESOS_EXECUTOR_AUTHENTICATION_TOKEN: 'secret', LIBPROCESS_IP: '127.0.0.1', PATH: '/bin' };
  const environment = processEnvironment(own, '/home', bindings, { PATH: '/mine:/bin' }, 'mark');
  t.like(environment, {
    HOME: '/home',
    USER: 'www',
    LOGNAME: 'www',
    PATH: '/mine:/bin',
    PORT_http: '31000',
    MESOS_TASK_ID: 'T',
    BASH_ENV: '/home/.thermos_profile',
    HORAE_RUN: 'mark',
    MESOS_SANDBOX: '/sandbox',
  });
  t.deepEqual(
    Object.keys(environment).filter(name => /TOKEN|LIBPROCESS/.test(name)),
    [],
  );
});
