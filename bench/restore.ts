// restore.ts: how long after a scheduler died the next one launches again.
//
// Four hundred thousand instances run; one more waits for a place. A new process has the journal, in either home, and a
// master that knows it: measured from opening the journal to its first ACCEPT. The home in ZooKeeper is measured where a
// server is installed (HORAE_TEST_ZOOKEEPER says where, as for the tests).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readJob } from '../actors/model/job.ts';
import type { InstanceRecord, JobRecord, RunRecord } from '../actors/model/records.ts';
import type { Event, LinkListener, MesosLink, TaskStatus } from '../mesos/protocol.ts';
import { systemClock } from '../schedules/clock.ts';
import { fileOwner, startZooKeeper, zookeeper } from '../test/support/zookeeper.ts';
import type { Change, Journal } from '../transport/journal/journal.ts';
import { lmdbJournal } from '../transport/journal/lmdb.ts';
import { zookeeperJournal } from '../transport/journal/zookeeper.ts';
import { connectZooKeeper, type ZooKeeper } from '../transport/zookeeper/client.ts';
import { startEngine } from './engine.ts';
import { type Figures, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { instances: 400_000, instances_per_job: 1_000, agents: 1_000 });
const clock = systemClock();
const changes_per_append = 5_000;

/** A cluster in full swing, record by record, and one job whose instance found no place before the scheduler died. */
function* records(): Generator<Change> {
  const now = clock.now();
  const jobs = Math.ceil(options.instances / options.instances_per_job);
  yield { kind: 'framework', key: 'id', body: { framework_id: 'bench-0001', stored_at: now } };
  yield { kind: 'meta', key: 'incarnations', body: { last: jobs + 1 } };
  for (let n = 0; n <= jobs; n++) {
    const waits = n === jobs;
    const instances = waits
      ? 1
      : Math.min(options.instances_per_job, options.instances - n * options.instances_per_job);
    const read = readJob({
      role: 'bench',
      environment: 'prod',
      name: `service-${n}`,
      command: 'sleep infinity',
      service: true,
      instances,
      cpus: 0.1,
      mem: 32,
    });
    if (!read.ok) throw new Error(read.problems.map(one => one.message).join('; '));
    const key = `bench/prod/service-${n}`;
    const incarnation = n + 1;
    const run = `${incarnation}.service`;
    const job: JobRecord = { job: read.value, incarnation, version: 1, created_at: now, updated_at: now };
    yield { kind: 'job', key, body: job };
    const body: RunRecord = { run, cause: { type: 'service' }, instances, created_at: now };
    yield { kind: 'run', key: `${key}/${run}`, body };
    for (let index = 0; index < instances && !waits; index++) {
      const agent = (n * options.instances_per_job + index) % options.agents;
      const record: InstanceRecord = {
        status: 'running',
        attempt: 1,
        failures: 0,
        since: now,
        agent_id: `bench-S${agent}`,
        hostname: `simulated-${agent}`,
        version: 1,
        started_at: now,
      };
      yield { kind: 'instance', key: `${key}/${run}/${index}`, body: record };
    }
  }
}

async function fill(journal: Journal): Promise<void> {
  await journal.open();
  await journal.restore();
  let batch: Change[] = [];
  for (const change of records()) {
    if (batch.push(change) < changes_per_append) continue;
    await journal.append(batch);
    batch = [];
  }
  if (batch.length > 0) await journal.append(batch);
  await journal.close();
}

async function measure(journal: Journal): Promise<{ accept_ms: number; planted_ms: number; live_actors: number }> {
  let accepted: () => void = () => undefined;
  const first = new Promise<void>(resolve => {
    accepted = resolve;
  });
  const began = performance.now();
  const engine = await startEngine({
    agents: options.agents,
    cpus: 100,
    mem: 100_000,
    life: () => ({ start_delay_ms: 0, exit: { code: 0 } }),
    journal,
    onTheWay: link => knowing(link, accepted),
  });
  const planted_ms = performance.now() - began;
  await first;
  const accept_ms = performance.now() - began;
  const { actors, instances } = engine.scheduler.counts();
  if (instances !== options.instances + 1)
    throw new Error(`${instances} instance actors live: expected ${options.instances + 1}`);
  engine.scheduler.abandon();
  return { accept_ms, planted_ms, live_actors: actors };
}

/** A master that has every task it is asked about, running; `accepted` hears of the first ACCEPT. */
function knowing(link: MesosLink, accepted: () => void): MesosLink {
  let listener: LinkListener | undefined;
  return {
    subscribe(request, told) {
      listener = told;
      link.subscribe(request, told);
    },
    async call(call) {
      if (call.type === 'ACCEPT') accepted();
      if (call.type !== 'RECONCILE') return await link.call(call);
      const events = call.reconcile.tasks.map(({ task_id, agent_id }): Event => {
        const status: TaskStatus = {
          task_id,
          state: 'TASK_RUNNING',
          source: 'SOURCE_MASTER',
          reason: 'REASON_RECONCILIATION',
          timestamp: clock.now() / 1000,
          ...(agent_id === undefined ? {} : { agent_id }),
        };
        return { type: 'UPDATE', update: { status } };
      });
      setImmediate(() => listener?.events(events));
      return { type: 'accepted' };
    },
    close: () => link.close(),
  };
}

async function fromLmdb(): Promise<Figures> {
  const path = mkdtempSync(join(tmpdir(), 'horae-bench-'));
  const home = () => lmdbJournal({ path, schemas: {}, retention: {}, now: clock.now });
  try {
    await fill(home());
    const { accept_ms, planted_ms, live_actors } = await measure(home());
    return { lmdb_planted_ms: planted_ms, lmdb_accept_ms: accept_ms, live_actors };
  } finally {
    rmSync(path, { recursive: true });
  }
}

async function fromZooKeeper(): Promise<Figures> {
  const owner = fileOwner();
  const { servers } = await startZooKeeper(owner, { members: 3, heap_mb: 1_000 });
  const sessions: ZooKeeper[] = [];
  const home = () => {
    const zk = connectZooKeeper({ servers, session_timeout_ms: 40_000, clock });
    sessions.push(zk);
    return zookeeperJournal({ zk, path: '/horae', cluster: { name: 'bench' }, schemas: {}, clock });
  };
  try {
    await fill(home());
    const { accept_ms, planted_ms } = await measure(home());
    return { zookeeper_planted_ms: planted_ms, zookeeper_accept_ms: accept_ms };
  } finally {
    for (const zk of sessions) await zk.close();
    await owner.clean();
  }
}

const figures: Figures = {
  instances: options.instances,
  ...(await fromLmdb()),
  ...(zookeeper === undefined ? {} : await fromZooKeeper()),
};
report(
  {
    name: 'restore',
    figures,
    floors: {
      lmdb_accept_ms: { at_most: 10_000 },
      ...(zookeeper === undefined ? {} : { zookeeper_accept_ms: { at_most: 10_000 } }),
    },
  },
  options,
);
process.exit();
