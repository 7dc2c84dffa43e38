// restoring.ts: the two processes of restore.ts: one that fills a journal, and one that comes after it.
//
//   node bench/restoring.ts fill|measure lmdb|zookeeper PATH|SERVERS INSTANCES INSTANCES_PER_JOB AGENTS
//
// Each is a process of its own: who restores has the heap of a program that has just started. Tells its figures as JSON.

import { readJob } from '../actors/model/job.ts';
import type { InstanceRecord, JobRecord, RunRecord } from '../actors/model/records.ts';
import type { Event, LinkListener, MesosLink, TaskStatus } from '../mesos/protocol.ts';
import { systemClock } from '../schedules/clock.ts';
import type { Change, Journal } from '../transport/journal/journal.ts';
import { lmdbJournal } from '../transport/journal/lmdb.ts';
import { zookeeperJournal } from '../transport/journal/zookeeper.ts';
import { connectZooKeeper } from '../transport/zookeeper/client.ts';
import { startEngine } from './engine.ts';

const [role, home, where, ...sizes] = process.argv.slice(2);
const [instances_max = 0, instances_per_job = 1, agents = 1] = sizes.map(Number);
const options = { instances: instances_max, instances_per_job, agents };
const clock = systemClock();
const changes_per_append = 5_000;
const session_timeout_ms = 40_000;

if (where === undefined || (home !== 'lmdb' && home !== 'zookeeper') || (role !== 'fill' && role !== 'measure'))
  throw new Error('expected fill|measure lmdb|zookeeper PATH|SERVERS INSTANCES INSTANCES_PER_JOB AGENTS');
const journal = home === 'lmdb' ? inLmdb(where) : inZooKeeper(where);
const figures = role === 'fill' ? await fill(journal) : await measure(journal);
process.stdout.write(JSON.stringify(figures), () => process.exit());

function inLmdb(path: string): Journal {
  return lmdbJournal({ path, schemas: {}, retention: {}, now: clock.now });
}

function inZooKeeper(servers: string): Journal {
  const zk = connectZooKeeper({ servers, session_timeout_ms, clock });
  return zookeeperJournal({ zk, path: '/horae', cluster: { name: 'bench' }, schemas: {}, clock });
}

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

async function fill(journal: Journal): Promise<object> {
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
  return {};
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
