// faults.test.ts: directories that are not ours, processes that die, devices that fill, files that rot.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { checkDataFile } from '../../transport/journal/data-file.ts';
import { JournalError, type JournalErrorCode } from '../../transport/journal/journal.ts';
import { lmdbJournal } from '../../transport/journal/lmdb.ts';
import { may_mount, strace, testWith } from '../support/needs.ts';
import { gone, put } from './contract.ts';

const scratch = await mkdtemp(join(tmpdir(), 'horae-faults-'));
let places = 0;
const place = () => join(scratch, `j${places++}`);
test.after.always(async () => {
  if (may_mount !== undefined) spawnSync('umount', ['-R', small]);
  await rm(scratch, { recursive: true, force: true });
});

const journalAt = (path: string, options: { map_size?: number } = {}) =>
  lmdbJournal({ path, schemas: {}, retention: {}, now: () => 0, map_size: 2 ** 28, ...options });

async function refused(t: ExecutionContext, opening: Promise<unknown>, code: JournalErrorCode, message: RegExp) {
  const error = await t.throwsAsync(opening, { instanceOf: JournalError, message });
  t.is((error as JournalError).code, code);
}

// --- a process of its own -----------------------------------------------------------------------------------------------

type Event = {
  readonly event: 'open' | 'durable' | 'refused';
  readonly epoch: number;
  readonly position: number;
  readonly state: string[];
  readonly poison: number;
  readonly outcomes: number;
  readonly journal_error: boolean;
  readonly code: JournalErrorCode;
  readonly message: string;
};
const program = fileURLToPath(new URL('./process.ts', import.meta.url));
const parse = (stdout: string): Event[] =>
  stdout
    .split('\n')
    .slice(0, -1) // What follows the last line end was cut off by a kill.
    .map(line => JSON.parse(line) as Event);

/** Runs an order to its end. */
function run(order: string, path: string, ...more: string[]) {
  const { stdout, status, signal, stderr } = spawnSync(process.execPath, [program, order, path, ...more], {
    encoding: 'utf8',
  });
  const events = parse(stdout);
  return { events, last: events.at(-1), status, signal, stderr };
}

/** Starts an order and calls `heard` with each event. */
function start(order: string, path: string, heard: (event: Event, child: ChildProcess) => void): Promise<Event[]> {
  const child = spawn(process.execPath, [program, order, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const events: Event[] = [];
  createInterface({ input: child.stdout }).on('line', line => {
    let event: Event;
    try {
      event = JSON.parse(line) as Event;
    } catch {
      return; // Cut off by the kill.
    }
    events.push(event);
    heard(event, child);
  });
  return new Promise(resolve => child.on('close', () => resolve(events)));
}

/** What `process.ts` leaves after its first `batches` batches. */
function stateAfter(batches: number): string[] {
  const state = new Map<string, string>();
  for (let n = 0; n < batches; n++) {
    state.set(`job job ${n % 500}`, `job job ${n % 500} ${n}`);
    if (n % 3 === 0) state.delete(`run run ${n % 7}`);
    else state.set(`run run ${n % 7}`, `run run ${n % 7} ${n}`);
  }
  return [...state.values()].sort();
}

// --- whose directory ----------------------------------------------------------------------------------------------------

test('a directory with files of somebody else is refused and left as it is', async t => {
  const path = place();
  await mkdir(path);
  await writeFile(join(path, 'thesis.txt'), 'do not touch');
  await refused(t, journalAt(path).open(), 'foreign', /holds "thesis.txt" but no journal of Horae/);
  t.deepEqual(await readdir(path), ['thesis.txt']);
});

test("another program's lmdb is refused before lmdb sees it", async t => {
  const path = place();
  await mkdir(path);
  await writeFile(join(path, 'data.mdb'), Buffer.alloc(8_192, 7));
  await refused(t, journalAt(path).open(), 'foreign', /data.mdb/);
});

test('a file in the place of the directory is refused', async t => {
  const path = place();
  await writeFile(path, 'a file');
  await refused(t, journalAt(path).open(), 'foreign', /not a directory/);
  await refused(t, journalAt(join(path, 'below')).open(), 'foreign', /not a directory/);
});

test('the files are for their owner alone, and a directory of a newer format is refused', async t => {
  const path = place();
  run('one', path);
  for (const name of await readdir(path))
    t.is((await stat(join(path, name))).mode & 0o077, 0, `${name} is for its owner`);
  await writeFile(join(path, 'horae-journal'), 'Horae journal, format 2\n');
  await refused(t, journalAt(path).open(), 'newer', /has format 2: .* up to 1/);
});

test('a journal whose data file has gone is refused: it does not begin anew in silence', async t => {
  const path = place();
  run('one', path);
  await rm(join(path, 'data.mdb'));
  await refused(t, journalAt(path).open(), 'corrupt', /data.mdb is missing/);
});

test('a journal whose making was interrupted is made from the beginning', async t => {
  const path = place();
  await mkdir(path);
  await writeFile(join(path, 'horae-journal'), 'Horae journal, being created\n');
  await writeFile(join(path, 'data.mdb'), Buffer.alloc(5_000, 1));
  const journal = journalAt(path);
  t.is(await journal.open(), 1);
  await journal.close();
});

// --- one at a time --------------------------------------------------------------------------------------------------------

test('a directory in use by another process is refused with its number; killed, it gives way', async t => {
  const path = place();
  let pid: number | undefined;
  const events = await start('hold', path, (_event, child) => {
    pid = child.pid;
    refused(t, journalAt(path).open(), 'locked', new RegExp(`in use by process ${pid}: `))
      .catch(error => t.fail(String(error)))
      .finally(() => child.kill('SIGKILL'));
  });
  t.is(events.length, 1);
  t.true((await readdir(path)).includes('instance.lock'));
  const journal = journalAt(path);
  t.is(await journal.open(), 2);
  await refused(t, journalAt(path).open(), 'locked', new RegExp(`process ${process.pid}: `));
  await journal.close();
  t.false((await readdir(path)).some(name => name.startsWith('instance.lock')));
});

test('a lock whose process number now belongs to somebody else, or that is half written, gives way', async t => {
  const path = place();
  run('one', path);
  const lock = join(path, 'instance.lock');
  const holding = journalAt(path);
  await holding.open();
  const mine = JSON.parse(await readFile(lock, 'utf8')) as object;
  await holding.close();
  for (const left of [
    JSON.stringify({ ...mine, started: '1' }),
    JSON.stringify({ ...mine, boot: 'an earlier one' }),
    JSON.stringify({ ...mine, pid: 2 ** 22 + 1 }),
    '{"pid": 12',
    '',
  ]) {
    await writeFile(lock, left);
    const journal = journalAt(path);
    await t.notThrowsAsync(journal.open(), left);
    await journal.close();
  }
});

test('of many that find a stale lock at once, one gets the directory', async t => {
  const path = place();
  run('one', path);
  await writeFile(join(path, 'instance.lock'), '{"pid": 12');
  const journals = Array.from({ length: 8 }, () => journalAt(path));
  const outcomes = await Promise.allSettled(journals.map(journal => journal.open()));
  t.is(outcomes.filter(outcome => outcome.status === 'fulfilled').length, 1);
  for (const journal of journals) await journal.close();
});

test('a writer whose place was taken in spite of the lock is fenced at its next append, and nothing of it is stored', async t => {
  const path = place();
  const older = journalAt(path);
  await older.open();
  await older.append([put('job', 'a', { n: 1 })]);
  await rm(join(path, 'instance.lock'));
  const events = run('one', path).events;
  t.is(events[0]?.epoch, 2);
  await refused(t, older.append([put('job', 'stolen', { n: 9 })]), 'fenced', /another writer .* since epoch 1/);
  await refused(t, older.append([put('job', 'b', { n: 1 })]), 'fenced', /another writer/);
  await older.close();
  t.deepEqual(run('read', path).events[0]?.state, ['job a 1', 'job job 0 0']);
});

// --- death ---------------------------------------------------------------------------------------------------------------

test('killed at any moment, everything acknowledged is there, and what is there is a whole prefix', async t => {
  const path = place();
  let acknowledged = 0;
  for (const after of [3, 1, 45, 90]) {
    let count = 0;
    const events = await start('append', path, ({ event, position }, child) => {
      if (event !== 'durable') return;
      acknowledged = Math.max(acknowledged, position);
      if (++count === after) child.kill('SIGKILL');
    });
    t.is(events[0]?.event, 'open');
    const found = run('read', path).events[0]!;
    t.true(found.position >= acknowledged, `${found.position} is there, ${acknowledged} was acknowledged`);
    t.is(found.position % 3, 0);
    t.deepEqual(found.state, stateAfter(found.position / 3));
    t.is(found.outcomes, found.position / 3);
  }
});

testWith(strace)(
  'an append is acknowledged after the device has the pages and then the page that makes them count (needs strace)',
  async t => {
    const path = place();
    run('one', path);
    const log = place();
    const calls = 'trace=openat,pwrite64,pwritev,fdatasync,write';
    const traced = spawnSync('strace', ['-f', '-e', calls, '-o', log, process.execPath, program, 'one', path]);
    t.is(traced.status, 0);
    const lines = (await readFile(log, 'utf8')).split('\n');
    // The page that makes a transaction count is written through a descriptor of its own, opened with O_DSYNC.
    const opens = lines.filter(line => line.includes('data.mdb"') && line.includes('O_WRONLY'));
    t.is(opens.length, 1);
    t.regex(opens[0]!, /O_DSYNC/);
    const meta = / = (\d+)$/.exec(opens[0]!)![1]!;
    const acknowledged = lines.findIndex(line => line.includes('durable'));
    const entered = lines.findLastIndex((line, at) => at < acknowledged && line.includes(`pwrite64(${meta},`));
    const before = lines.findLastIndex((line, at) => at < entered && line.includes(`pwrite64(${meta},`));
    const steps = lines
      .slice(before + 1, acknowledged)
      .map(line => /(pwrite64|pwritev|fdatasync)\((\d+)/.exec(line))
      .filter(call => call !== null)
      .map(([, call, file]) => (call === 'fdatasync' ? 'sync' : file === meta ? 'enter' : 'write'));
    t.true(steps.includes('write'));
    t.deepEqual(
      steps.filter((step, index) => step !== steps[index - 1]),
      ['write', 'sync', 'enter'],
    );
  },
);

// --- a full device --------------------------------------------------------------------------------------------------------

const small = join(scratch, 'small');
if (may_mount !== undefined) {
  mkdirSync(small);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', small]);
}

testWith(may_mount)(
  'on a full device the append fails as `full`, nothing of it is there, and everything before it is (needs root for a tmpfs)',
  t => {
    const path = join(small, 'journal');
    const { last, status, events } = run('fill', path);
    t.is(status, 3);
    t.like(last, { event: 'refused', journal_error: true, code: 'full' });
    const acknowledged = events.findLast(event => event.event === 'durable')!.position;
    t.true(acknowledged > 30);
    // Opening writes as well, and is refused as clearly.
    t.like(run('read', path).last, { event: 'refused', journal_error: true, code: 'full' });
    t.is(spawnSync('mount', ['-o', 'remount,size=12m', small]).status, 0);
    const found = run('read', path);
    t.is(found.status, 0);
    t.is(found.events[0]!.position, acknowledged);
    t.deepEqual(found.events[0]!.state, stateAfter(acknowledged / 3));
    t.is(found.events[0]!.outcomes, acknowledged / 3);
  },
);

testWith(may_mount)(
  'a device that fills while snapshots are made ends the process as clearly, and loses nothing (needs root for a tmpfs)',
  t => {
    const place = join(small, 'second');
    mkdirSync(place);
    t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=700k', 'tmpfs', place]).status, 0);
    const path = join(place, 'journal');
    const { status, signal, events, stderr } = run('append', path);
    t.is(signal, null, stderr);
    t.is(status, 3, stderr);
    const refusal = events.find(event => event.event === 'refused');
    t.like(refusal, { event: 'refused', journal_error: true, code: 'full' });
    const acknowledged = events.findLast(event => event.event === 'durable')!.position;
    t.is(spawnSync('mount', ['-o', 'remount,size=8m', place]).status, 0);
    const found = run('read', path).events[0]!;
    t.true(found.position >= acknowledged);
    t.deepEqual(found.state, stateAfter(found.position / 3));
    t.is(found.outcomes, found.position / 3);
  },
);

test('at the limit of its size the journal ends as `full`, and can be opened with a higher one', t => {
  const path = place();
  const { last, events } = run('fill', path, '1000000');
  t.like(last, { event: 'refused', journal_error: true, code: 'full' });
  t.regex(last!.message, /has reached its limit of 1000000 bytes/);
  const acknowledged = events.findLast(event => event.event === 'durable')!.position;
  const found = run('one', path);
  t.is(found.events[0]!.position, acknowledged);
  t.is(found.last!.position, acknowledged + 3);
});

// --- rot -----------------------------------------------------------------------------------------------------------------

/** A journal with snapshot, segments and history, closed. */
async function sample(): Promise<string> {
  const path = place();
  const journal = journalAt(path);
  await journal.open();
  for (let n = 0; n < 40; n++) {
    const instances = Array.from({ length: 30 }, (_, k) => put('instance', `www/prod/hello/${n}/${k}`, { n, k }));
    const outcomes = Array.from({ length: 30 }, (_, k) =>
      put('outcome', `www/prod/hello/${n * 30 + k + 10_000}`, { k }),
    );
    await journal.append([...instances, ...outcomes, gone('instance', `www/prod/hello/${n - 1}/3`)]);
    if (n === 20) await journal.snapshot();
  }
  await journal.close();
  return path;
}

/** A number in [0, 1) that is the same in every run. */
function seeded(seed: number) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const page_bytes = 4_096;
type Rot = (data: Buffer, random: () => number) => Buffer;
const somewhere = (data: Buffer, random: () => number) =>
  Math.floor((random() * data.length) / page_bytes) * page_bytes;
const rots: Rot[] = [
  (data, random) => data.subarray(0, Math.floor(random() * data.length)),
  (data, random) => {
    data[Math.floor(random() * data.length)]! ^= 1 + Math.floor(random() * 255);
    return data;
  },
  (data, random) => {
    data[somewhere(data, random) + Math.floor(random() * 64)]! ^= 1 << Math.floor(random() * 8);
    return data;
  },
  (data, random) => data.fill(0, ...pageAt(data, random)),
  (data, random) => {
    for (let [at, end] = pageAt(data, random); at < end; at++) data[at] = Math.floor(random() * 256);
    return data;
  },
];
function pageAt(data: Buffer, random: () => number): [number, number] {
  const at = somewhere(data, random);
  return [at, at + page_bytes];
}

test('a rotten data file is read without harm and refused as corrupt, or is sound where it matters to lmdb', async t => {
  const path = await sample();
  const sound = await readFile(join(path, 'data.mdb'));
  await t.notThrowsAsync(checkDataFile(join(path, 'data.mdb')));
  const random = seeded(20_260_101);
  const rotten = place();
  let refusals = 0;
  for (let round = 0; round < 200; round++) {
    await writeFile(rotten, rots[round % rots.length]!(Buffer.from(sound), random));
    try {
      await checkDataFile(rotten);
    } catch (error) {
      if (!(error instanceof JournalError) || error.code !== 'corrupt') throw error;
      refusals++;
    }
  }
  t.true(refusals > 50, `${refusals} of 200 refused`);
});

test('a truncated or garbled journal ends a process with one clear error, never with a signal', async t => {
  const path = await sample();
  const random = seeded(7);
  for (let round = 0; round < 10; round++) {
    const copy = place();
    await cp(path, copy, { recursive: true });
    const data = join(copy, 'data.mdb');
    await writeFile(data, rots[round % rots.length]!(await readFile(data), random));
    const { status, signal, last, stderr } = run('read', copy);
    t.is(signal, null, stderr);
    if (status === 0) continue; // It hit a free page, or a row that could be left out.
    t.is(status, 3, stderr);
    t.like(last, { event: 'refused', journal_error: true, code: 'corrupt' });
    t.false(last!.message.includes('\n'));
  }
});

test('a segment that does not match its checksum is refused, wherever in it the byte lies', async t => {
  const path = place();
  const journal = journalAt(path);
  await journal.open();
  const text = 'a body long enough to be found again in the file';
  await journal.append([put('job', 'a', { text: `${text}${'.'.repeat(5_000)}` })]);
  await journal.close();
  const file = await open(join(path, 'data.mdb'), 'r+');
  const at = (await readFile(join(path, 'data.mdb'))).indexOf(text);
  t.true(at > 0);
  await file.write('X', at + 3);
  await file.close();
  const next = journalAt(path);
  const opening = next.open().then(() => next.restore());
  await refused(t, opening, 'corrupt', /segment 1 does not match its checksum/);
  await next.close();
});

test('of a tree with very many leaves the branches are still read, and a leaf beyond the end is still found', async t => {
  const data = join(await sample(), 'data.mdb');
  await t.notThrowsAsync(checkDataFile(data, 1));
  await truncate(data, 6 * page_bytes);
  await refused(t, checkDataFile(data, 1), 'corrupt', /leads to page \d+, and the file ends after 6 pages/);
});

test('an empty data file is refused', async t => {
  const path = place();
  run('one', path);
  await truncate(join(path, 'data.mdb'), 0);
  await refused(t, journalAt(path).open(), 'corrupt', /ends after 0 bytes/);
});
