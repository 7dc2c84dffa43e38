// chronos.test.ts: scripts written for Chronos, replayed against the running program by curl as they stand in people's files.
//
// What their authors copied from Chronos's documentation is here in its shapes: prefixes of both generations, quotes, headers.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { testWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, type RunAnswer, runsOf, startHorae } from './horae.ts';

const owner = fileOwner();
let api: Api;
test.before(async () => {
  const flags = ['--agent-resources', 'cpus:16;mem:16000;disk:10000', '--failure-retry', '50'];
  ({ api } = await startHorae(owner, join(await tempDir(owner), 'data'), flags));
});
test.after.always(owner.clean);

const run = promisify(execFile);
/** The status and the body of a line of a script, whose server is ours. */
async function script(line: string): Promise<{ readonly status: number; readonly text: string }> {
  const here = line.replaceAll('localhost:4400', api.url.slice('http://'.length));
  const { stdout } = await run('/bin/sh', ['-c', `${here} -s -w '\\n%{http_code}'`]);
  const cut = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(cut + 1)), text: stdout.slice(0, cut) };
}
const withCurl = testWith(process.env.HORAE_TEST_CURL);

const scheduled = `{
  "schedule": "R/2030-03-08T20:00:00.000Z/PT2H",
  "name": "SAMPLE_JOB1",
  "epsilon": "PT15M",
  "command": "echo 'FOO' >> /tmp/JOB1_OUT",
  "owner": "bob@example.com",
  "async": false
}`;
const dependent = `{
  "async": true,
  "command": "bash /srv/jobs/dependent_job.bash",
  "epsilon": "PT30M",
  "errorCount": 0,
  "lastError": "",
  "lastSuccess": "",
  "name": "dependent_job",
  "owner": "bob@example.com",
  "parents": ["db_export_hourly", "db_export_again"],
  "retries": 2,
  "successCount": 0
}`;
const docker = `{
  "schedule": "R/2030-09-25T17:22:00Z/PT2M",
  "name": "dockerjob",
  "container": {
    "type": "DOCKER",
    "image": "libmesos/ubuntu",
    "network": "BRIDGE",
    "volumes": [{ "containerPath": "/var/log/", "hostPath": "/logs/", "mode": "RW" }]
  },
  "cpus": "0.5",
  "mem": "512",
  "fetch": [],
  "command": "while sleep 10; do date =u %T; done"
}`;
const json = `-H 'Content-Type: application/json'`;

/** In the order in which a person would try them: each line, the status it must have, and what must be in its answer. */
const lines = (prefix: string): readonly (readonly [string, number, RegExp?])[] => [
  [`curl -L ${json} -X POST -d '${scheduled.replaceAll("'", `'\\''`)}' localhost:4400${prefix}/iso8601`, 204, /^$/],
  ...['db_export_hourly', 'db_export_again'].map(
    name =>
      [
        `curl -L ${json} -X POST -d '{"name":"${name}","command":"true","schedule":"R/2030-01-01T00:00:00Z/PT1H"}' localhost:4400${prefix}/iso8601`,
        204,
      ] as const,
  ),
  [`curl -L -X POST ${json} -d '${dependent}' localhost:4400${prefix}/dependency`, 204, /^$/],
  [`curl -L ${json} -X POST -d '${docker}' localhost:4400${prefix}/iso8601`, 204, /^$/],
  [`curl -L -X GET localhost:4400${prefix}/jobs`, 200, /^\[.*"name":"SAMPLE_JOB1".*"parents":\["db_export_hourly"/],
  [`curl -L -X GET 'localhost:4400${prefix}/jobs/search?name=export'`, 200, /db_export_again.*db_export_hourly/],
  [`curl -L -X GET 'localhost:4400${prefix}/jobs/search?any=FOO&limit=5&offset=0'`, 200, /^\[\{"name":"SAMPLE_JOB1"/],
  [`curl -L -X GET localhost:4400${prefix}/jobs/summary`, 200, /^\{"jobs":\[\{"name":"SAMPLE_JOB1","status":"fresh"/],
  [`curl -L -X GET localhost:4400${prefix}/job/dockerjob`, 200, /"image":"libmesos\/ubuntu"/],
  [`curl -L -X GET localhost:4400${prefix}/graph/dot`, 200, /label="dependent_job"/],
  [`curl -L -X GET localhost:4400${prefix}/graph/csv`, 200, /^link,db_export_hourly,dependent_job$/m],
  [`curl -L -X GET localhost:4400${prefix}/leader`, 200, /^\{"leader":"127\.0\.0\.1:\d+"\}$/],
  [`curl -L -X GET localhost:4400/ping`, 200, /^pong\n$/],
  [`curl -L -X GET localhost:4400/metrics`, 200, /horae_/],
  [`curl -L -X PUT localhost:4400${prefix}/job/db_export_hourly`, 204, /^$/],
  [`curl -L -X PUT 'localhost:4400${prefix}/job/db_export_again?arguments=-debug'`, 204, /^$/],
  [`curl -L -X PUT localhost:4400${prefix}/job/success/db_export_again`, 200, /as successful: true$/],
  [`curl -L -X DELETE localhost:4400${prefix}/task/kill/db_export_again`, 204, /^$/],
  [`curl -L -X DELETE localhost:4400${prefix}/task/all`, 204, /^$/],
  [`curl -L -X DELETE localhost:4400${prefix}/job/dockerjob`, 204, /^$/],
  [
    `curl -L -X DELETE localhost:4400${prefix}/job/dockerjob`,
    404,
    /^\{"status":"Not Found","message":"Job 'dockerjob' not/,
  ],
  ...['dependent_job', 'db_export_hourly', 'db_export_again', 'SAMPLE_JOB1'].map(
    name => [`curl -L -X DELETE localhost:4400${prefix}/job/${name}`, 204] as const,
  ),
  [`curl -L -X GET localhost:4400${prefix}/jobs`, 200, /^(\[\]|\[\{"name":"(?!SAMPLE|db_|depend))/],
];

withCurl('every documented line of curl does what it did, under the prefixes of both generations', async t => {
  for (const prefix of ['/v1/scheduler', '/scheduler'])
    for (const [line, status, text] of lines(prefix)) {
      const answer = await script(line);
      t.is(answer.status, status, `${line}\n${answer.text}`);
      if (text !== undefined) t.regex(answer.text, text, line);
    }
});

const ended = (name: string, cause: string) =>
  until<RunAnswer | undefined>(`${name} to end`, async () =>
    (await runsOf(api, `chronos/default/${name}`)).find(
      one => one.cause.type === cause && one.state !== 'pending' && 'ended_at' in one,
    ),
  );
const output = async (one: RunAnswer) => (await api.request('GET', one.instances[0]!.links.stdout!)).text;
async function put(document: object): Promise<void> {
  const { status, text } = await api.request('POST', '/scheduler/iso8601', document);
  if (status !== 204) throw new Error(`${status} ${text}`);
}
const far = { schedule: 'R/2040-01-01T00:00:00Z/P1D', retries: 0 };

test('case 65: a task finds what Chronos told it of itself, its own variables, and cannot pretend otherwise', async t => {
  const variables = ['mesos_task_id', 'CHRONOS_JOB_OWNER', 'CHRONOS_JOB_NAME', 'CHRONOS_RESOURCE_MEM'];
  const more = ['CHRONOS_RESOURCE_CPU', 'CHRONOS_RESOURCE_DISK', 'CHRONOS_JOB_RUN_TIME', 'CHRONOS_JOB_RUN_ATTEMPT'];
  const command = [...variables, ...more, 'OWN', 'MESOS_TASK_ID', 'HOST']
    .map(name => `echo "${name}=$${name}"`)
    .join(';');
  await put({
    ...far,
    name: 'told',
    command,
    owner: 'a@x.org, b@x.org',
    mem: 64,
    environmentVariables: [
      { name: 'OWN', value: 'mine {{x}}' },
      { name: 'CHRONOS_JOB_NAME', value: 'another' },
    ],
  });
  t.is((await api.request('PUT', '/scheduler/job/told')).status, 204);
  const one = await ended('told', 'manual');
  const said = Object.fromEntries(
    (await output(one!))
      .trim()
      .split('\n')
      .map(line => line.split(/=(.*)/s).slice(0, 2)),
  );
  const due = Date.parse(one!.created_at!);
  t.like(said, {
    mesos_task_id: `ct:${due}:0:told:`,
    MESOS_TASK_ID: one!.instances[0]!.task_id!,
    CHRONOS_JOB_OWNER: 'a@x.org, b@x.org',
    CHRONOS_JOB_NAME: 'told',
    CHRONOS_RESOURCE_MEM: '64.0',
    CHRONOS_RESOURCE_CPU: '0.1',
    CHRONOS_RESOURCE_DISK: '256.0',
    CHRONOS_JOB_RUN_TIME: String(due),
    CHRONOS_JOB_RUN_ATTEMPT: '0',
    OWN: 'mine {{x}}',
  });
  t.not(said.HOST, '');
});

test('arguments reach a shell as words and a program as they are; those of a start stand in their place', async t => {
  const words = ['a b', '$(id)', ';', '"'];
  await put({ ...far, name: 'line', command: `printf '<%s>'`, arguments: words });
  await put({ ...far, name: 'program', command: '/usr/bin/printf', shell: false, arguments: ['<%s>', ...words] });
  for (const name of ['line', 'program']) {
    await api.request('PUT', `/v1/scheduler/job/${name}`);
    t.is(await output((await ended(name, 'manual'))!), '<a b><$(id)><;><">', name);
  }
  await put({
    ...far,
    name: 'again',
    command: `echo "$mesos_task_id"; printf '<%s>'; [ $CHRONOS_JOB_RUN_ATTEMPT = 1 ] ;:`,
    arguments: ['own'],
  });
  await api.request('PUT', `/v1/scheduler/job/again?${new URLSearchParams({ arguments: '-c 1 ; x && y' })}`);
  const text = await output((await ended('again', 'manual'))!);
  t.regex(text, /^ct:\d+:0:again:-c 1 {2}x && y\n/);
});

test('a retry has the arguments that its run was started with, and counts up in its id', async t => {
  await put({
    ...far,
    name: 'retried',
    retries: 1,
    command: 'echo "$mesos_task_id"; exec [ $CHRONOS_JOB_RUN_ATTEMPT -gt 0 ] #',
  });
  await api.request('PUT', '/scheduler/job/retried?arguments=once');
  const one = await ended('retried', 'manual');
  t.is(one!.state, 'succeeded');
  t.regex(await output(one!), /^ct:\d+:1:retried:once\n/);
});

test('a body with neither schedule nor parents runs once, at once', async t => {
  await put({ name: 'once', command: 'echo done', retries: 0 });
  const one = await ended('once', 'target');
  t.is(await output(one!), 'done\n');
  await until('it to be told as over', async () => {
    const { disabled } = (await api.get('/scheduler/job/once')) as { disabled: boolean };
    return disabled;
  });
});

test('an async run ends when its task is completed under the id that it found, and not by another one', async t => {
  for (const [name, code, state] of [
    ['callee', '0', 'succeeded'],
    ['fails', 3, 'failed'],
  ] as const) {
    await put({ ...far, name, async: true, command: 'echo "$mesos_task_id" #', arguments: ['a/b', '1:2'] });
    await api.request('PUT', `/scheduler/job/${name}`);
    const waiting = await until<RunAnswer | undefined>('its command to end', async () =>
      (await runsOf(api, `chronos/default/${name}`)).find(one => one.instances[0]?.state === 'awaiting'),
    );
    const [id = ''] = (await output(waiting!)).split('\n');
    const complete = (task: string, statusCode: unknown) =>
      api.request('PUT', `/scheduler/task/${encodeURIComponent(task)}`, { statusCode });
    t.is((await complete(id.replace(':0:', ':1:'), 0)).status, 404, 'an attempt that there is not');
    t.is((await complete(id.replace(name, 'nobody'), 0)).status, 404);
    t.is((await complete('nonsense', 0)).status, 404);
    t.is((await complete(id, 'well')).status, 400);
    t.is((await complete(id, code)).status, 204);
    t.is((await ended(name, 'manual'))!.state, state);
    t.is((await complete(id, 0)).status, 404, 'it is over');
  }
});

test('a job that takes longer than its maxCompletionTime has failed', async t => {
  await put({ ...far, name: 'endless', command: 'exec sleep 1000', maxCompletionTime: 1 });
  await api.request('PUT', '/scheduler/job/endless');
  const one = await ended('endless', 'manual');
  t.is(one!.state, 'failed');
  t.like(one!.instances[0]!.reason, { code: 'timed-out', which: 'run', limit_ms: 1_000 });
});

test('a task that processes data is asked how far it is, and the history keeps what it said', async t => {
  await put({ ...far, name: 'data', dataProcessingJobType: true, command: 'echo "$mesos_task_id"; exec sleep 1000' });
  await api.request('PUT', '/scheduler/job/data');
  const running = await until<RunAnswer | undefined>('it to run', async () =>
    (await runsOf(api, 'chronos/default/data')).find(one => one.state === 'running'),
  );
  const id = await until('its id', async () => (await output(running!)).split('\n')[0]);
  const path = `/scheduler/job/data/task/${encodeURIComponent(id!)}/progress`;
  for (const numAdditionalElementsProcessed of [3, 4])
    t.is((await api.request('POST', path, { numAdditionalElementsProcessed })).status, 204);
  const told = async () => {
    const { taskStatHistory } = (await api.get('/scheduler/job/stat/data')) as { taskStatHistory: object[] };
    return taskStatHistory[0]!;
  };
  t.like(await told(), { taskId: id, status: 'Running', endTime: 'N/A', numElementsProcessed: 7 });
  t.is((await api.request('DELETE', '/scheduler/task/kill/data')).status, 204);
  await ended('data', 'manual');
  t.like(await told(), { taskId: id, status: 'Fail', numElementsProcessed: 7 });
  t.is((await api.request('POST', path, { numAdditionalElementsProcessed: 1 })).status, 404);
});

test("a job's own Mesos executor is started, told what the job says, and runs its tasks one after the other", async t => {
  const program = join(import.meta.dirname, '..', 'mesos-local', 'support', 'executor.mjs');
  const steps = [
    ['update', { state: 'TASK_RUNNING' }],
    ['update', { state: 'TASK_FINISHED' }],
  ];
  await put({
    ...far,
    name: 'own',
    executor: `exec ${process.execPath} ${program}`,
    taskInfoData: JSON.stringify(steps),
    environmentVariables: [{ name: 'EX_CONF', value: '{"stay":true}' }],
  });
  const runs = () => runsOf(api, 'chronos/default/own');
  for (const many of [1, 2]) {
    t.is((await api.request('PUT', '/scheduler/job/own')).status, 204);
    await until(`${many} to have succeeded`, async () => {
      const states = (await runs()).map(({ state }) => state);
      return states.length === many && states.every(state => state === 'succeeded');
    });
  }
  t.like(await api.get('/scheduler/job/own'), { executor: `exec ${process.execPath} ${program}`, successCount: 2 });
});
