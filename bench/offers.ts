// offers.ts: how many instances a second the scheduler places, from the submission of their jobs to RUNNING on disk.
//
// Production actors, outbox and lmdb against simulated agents. Beside it, in the same process, what bare nact can do with
// ten thousand actors that do nothing: the ratio between the two says how much of the actor model's speed is left after
// everything that a scheduler must do for one placement, on whatever machine this is.

import { dispatch, spawn, start, stop } from 'nact';
import { running, startEngine } from './engine.ts';
import { quantile, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), {
  agents: 1_000,
  tasks: 10_000,
  instances_per_job: 100,
  rounds: 5,
  raw_messages: 1_000_000,
});

// In turn, so that both see the same machine: the others who use it come and go. Each round has an engine and a journal of
// its own. The first is slower, because the code is still cold; medians are quoted.
const raw: number[] = [];
const rounds: Round[] = [];
for (let round = 0; round < options.rounds; round++) {
  rounds.push(await placeAll());
  globalThis.gc?.();
  raw.push(await rawMessages(options.raw_messages));
}
rounds.sort((a, b) => a.placements_per_s - b.placements_per_s);
const middle = rounds[Math.floor(rounds.length / 2)]!;
const raw_messages_per_s = quantile(raw, 0.5);
report(
  {
    name: 'offers',
    figures: { ...middle, raw_messages_per_s, ratio_to_raw: middle.placements_per_s / raw_messages_per_s },
    floors: { placements_per_s: { at_least: 5_000 }, ratio_to_raw: { at_least: 0.02 } },
  },
  options,
);

type Round = {
  readonly placements_per_s: number;
  /** Of all threads, lmdb's and the simulated Mesos included. */
  readonly cpu_us_per_placement: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly rss_mb: number;
  readonly live_actors: number;
};

/** Submits jobs for all tasks at once, and waits until the last RUNNING is durable. */
async function placeAll(): Promise<Round> {
  globalThis.gc?.();
  // Room for all, with the executors' share, and no more than a tenth to spare.
  const per_agent = Math.ceil((options.tasks / options.agents) * 1.1);
  const engine = await startEngine({
    agents: options.agents,
    cpus: per_agent * 0.11,
    mem: per_agent * 64,
    life: () => ({ start_delay_ms: 0, exit: { code: 0 } }),
  });
  const placed_after: number[] = [];
  let began = 0;
  const all = new Promise<void>(resolve => {
    engine.onCommitted(changes => {
      const at = performance.now() - began;
      for (const _ of running(changes)) placed_after.push(at);
      if (placed_after.length >= options.tasks) resolve();
    });
  });
  const cpu = process.cpuUsage();
  began = performance.now();
  for (let placed = 0, n = 0; placed < options.tasks; placed += options.instances_per_job, n++)
    void engine.create({
      role: 'bench',
      environment: 'prod',
      name: `job-${n}`,
      command: 'sleep infinity',
      service: true,
      instances: Math.min(options.instances_per_job, options.tasks - placed),
      cpus: 0.1,
      mem: 32,
    });
  await all;
  const took_s = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const { instances, actors } = engine.scheduler.counts();
  if (instances !== options.tasks) throw new Error(`${instances} instance actors live: expected ${options.tasks}`);
  const rss_mb = process.memoryUsage().rss / 2 ** 20;
  await engine.close();
  return {
    placements_per_s: options.tasks / took_s,
    cpu_us_per_placement: (user + system) / options.tasks,
    p50_ms: quantile(placed_after, 0.5),
    p99_ms: quantile(placed_after, 0.99),
    rss_mb,
    live_actors: actors,
  };
}

/** Messages a second through ten thousand childless actors that only count. */
async function rawMessages(total: number): Promise<number> {
  const system = start();
  let handled = 0;
  let done: () => void = () => undefined;
  const finished = new Promise<void>(resolve => {
    done = resolve;
  });
  const actors = Array.from({ length: 10_000 }, (_, n) =>
    spawn(
      system as never,
      ((state: number) => {
        if (++handled === total) done();
        return state + 1;
      }) as never,
      `raw-${n}`,
      { initialState: 0 } as never,
    ),
  );
  const began_at = performance.now();
  for (let n = 0; n < total; n++) dispatch(actors[n % actors.length] as never, n as never);
  await finished;
  const per_s = total / ((performance.now() - began_at) / 1000);
  stop(system as never);
  return per_s;
}
