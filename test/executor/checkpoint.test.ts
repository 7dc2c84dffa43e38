// checkpoint.test.ts: the executor's diary, torn, scribbled in, and on a disk that is full.

import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { type ExecutorRecord, openCheckpoint, readRecords } from '../../mesos/executor/checkpoint.ts';
import { tempDir } from '../support/temp.ts';

const records: readonly ExecutorRecord[] = [
  { kind: 'forked', process: 'wéb', at: 1, task_id: 'T-1' },
  { kind: 'started', process: 'wéb', pid: 2, at: 3, task_id: 'T-1' },
  { kind: 'acknowledged', task_id: 'T-1', uuid: 'u' },
];

test('what was appended is read again, in its order', async t => {
  const path = join(await tempDir(t), 'a', 'checkpoint');
  const first = openCheckpoint(path);
  t.deepEqual(first.records, []);
  first.checkpoint.append(records.slice(0, 2));
  first.checkpoint.append(records.slice(2));
  first.checkpoint.close();
  const second = openCheckpoint(path);
  second.checkpoint.close();
  t.deepEqual(second.records, records);
});

test('torn at any byte, every whole record before the tear is read, and writing goes on behind it', async t => {
  const folder = await tempDir(t);
  const whole = join(folder, 'whole');
  const { checkpoint } = openCheckpoint(whole);
  for (const record of records) checkpoint.append([record]);
  checkpoint.close();
  const bytes = await readFile(whole);
  const path = join(folder, 'torn');
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { records: left } = readRecords(bytes.subarray(0, cut), path);
    t.deepEqual(left, records.slice(0, left.length));
  }
  await writeFile(path, bytes.subarray(0, bytes.length - 5));
  const torn = openCheckpoint(path);
  t.deepEqual(torn.records, records.slice(0, 2));
  torn.checkpoint.append([records[2]!]);
  torn.checkpoint.close();
  t.deepEqual(await readFile(path), bytes);
});

test('a line that is no record is not passed over', async t => {
  const path = join(await tempDir(t), 'checkpoint');
  const { checkpoint } = openCheckpoint(path);
  checkpoint.append(records);
  checkpoint.close();
  await appendFile(path, 'hello\n');
  t.throws(() => openCheckpoint(path), { message: /checkpoint at byte \d+: "hello": expected the length of a record/ });
});
