// instances.ts: records of instances that run, as many as a benchmark of a journal wants.

import type { Change } from '../transport/journal/journal.ts';

/** An instance as the scheduler records it when its task runs. */
export const instance = (n: number): Change => ({
  kind: 'instance',
  key: `www/prod/hello${n % 100}/1.cron.mi9fwgao/${n}`,
  body: {
    status: 'running',
    attempt: 1 + (n % 3),
    failures: n % 3,
    since: 1_763_785_000_000 + n,
    agent_id: `0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9-S${n % 1_000}`,
    hostname: `node${n % 1_000}.example.com`,
    version: 1,
    started_at: 1_763_785_000_500 + n,
  },
});
export const instances = (from: number, count: number): Change[] =>
  Array.from({ length: count }, (_, k) => instance(from + k));
