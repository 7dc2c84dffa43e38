// listed.ts: the process that listing.ts asks: the scheduler behind its door, with its jobs, on a Mesos without machines.
//
//   forked with JOBS PERIOD_S; says {url} once its jobs are in and the first are due, then {lags} whenever it is asked for them.
//
// Core, journal, projection and server are those of production. The jobs come as Chronos's clients post them, each is due every
// PERIOD_S seconds, and they are spread over whole seconds: so many at once, as crontabs have it.

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../schedules/clock.ts';
import { good } from '../schedules/problem.ts';
import { defaultSettings } from '../settings.ts';
import { readChronos } from '../transport/http/chronos/document.ts';
import { startHttp } from '../transport/http/server.ts';
import { lmdbJournal } from '../transport/journal/lmdb.ts';
import { createMetrics } from '../transport/metrics.ts';
import { createProjection, type Projection } from '../transport/projection.ts';
import { startEngine } from './engine.ts';

const [jobs = 0, period_s = 1] = process.argv.slice(2).map(Number);
const agents = 100;
const submits_at_once = 1_000;
const clock = systemClock();
const settings = defaultSettings();
let lags_ms: number[] = [];

const path = mkdtempSync(join(tmpdir(), 'horae-listed-'));
const journal = lmdbJournal({ path, schemas: {}, retention: {}, now: clock.now });
const engine = await startEngine({
  journal,
  agents,
  cpus: 1_000,
  mem: 1_000_000,
  life: () => ({ start_delay_ms: 0, duration_ms: 200, exit: { code: 0 } }),
  count(name, value) {
    if (name === 'horae_start_lag_seconds') lags_ms.push(value * 1000);
  },
});
const { scheduler } = engine;
const views: Projection = createProjection({
  history: journal,
  nextAt: key => scheduler.nextAt(key),
  pending: scheduler.pending,
  quarantined: () => undefined,
});
engine.outbox.onCommitted((changes, position) => views.commit(changes, position));
const quiet = () => undefined;
const server = await startHttp({
  listen: { host: '127.0.0.1', port: 0 },
  submit: scheduler.submit,
  views,
  history: journal,
  sandboxes: { open: async () => undefined, list: async () => undefined },
  credentials: undefined,
  insecure: false,
  allow_origins: [],
  allow_hosts: [],
  limits: settings,
  clock,
  log: { debug: quiet, info: quiet, warn: console.error, error: console.error },
  metrics: createMetrics(),
  compile: () => good(undefined),
  ids: randomUUID,
});

const first_due = (Math.ceil(clock.now() / 1000) + Math.ceil(jobs / 2_500)) * 1000;
for (let from = 0; from < jobs; from += submits_at_once)
  await Promise.all(
    Array.from({ length: Math.min(submits_at_once, jobs - from) }, async (_, k) => {
      const n = from + k;
      const due = new Date(first_due + (n % period_s) * 1000).toISOString();
      const read = readChronos({
        name: `load-${n}`,
        command: `/usr/local/bin/load --table t${n} --day "$(date +%F)"`,
        schedule: `R/${due}/PT${period_s}S`,
        owner: `team-${n % 50}@example.com`,
        description: 'Loads what the hour before has left',
        cpus: 0.1,
        mem: 128,
        retries: 2,
        environmentVariables: [{ name: 'TABLE', value: `t${n}` }],
      });
      if (!read.ok) throw new Error(read.problems.map(one => one.message).join('; '));
      const { job, document } = read.value;
      const answer = await engine.submit({
        type: 'submit',
        mode: 'upsert',
        job,
        origin: { dialect: 'chronos', document },
      });
      if (answer.type !== 'created') throw new Error(`job ${n} was answered ${JSON.stringify(answer)}`);
    }),
  );
await new Promise(resolve => setTimeout(resolve, Math.max(0, first_due - clock.now())));

process.on('message', () => {
  process.send!({ lags_ms });
  lags_ms = [];
});
process.on('disconnect', async () => {
  await server.close();
  await engine.close();
  rmSync(path, { recursive: true, force: true });
  process.exit();
});
process.send!({ url: server.url });
