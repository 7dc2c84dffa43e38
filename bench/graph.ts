// graph.ts: what the end of a run costs where many follow: per edge that it touches, everything but the commit.
//
// Twenty thousand jobs in one graph of layers, each following up to eight of the layer above. Waves go through it: the job
// and trigger transitions of production, graph and tokens as the tree keeps them, records into the production outbox, whose
// journal takes them and writes nothing. Timed is what happens from the last instance's end until every child has looked:
// the run becomes history, tokens are left, and the last of them starts the child's run. The same graph then shows what
// it costs to submit a job, and to look for a cycle where the most has to be walked.

import type { Effect } from '../actors/effects.ts';
import { type JobState, job, newJob } from '../actors/job/job.ts';
import { newKin } from '../actors/job/kin.ts';
import { treeSettings } from '../actors/limits.ts';
import { instanceKey } from '../actors/model/ids.ts';
import { readJob } from '../actors/model/job.ts';
import type { InstanceRecord, JobRecord, RunRecord } from '../actors/model/records.ts';
import { createOutbox } from '../actors/outbox.ts';
import { newTrigger, type TriggerState, trigger } from '../actors/trigger/trigger.ts';
import { Graph } from '../schedules/graph.ts';
import { defaultSettings } from '../settings.ts';
import type { Change } from '../transport/journal/journal.ts';
import { quantile, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { jobs: 20_000, layer: 100, parents: 8, waves: 4 });
const settings = treeSettings(defaultSettings(), { name: 'bench', user: 'nobody', hostname: 'localhost' });

// --- the graph -------------------------------------------------------------------------------------------------------

const key = (n: number) => `bench/graph/job-${n}`;
/** Spread over the layer above, the same each time. */
const parentsOf = (n: number): readonly string[] => {
  const layer = Math.floor(n / options.layer);
  if (layer === 0) return [];
  const chosen = new Set<number>();
  for (let m = 0; m < 1 + (n % options.parents); m++)
    chosen.add((layer - 1) * options.layer + ((n * 31 + m * 17) % options.layer));
  return [...chosen].map(key);
};
const records = Array.from({ length: options.jobs }, (_, n): readonly [string, JobRecord] => {
  const parents = parentsOf(n);
  const read = readJob({
    role: 'bench',
    environment: 'graph',
    name: `job-${n}`,
    command: 'true',
    ...(parents.length === 0 ? { cron: '0 0 1 1 *' } : { parents: [...parents] }),
  });
  if (!read.ok) throw new Error(read.problems.map(one => one.message).join('; '));
  return [key(n), { job: read.value, incarnation: n + 1, version: 1, created_at: 0, updated_at: 0 }];
});

// --- submitting --------------------------------------------------------------------------------------------------------

const graph = new Graph();
const submitted = performance.now();
for (const [name, { job: one }] of records) {
  if (graph.cycle(name, one.parents ?? []) !== undefined) throw new Error(`${name} follows itself`);
  graph.set(name, one.parents ?? []);
}
const submit_us = ((performance.now() - submitted) / options.jobs) * 1_000;
// The first job, if it followed one that nobody follows: all that can be reached from it is walked.
const walks_ms = Array.from({ length: 9 }, () => {
  const looked = performance.now();
  graph.cycle(key(0), ['bench/graph/nobody']);
  return performance.now() - looked;
});
const cycle_ms = quantile(walks_ms, 0.5);

// --- waves -------------------------------------------------------------------------------------------------------------

const book = new Map(records);
const kin = newKin(settings.tokens_max, name => book.get(name), records, []);
const outbox = createOutbox({
  journal: { append: async changes => changes.length },
  restored: {
    records: records.map(([name, body], sequence) => ({ kind: 'job', key: name, body, schema: 1, sequence })),
  },
  defer: callback => void setImmediate(callback),
  batch_changes_max: 4_096,
  onFatal(error) {
    throw error;
  },
});
const reign = { reign_at: 0, calendars: () => ({}), room: () => Number.POSITIVE_INFINITY, kin };
const jobs = new Map<string, JobState>();
const triggers = new Map<string, TriggerState>();
for (const [name, record] of records) {
  jobs.set(name, newJob({ key: name, record, tally: undefined, trigger: undefined, runs: [] }));
  triggers.set(name, newTrigger(name, record, undefined, [], settings.trigger, reign));
}
const decide = trigger(settings.trigger);
let now = 1_000_000;
let edges = 0;
const born: (readonly [string, RunRecord])[] = [];
const mail: Extract<Effect, { type: 'tell' }>[] = [];

/** As tree.ts does it: records and books first, then mail. */
const perform = (effects: readonly Effect[]) => {
  const items: Change[] = [];
  for (const effect of effects) {
    if (effect.type === 'record') {
      if (effect.kind === 'token') kin.noteToken(effect.key, effect.body);
      items.push(effect);
    } else if (effect.type === 'tell') mail.push(effect);
  }
  if (items.length > 0) outbox.emit(items);
};
const deliver = () => {
  for (let letter = mail.shift(); letter !== undefined; letter = mail.shift()) {
    if (letter.to === 'trigger') {
      if (letter.message.type === 'token-left') edges++;
      const next = decide(triggers.get(letter.key)!, letter.message, now);
      triggers.set(letter.key, next.state);
      perform(next.effects);
    } else if (letter.to === 'job' && letter.message.type === 'started') born.push([letter.key, letter.message.run]);
  }
};
const begin = (name: string, run: RunRecord) => {
  const started = job(jobs.get(name)!, { type: 'started', run }, now, reign.room, kin);
  jobs.set(name, started.state);
};
const end = (name: string, run: RunRecord) => {
  const record: Extract<InstanceRecord, { status: 'over' }> = {
    status: 'over',
    attempt: 1,
    failures: 0,
    since: now,
    outcome: 'succeeded',
    reason: { code: 'exited', exit_code: 0 },
    agent_id: 'a',
  };
  outbox.record({ kind: 'instance', key: instanceKey(name, run.run, 0), body: record });
  const before = edges;
  const began = performance.now();
  const over = job(jobs.get(name)!, { type: 'instance-over', run: run.run, index: 0, record }, now, reign.room, kin);
  jobs.set(name, over.state);
  perform(over.effects);
  deliver();
  const took_us = (performance.now() - began) * 1_000;
  total_us += took_us;
  if (edges > before) per_edge_us.push(took_us / (edges - before));
};

const per_edge_us: number[] = [];
let total_us = 0;
let completions = 0;
for (let wave = 0; wave < options.waves + 1; wave++) {
  // The first wave warms up.
  if (wave === 1) {
    total_us = completions = edges = 0;
    per_edge_us.length = 0;
  }
  for (let n = 0; n < options.layer; n++) {
    const run: RunRecord = {
      run: `${n + 1}.m.w${wave}`,
      cause: { type: 'manual', by: 'bench', request: `w${wave}` },
      instances: 1,
      created_at: now,
    };
    triggers.set(key(n), { ...triggers.get(key(n))!, active: [run.run] });
    outbox.record({ kind: 'run', key: `${key(n)}/${run.run}`, body: run });
    born.push([key(n), run]);
  }
  for (let next = born.shift(); next !== undefined; next = born.shift()) {
    now++;
    const [name, run] = next;
    begin(name, run);
    end(name, run);
    // As commits come: the outbox lets go what it has.
    if (++completions % 1_000 === 0) await new Promise(resolve => setImmediate(resolve));
  }
}
const expected = options.jobs * options.waves;
const edge_count = records.reduce((sum, [, { job: one }]) => sum + (one.parents?.length ?? 0), 0);
if (completions !== expected || edges !== edge_count * options.waves)
  throw new Error(`${completions} runs over ${edges} edges: expected ${expected} over ${edge_count * options.waves}`);

report(
  {
    name: 'graph',
    figures: {
      jobs: options.jobs,
      edges: edge_count,
      completions,
      edges_touched: edges,
      per_edge_us: total_us / edges,
      per_edge_p50_us: quantile(per_edge_us, 0.5),
      per_edge_p99_us: quantile(per_edge_us, 0.99),
      submit_us,
      cycle_ms,
    },
    floors: { per_edge_us: { at_most: 50 }, cycle_ms: { at_most: 100 } },
  },
  options,
);
