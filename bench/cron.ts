// cron.ts: how late runs start when a thousand jobs are due every second.
//
// Jobs with a target each second, their phases spread over it, for a minute, on one simulated agent through the production
// core. Start lag is what the agent records as the start of the process, minus the nominal instant. Every target must have
// exactly one outcome, and since no fault is injected, it must be `ran`.

import type { OutcomeRow } from '../actors/model/records.ts';
import { running, startEngine } from './engine.ts';
import { quantile, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { jobs: 1_000, seconds: 60 });

const engine = await startEngine({
  agents: 1,
  cpus: options.jobs,
  mem: options.jobs * 200,
  life: () => ({ start_delay_ms: 0, duration_ms: 100, exit: { code: 0 } }),
});
// All begin together, a little ahead, so that nobody's first target has passed before the last job is there.
const start = Math.ceil(Date.now() / 1000) * 1000 + 5_000;
const end = start + options.seconds * 1000;
const told = new Map<string, string[]>();
engine.onCommitted(changes => {
  for (const { kind, key, body } of changes) {
    if (kind !== 'outcome') continue;
    const row = body as OutcomeRow;
    const list = told.get(key) ?? [];
    list.push(row.count === 1 ? row.outcome : `${row.count} ${row.outcome}`);
    told.set(key, list);
  }
});
const lag_ms: number[] = [];
engine.onCommitted(changes => {
  for (const { key, record } of running(changes)) {
    const nominal = Number.parseInt(key.split('/')[3]!.split('.')[2]!, 36);
    lag_ms.push(record.started_at! - nominal);
  }
});
const create = async (n: number) => {
  const phase = new Date(start + Math.floor((n / options.jobs) * 1000)).toISOString();
  const answer = await engine.create({
    role: 'bench',
    environment: 'prod',
    name: `tick-${n}`,
    command: 'true',
    schedule: `R${options.seconds}/${phase}/PT1S`,
    overlap: { policy: 'allow', max: 10 },
  });
  if (answer.type !== 'created') throw new Error(`job ${n} was not created: ${JSON.stringify(answer)}`);
};
for (let n = 0; n < options.jobs; n += 500)
  await Promise.all(Array.from({ length: Math.min(500, options.jobs - n) }, (_, index) => create(n + index)));
if (Date.now() > start)
  throw new Error('the jobs took too long to create: expected to be ready before the first target');
const cpu = process.cpuUsage();
await new Promise<void>(resolve => {
  const done = () =>
    (engine.scheduler.counts().instances === 0 && Date.now() > end + 1_000) || Date.now() > end + 60_000;
  const look = setInterval(() => {
    if (!done()) return;
    clearInterval(look);
    resolve();
  }, 100);
});
const { user, system } = process.cpuUsage(cpu);
const expected = options.jobs * options.seconds;
const outcomes = [...told.values()];
const ran = outcomes.filter(list => list.length === 1 && list[0] === 'ran').length;
report(
  {
    name: 'cron',
    figures: {
      targets: expected,
      ran,
      other_outcomes: outcomes.length - ran,
      without_outcome: expected - outcomes.length,
      p50_ms: quantile(lag_ms, 0.5),
      p99_ms: quantile(lag_ms, 0.99),
      max_ms: quantile(lag_ms, 1),
      cpu_percent: (user + system) / 10_000 / ((Date.now() - start) / 1000),
    },
    floors: { ran: { at_least: expected }, p99_ms: { at_most: 50 } },
  },
  options,
);
await engine.close();
