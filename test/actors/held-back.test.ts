// held-back.test.ts: whoever has not asked for a place yet can be told why.

import test from 'ava';
import { heldBack } from '../../actors/instance/held-back.ts';
import { readJob } from '../../actors/model/job.ts';

const key = 'www/prod/hello/1.service/0';
const at = { status: 'pending', attempt: 1, failures: 0, since: 5 };
const latest = (fields: object, record: object = at) => {
  const read = readJob({ role: 'www', environment: 'prod', name: 'hello', ...fields });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  return (kind: 'job' | 'run' | 'instance', of: string) =>
    kind === 'instance' && of === key
      ? record
      : kind === 'job' && of === 'www/prod/hello'
        ? { job: read.value }
        : undefined;
};
const processes = { processes: [{ name: 'web', command: 'serve' }] };

test('a task of processes waits until its executor has been packed, and says so; a plain command does not', t => {
  t.like(
    heldBack(key, () => undefined, latest(processes)),
    { instance: key, since: 5, why: { code: 'no-executor' } },
  );
  t.is(
    heldBack(key, () => 'http://127.0.0.1/executor.tar.gz', latest(processes)),
    undefined,
  );
  t.is(
    heldBack(key, () => undefined, latest({ command: 'true' })),
    undefined,
  );
  t.is(
    heldBack(key, () => undefined, latest(processes, { ...at, status: 'over' })),
    undefined,
  );
});

test('so can an instance of which nothing is written down yet, since it waits for its first place', t => {
  const read = readJob({ role: 'www', environment: 'prod', name: 'hello', ...processes });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  const records: Readonly<Record<string, unknown>> = {
    'job www/prod/hello': { job: read.value },
    'run www/prod/hello/1.once': { run: '1.once', cause: { type: 'once' }, instances: 2, created_at: 7 },
  };
  const why = (of: string) =>
    heldBack(
      of,
      () => undefined,
      (kind, which) => records[`${kind} ${which}`],
    );
  t.like(why('www/prod/hello/1.once/1'), { since: 7, why: { code: 'no-executor' } });
  t.is(why('www/prod/hello/1.once/2'), undefined, 'the run has two');
  t.is(why('www/prod/hello/1.other/0'), undefined, 'there is no such run');
});

test('an instance that an update left as it was waits for what it was', t => {
  const job = (fields: object) => {
    const read = readJob({ role: 'www', environment: 'prod', name: 'hello', service: true, ...fields });
    if (!read.ok) throw new Error(read.problems[0]!.message);
    return read.value;
  };
  const others = [{ job: job(processes), version: 1, indexes: [[0, 0]] }];
  const why = heldBack(
    key,
    () => undefined,
    kind =>
      kind === 'job'
        ? { job: job({ command: 'true' }), version: 2 }
        : kind === 'run'
          ? { run: '1.service', cause: { type: 'service' }, instances: 1, created_at: 1, others }
          : at,
  );
  t.like(why, { since: 5, why: { code: 'no-executor' } });
});
