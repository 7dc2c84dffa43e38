// alone.test.ts: what the building of a scheduler itself decides.

import test from 'ava';
import { frameworkId, tellPoison } from '../../programs/alone.ts';
import { Refused } from '../../programs/refused.ts';
import type { Change } from '../../transport/journal/journal.ts';

const framework = (framework_id: string | undefined): Change => ({
  kind: 'framework',
  key: 'id',
  body: framework_id === undefined ? undefined : { framework_id, stored_at: 0 },
});

test('the framework id is what the records say at present', t => {
  const other: Change = { kind: 'job', key: 'id', body: { framework_id: 'no' } };
  const id = frameworkId([framework('F'), other]);
  t.is(id.now(), 'F');
  id.note([other]);
  t.is(id.now(), 'F');
  id.note([framework('G')]);
  t.is(id.now(), 'G');
  id.note([framework(undefined)]);
  t.is(id.now(), undefined);
});

test('a record that cannot be read is put aside; but nobody starts without the framework id that was there', t => {
  const said: unknown[] = [];
  const log = { error: (fields: object) => void said.push(fields) } as unknown as Parameters<typeof tellPoison>[0];
  const job = { kind: 'job', key: 'a/b/c', schema: 1, reason: 'not of shape 1' };
  tellPoison(log, [job]);
  t.deepEqual(said, [job]);
  const own = { kind: 'framework', key: 'id', schema: 9, reason: 'no upgrade from shape 9 to 10' };
  t.throws(() => tellPoison(log, [job, own]), {
    instanceOf: Refused,
    message: /framework id cannot be read \(no upgrade/,
  });
});
