// cassandra.ts: `npm run test:cassandra`: history in a real Cassandra, which is killed in the middle and started again, while
// the real program runs jobs; and what the tables hold is read back by CQL.
//
// Not a part of `npm test`: it fetches Cassandra, and takes a minute or two. Each line is a promise, as a test's title is.

import './support/set-up.ts';

import { deepEqual, equal, ok } from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cassandraDriver } from '../transport/cassandra/driver.ts';
import { Refusal } from '../transport/cassandra/store.ts';
import { cassandraJars, startCassandra, superuser } from './cassandra/server.ts';
import { startNodes } from './cluster/nodes.ts';
import { type Api, type Running, startHorae } from './program/horae.ts';
import { killAlone } from './program/serving.ts';
import { type Owner, tempDir } from './support/temp.ts';
import { until } from './support/until.ts';

const cleaners: (() => void | Promise<void>)[] = [];
const owner: Owner = { teardown: each => void cleaners.push(each) };
const clean = async () => {
  for (const each of cleaners.splice(0).reverse()) await each();
};
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void clean().then(() => process.exit(1)));

const say = (line: string) => console.log(line);
/** Every row of a busy minute, on a busy machine. */
const patience_ms = 180_000;
const counts = { passed: 0, failed: 0 };

async function promise(title: string, keep: () => Promise<string | undefined>): Promise<void> {
  const began = performance.now();
  try {
    const figure = await keep();
    counts.passed++;
    say(
      `ok - ${title} (${((performance.now() - began) / 1_000).toFixed(1)} s${figure === undefined ? '' : `; ${figure}`})`,
    );
  } catch (error) {
    counts.failed++;
    say(`not ok - ${title}\n${error instanceof Error ? error.stack : String(error)}`);
  }
}

// --- what is asked of Cassandra and of Horae ---------------------------------------------------------------------------

type Row = Readonly<Record<string, unknown>> & { readonly id: string; readonly ts: Date; readonly task_state: string };

/** Asks by a connection of its own, which is made anew when the server was away. */
function reader(port: number) {
  const connect = () => cassandraDriver({ contact_points: ['127.0.0.1'], port, ...superuser, timeout_ms: 5_000 });
  let driver = connect();
  cleaners.push(() => driver.close());
  const how = { consistency: 1, isIdempotent: true };
  return async (query: string, values: readonly unknown[] = []): Promise<Row[]> =>
    (await until(
      () => `Cassandra to answer ${query}`,
      async () => {
        try {
          return await driver.execute(query, values, how);
        } catch (error) {
          if (error instanceof Refusal) throw error;
          await driver.close();
          driver = connect();
          return undefined; // It is being started.
        }
      },
      patience_ms,
    )) as unknown as Row[];
}
const rowsOf = (job: string, table = 'metrics.chronos') => cql(`SELECT * FROM ${table} WHERE job_name = ?`, [job]);

async function post(api: Api, path: string, body: object): Promise<void> {
  const { status, text } = await api.request('POST', `/v1/scheduler/${path}`, body);
  equal(status, 204, text);
}
const job = { epsilon: 'PT1H', cpus: 0.05, mem: 16, disk: 1 };

type Attempt = {
  readonly task_id: string;
  readonly outcome: string;
  readonly started_at?: string;
  readonly ended_at: string;
};
async function attemptsOf(api: Api, name: string): Promise<Attempt[]> {
  const attempts: Attempt[] = [];
  for (
    let next: string | undefined = `/api/v1/jobs/chronos/default/${name}/attempts?limit=1000`;
    next !== undefined;
  ) {
    const page = (await api.get(next)) as { readonly attempts: readonly Attempt[]; readonly next?: string };
    attempts.push(...page.attempts);
    next = page.next;
  }
  return attempts;
}
const metric = async (api: Api, name: string) => {
  const { text } = await api.request('GET', '/api/v1/metrics');
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
};

// --- the promises --------------------------------------------------------------------------------------------------------

const jars = await cassandraJars(say);
const folder = await tempDir(owner);
const server = await startCassandra(owner, join(folder, 'cassandra'), jars);
const cql = reader(server.port);
const data = join(folder, 'data');
const password_file = join(folder, 'password');
writeFileSync(password_file, `${superuser.password}\n`, { mode: 0o600 });
const user_flags = ['--cassandra_user', superuser.user, '--cassandra-password-file', password_file];
const flags = [
  ...['--cassandra_contact_points', '127.0.0.1', '--cassandra_port', String(server.port), '--cassandra_ttl', '86400'],
  ...user_flags,
  ...['--cassandra-timeout-ms', '2000', '--cassandra-waiting-max', '20', '--failure-retry', '50'],
  ...['--agent-resources', 'cpus:8;mem:8000;disk:8000;ports:[31000-31099]'],
];
let horae: Running = await startHorae(owner, data, flags);
say(`Cassandra listens on 127.0.0.1:${server.port}`);

await promise(
  'keyspace and tables are made where they are missing, with the columns and keys that Chronos had',
  async () => {
    await until('the tables', async () => (await metric(horae.api, 'horae_cassandra_connected')) === 1, patience_ms);
    const columns = await cql("SELECT * FROM system_schema.columns WHERE keyspace_name = 'metrics'");
    const told = (table: string) =>
      Object.fromEntries(
        columns
          .filter(row => row.table_name === table)
          .map(({ column_name, type, kind }) => [String(column_name), `${type} ${kind}`]),
      );
    deepEqual(told('chronos'), {
      attempt: 'int regular',
      id: 'text partition_key',
      is_failure: 'boolean regular',
      job_name: 'text regular',
      job_owner: 'text regular',
      job_parents: 'set<text> regular',
      job_schedule: 'text regular',
      message: 'text regular',
      slave_id: 'text regular',
      task_state: 'text regular',
      ts: 'timestamp clustering',
    });
    deepEqual(told('chronos_stat_count'), {
      elements_processed: 'counter regular',
      job_name: 'text partition_key',
      task_id: 'text clustering',
    });
    return undefined;
  },
);

const late = "o'brien@example.com";
await promise(
  'each word of a task is a row: that it runs, and how it ended, with job, owner, schedule, agent and attempt',
  async () => {
    await post(horae.api, 'iso8601', { ...job, name: 'good', command: 'true', schedule: 'R1//PT1H', owner: late });
    await post(horae.api, 'iso8601', {
      ...job,
      name: 'bad',
      command: "exit 3 # it's '); DROP TABLE metrics.chronos; --",
      schedule: 'R1//PT1H',
      retries: 1,
    });
    const [running, finished] = await until(
      'two rows of good',
      async () => {
        const rows = await rowsOf('good');
        return rows.length >= 2 && rows.sort((a, b) => +a.ts - +b.ts);
      },
      patience_ms,
    );
    equal(running!.task_state, 'TASK_RUNNING');
    equal(finished!.task_state, 'TASK_FINISHED');
    for (const row of [running!, finished!]) {
      ok(/^ct:\d+:0:good:$/.test(row.id), row.id);
      equal(row.job_owner, late);
      equal(row.job_schedule, 'R1//PT1H');
      equal(row.job_parents, null);
      equal(row.attempt, 0);
      equal(row.is_failure, null);
      ok(String(row.slave_id).length > 0);
    }
    const [attempt] = await attemptsOf(horae.api, 'good');
    ok(Math.abs(+finished!.ts - Date.parse(attempt!.ended_at)) < 1_000);
    const bad = await until(
      'the rows of two failures',
      async () => {
        const rows = await rowsOf('bad');
        return rows.length >= 4 && rows;
      },
      patience_ms,
    );
    const failed = bad.filter(row => row.task_state === 'TASK_FAILED');
    deepEqual(failed.map(row => row.attempt).sort(), [0, 1]);
    for (const row of failed) deepEqual([row.is_failure, row.message], [true, 'it exited with 3']);
    const [ttl] = await cql('SELECT ttl(task_state) AS left FROM metrics.chronos WHERE id = ?', [finished!.id]);
    ok(Number(ttl!.left) > 86_000 && Number(ttl!.left) <= 86_400, `ttl ${String(ttl!.left)}`);
    return undefined;
  },
);

await promise('a job that follows others has its parents, and a task that runs has its row while it runs', async () => {
  await post(horae.api, 'dependency', { ...job, name: 'after', command: 'sleep 1000', parents: ['good'] });
  equal((await horae.api.request('PUT', '/v1/scheduler/job/good')).status, 204);
  const [row] = await until(
    'the row of after',
    async () => {
      const rows = await rowsOf('after');
      return rows.length > 0 && rows;
    },
    patience_ms,
  );
  deepEqual([row!.task_state, row!.job_parents, row!.job_schedule], ['TASK_RUNNING', ['good'], null]);
  equal((await horae.api.request('DELETE', '/v1/scheduler/task/kill/after')).status, 204);
  const rows = await until(
    'its end',
    async () => {
      const found = await rowsOf('after');
      return found.length === 2 && found;
    },
    patience_ms,
  );
  ok(rows.some(each => each.task_state === 'TASK_KILLED' && each.is_failure === true));
  return undefined;
});

const elementsOf = async () =>
  (await cql('SELECT * FROM metrics.chronos_stat_count WHERE job_name = ?', ['data'])).map(row =>
    Number(row.elements_processed),
  );
const progress = async (more: number) => {
  const [live] = (await rowsOf('data')).filter(row => row.task_state === 'TASK_RUNNING');
  const path = `/v1/scheduler/job/data/task/${encodeURIComponent(live!.id)}/progress`;
  equal((await horae.api.request('POST', path, { numAdditionalElementsProcessed: more })).status, 204);
};
await promise('what a task says that it has processed is counted', async () => {
  const command = 'while [ ! -e done ]; do sleep 0.1; done';
  await post(horae.api, 'iso8601', {
    ...job,
    name: 'data',
    command,
    schedule: 'R1//PT1H',
    dataProcessingJobType: true,
  });
  await until('its row', async () => (await rowsOf('data')).length > 0, patience_ms);
  await progress(5);
  await progress(7);
  await until('twelve', async () => (await elementsOf())[0] === 12, patience_ms);
  return undefined;
});

/** Every attempt of a job by what is in its history, each as the rows that it should have. */
async function missing(api: Api, name: string, table?: string): Promise<string[]> {
  // Those that end while we look are not missing yet.
  const attempts = await attemptsOf(api, name);
  const rows = await rowsOf(name, table);
  const there = new Set(rows.map(row => `${row.task_state} ${row.ts.getTime()}`));
  return attempts.flatMap(attempt => {
    const [started, ended] = [Date.parse(attempt.started_at ?? ''), Date.parse(attempt.ended_at)];
    const state = `TASK_${attempt.outcome.toUpperCase()}`;
    const due = Number.isNaN(started)
      ? [`${state} ${ended}`]
      : [`TASK_RUNNING ${started}`, `${state} ${Math.max(ended, started + 1)}`];
    return due.filter(row => !there.has(row)).map(row => `${attempt.task_id} ${row}`);
  });
}
const whole = (name: string) =>
  until(`every row of ${name}`, async () => (await missing(horae.api, name)).length === 0, patience_ms);

await promise('while Cassandra is away runs are on time, and what was missed is written when it is back', async () => {
  await post(horae.api, 'iso8601', { ...job, name: 'tick', command: 'true', schedule: 'R//PT1S' });
  await until('some ticks', async () => (await rowsOf('tick')).length >= 6, patience_ms);
  await server.kill();
  const before = (await attemptsOf(horae.api, 'tick')).length;
  await until(
    'thirty ticks without Cassandra',
    async () => (await attemptsOf(horae.api, 'tick')).length >= before + 30,
    patience_ms,
  );
  await progressLater(8);
  const lag = await metric(horae.api, 'horae_cassandra_lag_seconds');
  ok(lag > 5, `lag ${lag}`);
  ok((await metric(horae.api, 'horae_cassandra_waiting')) <= 20);
  const { text } = await horae.api.request('GET', '/api/v1/metrics');
  const within5 = Number(/^horae_start_lag_seconds_bucket\{le="5"\} (\d+)$/m.exec(text)?.[1]);
  const starts = Number(/^horae_start_lag_seconds_count (\d+)$/m.exec(text)?.[1]);
  equal(within5, starts, 'every start within 5 s of its instant');
  await server.start();
  await until(
    'Cassandra to be whole',
    async () => (await metric(horae.api, 'horae_cassandra_lag_seconds')) === 0,
    patience_ms,
  );
  await whole('tick');
  await until('twenty', async () => (await elementsOf())[0] === 20, patience_ms);
  return `${(await attemptsOf(horae.api, 'tick')).length} attempts, lag was ${lag.toFixed(0)} s`;
});
/** Said while Cassandra cannot be asked for the task's name. */
async function progressLater(more: number): Promise<void> {
  const runs = (await horae.api.get('/api/v1/jobs/chronos/default/data/runs')) as {
    readonly runs: readonly { readonly instances: readonly { readonly task_id?: string }[] }[];
  };
  const task = encodeURIComponent(runs.runs[0]!.instances[0]!.task_id!);
  const path = `/v1/scheduler/job/data/task/${task}/progress`;
  equal((await horae.api.request('POST', path, { numAdditionalElementsProcessed: more })).status, 204);
}

await promise('Horae that is killed while Cassandra is away goes on from where Cassandra is', async () => {
  await server.kill();
  const before = (await attemptsOf(horae.api, 'tick')).length;
  await until('ticks', async () => (await attemptsOf(horae.api, 'tick')).length >= before + 10, patience_ms);
  await killAlone(horae.child);
  horae = await startHorae(owner, data, flags);
  await until('further ticks', async () => (await attemptsOf(horae.api, 'tick')).length >= before + 20, patience_ms);
  await server.start();
  await whole('tick');
  equal((await elementsOf())[0], 20, 'nothing is counted twice');
  return `${(await attemptsOf(horae.api, 'tick')).length} attempts`;
});

await promise('Cassandra killed again and again while rows are written: each attempt is there in the end', async () => {
  for (let n = 0; n < 3; n++) {
    await post(horae.api, 'iso8601', { ...job, name: `burst${n}`, command: 'true', schedule: `R25//PT1S` });
    await until('rows', async () => (await rowsOf(`burst${n}`)).length >= 4, patience_ms);
    await server.kill();
    await server.start();
    await until(
      'Horae to be back',
      async () => (await metric(horae.api, 'horae_cassandra_connected')) === 1,
      patience_ms,
    );
  }
  await until(
    'the end of the bursts',
    async () => {
      const all = await Promise.all([0, 1, 2].map(n => attemptsOf(horae.api, `burst${n}`)));
      return all.every(attempts => attempts.length >= 25);
    },
    patience_ms,
  );
  for (let n = 0; n < 3; n++) await whole(`burst${n}`);
  await whole('tick');
  return '75 runs of bursts';
});

await promise('a table that is dropped is made and filled again from the history', async () => {
  equal((await horae.api.request('DELETE', '/v1/scheduler/job/tick')).status, 204);
  horae.child.send('SIGTERM');
  await horae.child.ended;
  for (const table of ['chronos', 'chronos_cursor']) await cql(`DROP TABLE metrics.${table}`);
  horae = await startHorae(owner, data, flags);
  await until(
    'the rows',
    async () =>
      (await metric(horae.api, 'horae_cassandra_lag_seconds')) === 0 &&
      (await metric(horae.api, 'horae_cassandra_connected')) === 1,
    patience_ms,
  );
  for (const name of ['good', 'bad', 'burst0', 'burst1', 'burst2']) await whole(name);
  const [row] = await cql('SELECT count(*) AS n FROM metrics.chronos');
  return `${String(row!.n)} rows`;
});

await promise('another keyspace, other tables, QUORUM and rows that are kept for ever', async () => {
  horae.child.send('SIGTERM');
  await horae.child.ended;
  const others = [
    ...['--cassandra-keyspace', 'Audit', '--cassandra-table', 'Table', '--cassandra-stat-count-table', 'counts'],
    ...['--cassandra-consistency', 'QUORUM', '--cassandra-ttl', '0'],
  ];
  horae = await startHorae(owner, data, [...flags, ...others]);
  const rows = await until(
    'the rows of good',
    async () => {
      const found = await rowsOf('good', 'audit."table"').catch(() => []);
      return found.length >= 4 && found;
    },
    patience_ms,
  );
  const [ttl] = await cql('SELECT ttl(task_state) AS left FROM audit."table" WHERE id = ?', [rows[0]!.id]);
  equal(ttl!.left, null);
  return undefined;
});

await promise('a wrong password is said in the log, and costs runs nothing', async () => {
  const wrong = ['--cassandra_user', superuser.user, '--cassandra_password', 'wr0ng-passw0rd'];
  const other = await startHorae(owner, join(folder, 'other'), [
    ...flags.filter(flag => !user_flags.includes(flag)),
    ...wrong,
  ]);
  await other.child.line(/Cassandra takes nothing/, patience_ms);
  await post(other.api, 'iso8601', { ...job, name: 'alone', command: 'true', schedule: 'R3//PT1S' });
  await until('its runs', async () => (await attemptsOf(other.api, 'alone')).length === 3, patience_ms);
  ok(!other.child.output().includes('wr0ng-passw0rd'));
  other.child.send('SIGTERM');
  await other.child.ended;
  return undefined;
});

await promise('in a cluster whoever leads writes, and the next leader goes on from where Cassandra is', async () => {
  const cluster = await startNodes(owner, {
    count: 2,
    flags: [
      ...[
        '--cassandra',
        `127.0.0.1:${server.port}`,
        '--cassandra-keyspace',
        'cluster',
        '--cassandra-timeout-ms',
        '2000',
      ],
      ...['--cassandra-waiting-max', '20'],
      ...user_flags,
    ],
  });
  const leader = await cluster.leader();
  const next = cluster.nodes.find(node => node !== leader)!;
  const table = 'cluster.chronos';
  await post(leader.api, 'iso8601', { ...job, name: 'beat', command: 'true', schedule: 'R60//PT1S' });
  await until('rows', async () => (await rowsOf('beat', table).catch(() => [])).length >= 6, patience_ms);
  equal(await metric(next.api, 'horae_cassandra_connected'), 0, 'a node that does not lead writes nothing');
  await server.kill();
  const beats = async () => (await attemptsOf(next.api, 'beat')).length;
  const before = await beats();
  await until('beats without Cassandra', async () => (await beats()) >= before + 5, patience_ms);
  await leader.kill();
  await until('the other to lead', () => next.leads(), patience_ms);
  await server.start();
  await until('all of them', async () => (await beats()) >= 60, patience_ms);
  await until('every row', async () => (await missing(next.api, 'beat', table)).length === 0, patience_ms);
  return `${await beats()} attempts, the leader was killed after ${before + 5} or more`;
});

await clean();
say(`${counts.passed} passed, ${counts.failed} failed`);
if (counts.failed > 0) process.exitCode = 1;
