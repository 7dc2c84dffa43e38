// held-back.test.ts: whoever has not asked for a place yet can be told why.

import test from 'ava';
import { heldBack } from '../../actors/held-back.ts';
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
