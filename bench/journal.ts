// journal.ts: what the device lets us promise, and how soon we remember.
//
//   node bench/journal.ts [--records 400000] [--seconds 2] [--json] [--check]
//
// Three questions, all to the lmdb home in a directory of its own: how many records a second become durable, and after
// how long, at several batch sizes; what that leaves when the outbox makes the batches, an effect waiting on each record;
// and how long a snapshot takes, how long it holds the event loop, and how long restoring takes, with many live instances.

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOutbox } from '../actors/outbox.ts';
import type { History, Journal } from '../transport/journal/journal.ts';
import { lmdbJournal } from '../transport/journal/lmdb.ts';
import { instance, instances } from './instances.ts';
import { type Figures, quantile, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { records: 400_000, seconds: 2 });

const batch_sizes = [1, 16, 128, 1_024, 4_096];
const fill_batch = 4_096;
/** Records handed to the outbox per turn of the event loop, and how many may wait in it. */
const turn_records = 64;
const waiting_max = 20_000;

async function withJournal<T>(work: (journal: Journal & History, path: string) => Promise<T>): Promise<T> {
  const path = mkdtempSync(join(tmpdir(), 'horae-bench-'));
  const journal = journalAt(path);
  try {
    await journal.open();
    await journal.restore();
    return await work(journal, path);
  } finally {
    await journal.close();
    rmSync(path, { recursive: true });
  }
}
const journalAt = (path: string) => lmdbJournal({ path, schemas: {}, retention: {}, now: Date.now });

/** Appends one batch after the other. */
async function appending(size: number): Promise<Figures> {
  return await withJournal(async journal => {
    const waits: number[] = [];
    const started = performance.now();
    let records = 0;
    while (performance.now() - started < options.seconds * 1_000) {
      const batch = instances(records % options.records, size);
      const before = performance.now();
      await journal.append(batch);
      waits.push(performance.now() - before);
      records += size;
    }
    const seconds = (performance.now() - started) / 1_000;
    return {
      [`batch_${size}_per_s`]: records / seconds,
      [`batch_${size}_p50_ms`]: quantile(waits, 0.5),
      [`batch_${size}_p99_ms`]: quantile(waits, 0.99),
    };
  });
}

/** One record and one effect per transition, as fast as the outbox lets them go. */
async function throughOutbox(): Promise<Figures> {
  return await withJournal(async journal => {
    const outbox = createOutbox({
      journal,
      restored: { records: [] },
      defer: setImmediate,
      batch_changes_max: 4_096,
      onFatal: error => {
        throw error;
      },
    });
    const waits: number[] = [];
    const cpu = process.cpuUsage();
    const started = performance.now();
    let records = 0;
    while (performance.now() - started < options.seconds * 1_000) {
      for (let k = 0; k < turn_records && outbox.waiting().changes < waiting_max; k++) {
        const at = performance.now();
        outbox.emit([instance(records++ % options.records), () => waits.push(performance.now() - at)]);
      }
      await new Promise(resolve => setImmediate(resolve));
    }
    await outbox.idle();
    const ms = performance.now() - started;
    const { user, system } = process.cpuUsage(cpu);
    if (waits.length !== records) throw new Error(`${waits.length} effects left: expected ${records}`);
    return {
      outbox_per_s: (records / ms) * 1_000,
      outbox_p50_ms: quantile(waits, 0.5),
      outbox_p99_ms: quantile(waits, 0.99),
      outbox_cpu_us_per_record: (user + system) / records,
    };
  });
}

/** The longest time for which a timer that is due at once had to wait while `work` ran. */
async function longestHold(work: () => Promise<void>): Promise<{ hold_ms: number; ms: number }> {
  let hold_ms = 0;
  let running = true;
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    hold_ms = Math.max(hold_ms, now - last);
    last = now;
    if (running) setImmediate(tick);
  };
  setImmediate(tick);
  const started = performance.now();
  await work();
  running = false;
  return { hold_ms, ms: performance.now() - started };
}

async function remembering(): Promise<Figures> {
  return await withJournal(async (journal, path) => {
    for (let from = 0; from < options.records; from += fill_batch)
      await journal.append(instances(from, Math.min(fill_batch, options.records - from)));
    const data_bytes = statSync(join(path, 'data.mdb')).size;
    const restore = async (): Promise<number> => {
      const next = journalAt(path);
      const started = performance.now();
      await next.open();
      const { records } = await next.restore();
      let count = 0;
      for (const _ of records) count++;
      const ms = performance.now() - started;
      if (count !== options.records) throw new Error(`${count} records restored: expected ${options.records}`);
      await next.close();
      return ms;
    };
    await journal.close();
    const restore_segments_ms = await restore();
    const again = journalAt(path);
    await again.open();
    const first = await longestHold(() => again.snapshot());
    await again.append(instances(0, fill_batch));
    const second = await longestHold(() => again.snapshot());
    await again.close();
    const restore_snapshot_ms = await restore();
    return {
      record_bytes: data_bytes / options.records,
      restore_segments_ms,
      restore_snapshot_ms,
      snapshot_ms: first.ms,
      snapshot_hold_ms: first.hold_ms,
      next_snapshot_ms: second.ms,
      next_snapshot_hold_ms: second.hold_ms,
    };
  });
}

let figures: Figures = { records: options.records };
for (const size of batch_sizes) figures = { ...figures, ...(await appending(size)) };
figures = { ...figures, ...(await throughOutbox()), ...(await remembering()) };
report(
  {
    name: 'journal',
    figures,
    floors: {
      outbox_per_s: { at_least: 50_000 },
      record_bytes: { at_most: 150 },
      restore_segments_ms: { at_most: 5_000 },
      restore_snapshot_ms: { at_most: 5_000 },
      snapshot_hold_ms: { at_most: 250 },
    },
  },
  options,
);
