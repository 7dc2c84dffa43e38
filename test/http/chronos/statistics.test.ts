// statistics.test.ts: durations, histories and progress in Chronos's dialect.

import test from 'ava';
import { withDuration } from '../../../actors/model/durations.ts';
import { lasting } from '../../../transport/http/chronos/statistics.ts';
import { serve } from '../support/serve.ts';

const key = (name: string) => `chronos/default/${name}`;
const daily = (name: string, more: object = {}) => ({
  ...{ name, command: 'true', schedule: 'R/2030-01-01T00:00:00Z/PT24H' },
  ...more,
});
const tally = (...took: number[]) => ({
  successes: took.length,
  failures: 0,
  failures_since_success: 0,
  durations: took.reduce<ReturnType<typeof withDuration> | undefined>(withDuration, undefined),
});
const ran = { failures: 0, since: 0, agent_id: 'S1', hostname: 'h', version: 1 };
const sortable = (n: number) => n.toString(36).padStart(11, '0');

test('a job tells its percentiles, a mean that is one, and how many runs they are of', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/scheduler/iso8601', { json: daily('a') });
  const before = (await ask('GET', '/scheduler/job/stat/a')).json;
  t.deepEqual(before.taskStatHistory, []);
  t.like(before.histogram, { count: 0, mean: 0 });
  core.commit({ kind: 'tally', key: key('a'), body: tally(100, 100, 100, 200) });
  const { json } = await ask('GET', '/scheduler/job/stat/a');
  t.deepEqual(Object.keys(json.histogram as object).sort(), [
    ...['75thPercentile', '95thPercentile', '98thPercentile', '99thPercentile', 'count', 'mean', 'median'],
  ]);
  t.like(json.histogram, { median: 100, '75thPercentile': 100, '99thPercentile': 200, mean: 125, count: 4 });
  t.is((await ask('GET', '/scheduler/job/stat/nobody')).status, 404);
});

test('jobs are listed by how long they take, in seconds; what nobody measures gives nothing', async t => {
  const { ask, core } = await serve(t);
  for (const [name, took] of Object.entries({ quick: [1_000, 1_000], slow: [3_000], fresh: [] })) {
    await ask('POST', '/v1/scheduler/iso8601', { json: daily(name) });
    if (took.length > 0) core.commit({ kind: 'tally', key: key(name), body: tally(...took) });
  }
  const slowest = async (of: string) => (await ask('GET', `/v1/scheduler/stats/${of}`)).json;
  t.deepEqual(await slowest('mean'), [
    { jobNameLabel: 'slow', time: 3 },
    { jobNameLabel: 'quick', time: 1 },
  ]);
  t.deepEqual(await slowest('count'), [
    { jobNameLabel: 'quick', time: 2 },
    { jobNameLabel: 'slow', time: 1 },
  ]);
  for (const strange of ['60thPercentile', 'toString']) t.deepEqual(await slowest(strange), []);
});

test('the latest tasks are told, those that began last first, as many as are wanted', async t => {
  const { ask, core } = await serve(t, { chronos: { history_limit: 3 } });
  await ask('POST', '/scheduler/iso8601', { json: daily('a', { dataProcessingJobType: true, arguments: ['-x'] }) });
  const at = Date.UTC(2014, 2, 8, 16, 57, 17);
  for (const [n, outcome] of (['finished', 'failed', 'lost', 'killed'] as const).entries()) {
    const task_id = `chronos:default:a:1.m.r${n}:0:1`;
    const row = { task_id, index: 0, attempt: 1, agent_id: 'S1', outcome, reason: { code: 'exited', exit_code: 0 } };
    const began = { started_at: at + n * 60_000, ended_at: at + n * 60_000 + 5_000 };
    const run = {
      run: `1.m.r${n}`,
      cause: { type: 'manual', by: 'x', request: 'r' },
      created_at: at + n,
      instances: 1,
    };
    core.commit(
      {
        kind: 'finished-attempt',
        key: `${key('a')}/${sortable(n)}/${task_id}`,
        body: { ...row, ...began, ...(n === 3 ? { elements: 7 } : {}) },
      },
      {
        kind: 'finished-run',
        key: `${key('a')}/${sortable(at + n)}/1.m.r${n}`,
        body: { ...run, ended_at: at, outcome: 'failed', results: [] },
      },
    );
  }
  await ask('PUT', '/scheduler/job/a?arguments=now');
  const [live] = core.views.job(key('a'))!.runs;
  const body = { status: 'running', attempt: 2, ...ran, started_at: at + 86_400_000, elements: 4 };
  core.commit({ kind: 'instance', key: `${key('a')}/${live!.record.run}/0`, body });
  const { json } = await ask('GET', '/scheduler/job/stat/a');
  t.deepEqual(json.taskStatHistory, [
    {
      taskId: `ct:${live!.record.created_at}:1:a:now`,
      jobName: 'a',
      slaveId: 'S1',
      startTime: '03/09/14 16:57:17',
      endTime: 'N/A',
      status: 'Running',
      numElementsProcessed: 4,
    },
    {
      taskId: `ct:${at + 3}:0:a:-x`,
      jobName: 'a',
      slaveId: 'S1',
      startTime: '03/08/14 17:00:17',
      endTime: '03/08/14 17:00:22',
      duration: '5s',
      status: 'Fail',
      numElementsProcessed: 7,
    },
    {
      taskId: `ct:${at + 2}:0:a:-x`,
      jobName: 'a',
      slaveId: 'S1',
      startTime: '03/08/14 16:59:17',
      endTime: '03/08/14 16:59:22',
      duration: '5s',
      status: 'Fail',
      numElementsProcessed: 0,
    },
  ]);
});

test('a duration is told in days, hours, minutes and seconds, without what is zero', t => {
  t.is(lasting(93_784_000), '1d2h3m4s');
  t.is(lasting(86_400_000), '1d');
  t.is(lasting(999), '0s');
});

test('progress is counted for a task of the job that lives, and for nothing else', async t => {
  const { ask, core } = await serve(t);
  for (const name of ['data', 'other', 'plain'])
    await ask('POST', '/scheduler/iso8601', { json: daily(name, { dataProcessingJobType: name !== 'plain' }) });
  await ask('PUT', '/scheduler/job/data?arguments=-a%20x/y:1');
  const [run] = core.views.job(key('data'))!.runs;
  const at = `${key('data')}/${run!.record.run}/0`;
  core.commit({ kind: 'instance', key: at, body: { status: 'running', attempt: 1, ...ran } });
  const id = `ct:${run!.record.created_at}:0:data:-a x/y:1`;
  const tell = async (name: string, task: string, numAdditionalElementsProcessed: unknown) =>
    (
      await ask('POST', `/scheduler/job/${name}/task/${encodeURIComponent(task)}/progress`, {
        json: { numAdditionalElementsProcessed },
      })
    ).status;
  t.is(await tell('data', id, 10), 204);
  t.is(await tell('data', id, 0), 204);
  t.is(await tell('data', at.replaceAll('/', ':').concat(':1'), 5), 204, "by Mesos's own id");
  t.like(core.views.job(key('data'))!.runs[0]!.instances[0]!.record, { elements: 15 });
  for (const bad of [-1, 1.5, '3', null, undefined, 1e300]) t.is(await tell('data', id, bad), 400, String(bad));
  t.is(await tell('other', id, 1), 404, 'the task of another job');
  t.is(await tell('plain', id, 1), 400, 'no data job');
  t.is(await tell('nobody', id, 1), 404);
  t.is(await tell('data', id.replace(':0:', ':7:'), 1), 404);
  t.is(await tell('data', 'rubbish', 1), 404);
});

test('whoever accepts JSON first is told what Chronos measured, in its form; everybody else what Prometheus reads', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/scheduler/iso8601', { json: daily('a b', { highPriority: true, concurrent: true }) });
  await ask('POST', '/scheduler/iso8601', { json: daily('fresh') });
  core.commit({ kind: 'tally', key: key('a%20b'), body: { ...tally(100, 300), failures: 1 } });
  for (let n = 0; n < 2; n++) await ask('PUT', '/scheduler/job/a%20b');
  const { json, headers } = await ask('GET', '/metrics', { headers: { accept: 'application/json' } });
  t.is(headers['content-type'], 'application/json');
  t.deepEqual(json, {
    version: '3.0.0',
    gauges: { queueSize: { value: 0 }, highQueueSize: { value: 2 } },
    counters: {
      'jobs.run.success.a b': { count: 2 },
      'jobs.run.failure.a b': { count: 1 },
      'jobs.run.success.fresh': { count: 0 },
      'jobs.run.failure.fresh': { count: 0 },
    },
    histograms: {
      'jobs.run.time.a b': { count: 2, max: 300, mean: 200, p50: 100, p75: 300, p95: 300, p98: 300, p99: 300 },
    },
    meters: {},
    timers: {},
  });
  for (const accept of ['*/*', 'text/plain;version=0.0.4', 'application/openmetrics-text, application/json;q=0.1'])
    t.regex((await ask('GET', '/metrics', { headers: { accept } })).text, /^# HELP/m);
});
