// rows.test.ts: which rows are the first of a list.

import test from 'ava';
import fc from 'fast-check';
import type { JobRecord } from '../../actors/model/records.ts';
import { firstOf, order, type Row, rowOf } from '../../transport/console/rows.ts';
import { job } from './stage.ts';

const row = (n: number, next_at: number | undefined): Row => {
  const key = `www/prod/n${n}`;
  const record = job(key).body as JobRecord;
  return rowOf({ key, record, runs: [], ...(next_at === undefined ? {} : { next_at }) });
};

test('the first rows are those that sorting all of them gives, and rows that are alike stay as they came', t => {
  const instants = fc.array(fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }), { maxLength: 60 });
  fc.assert(
    fc.property(instants, fc.nat(70), fc.boolean(), (nexts, count, descending) => {
      const rows = nexts.map((next_at, n) => row(n, next_at));
      const compare = order('next', descending);
      t.deepEqual(firstOf(rows, count, compare), rows.toSorted(compare).slice(0, count));
    }),
  );
});
