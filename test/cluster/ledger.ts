// ledger.ts: a job whose every run signs a book with its target, and what the book says in the end.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Api, type OutcomeAnswer, outcomesOf } from '../program/horae.ts';
import { until } from '../support/until.ts';

export type Ledger = {
  readonly key: string;
  /** Instants of targets, as often as a run was started for them, in the order in which the runs began. */
  readonly signed: () => readonly string[];
  /** Resolves when that many targets have been run; then which were lost, and which were run twice. */
  readonly verdict: (api: Api, targets: number, deadline_ms?: number) => Promise<Verdict>;
};
export type Verdict = {
  readonly targets: readonly string[];
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly missed: readonly OutcomeAnswer[];
};

/** Creates a job that is due every second, late targets included, each in its turn. */
export async function startLedger(api: Api, directory: string, start: number, seconds = 1): Promise<Ledger> {
  const book = join(directory, 'book');
  const name = 'ledger';
  const document = {
    role: 'me',
    environment: 'test',
    name,
    command: `echo "$HORAE_SCHEDULED_AT" >> ${book}`,
    schedule: `R/${new Date(start).toISOString()}/PT${seconds}S`,
    catch_up: { policy: 'all' },
    overlap: { policy: 'allow' },
    cpus: 0.05,
    mem: 16,
  };
  const answer = await api.request('POST', '/api/v1/jobs', document);
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
  const key = `me/test/${name}`;
  const signed = () => (existsSync(book) ? readFileSync(book, 'utf8').split('\n').slice(0, -1) : []);
  return {
    key,
    signed,
    async verdict(at, targets, deadline_ms = 150_000) {
      const expected = Array.from({ length: targets }, (_, n) => new Date(start + n * seconds * 1_000).toISOString());
      const last = expected.at(-1)!;
      await until(
        () => `the target ${last} to be run; so far ${signed().length}`,
        () => signed().includes(last),
        deadline_ms,
      );
      // What was late is caught up in its turn, and the turn of the last may come before the run of one before has begun.
      const complete = () => expected.every(each => signed().includes(each));
      await until('those before it', complete, 100_000).catch(() => undefined);
      const found = signed();
      const outcomes = await outcomesOf(at, key);
      return {
        targets: expected,
        lost: expected.filter(each => !found.includes(each)),
        doubled: expected.filter(each => found.filter(other => other === each).length > 1),
        missed: outcomes.filter(row => !['ran', 'caught-up'].includes(row.outcome)),
      };
    },
  };
}
