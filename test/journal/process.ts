// process.ts: a journal in a process of its own, for tests that kill it, starve it or hand it a broken directory.
//
// Reads its orders from the command line, says one line per event on stdout, and ends with status 0, or with 3 and the
// error as JSON: a test can tell a clear refusal from a crash in native code.

import { type Change, JournalError } from '../../transport/journal/journal.ts';
import { lmdbJournal } from '../../transport/journal/lmdb.ts';

const [order, path, map_size] = process.argv.slice(2);
const say = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`);
const journal = lmdbJournal({
  path: path!,
  schemas: {},
  retention: {},
  now: Date.now,
  map_size: map_size === undefined ? 2 ** 30 : Number(map_size),
});

/** One key that changes, one that comes and goes, one row of history: what is there tells how far it got. */
const batch = (n: number, bytes: number): Change[] => [
  { kind: 'job', key: `job ${n % 500}`, body: { n, text: 'x'.repeat(bytes) } },
  { kind: 'run', key: `run ${n % 7}`, body: n % 3 === 0 ? undefined : { n } },
  { kind: 'outcome', key: `job/${String(n).padStart(9, '0')}`, body: { n } },
];

try {
  const epoch = await journal.open();
  const { position, records, poison } = await journal.restore();
  const state = [...records].map(({ kind, key, body }) => `${kind} ${key} ${(body as { n: number }).n}`).sort();
  say({ event: 'open', epoch, position, state, poison: poison.length, outcomes: journal.count('outcome', '') });
  const first = Math.floor(position / 3);
  switch (order) {
    case 'hold':
      setInterval(() => {}, 1_000);
      break;
    case 'one':
      say({ event: 'durable', position: await journal.append(batch(first, 100)) });
      break;
    case 'append':
    case 'fill':
      for (let n = first; ; n++) {
        say({ event: 'durable', position: await journal.append(batch(n, order === 'fill' ? 20_000 : 100)) });
        if (order === 'append' && n % 20 === 0)
          journal.snapshot().catch(error => say({ event: 'snapshot failed', code: (error as JournalError).code }));
      }
    case 'read':
      for (let before: string | undefined; ; ) {
        before = journal.page('outcome', '', 1_000, before).next;
        if (before === undefined) break;
      }
      await journal.snapshot();
      break;
  }
  if (order !== 'hold') await journal.close();
} catch (error) {
  const { code, message } = error as JournalError;
  say({ event: 'refused', journal_error: error instanceof JournalError, code, message });
  await journal.close();
  process.exitCode = 3;
}
