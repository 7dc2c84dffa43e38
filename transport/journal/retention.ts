// retention.ts: which rows of history have had their time.
//
// Rows come newest first, as pages show them, so the rows of one job stand together: counting them while they pass is
// all it takes to keep the newest few of each, and nothing has to be remembered about the jobs before.

import type { KindRetention } from './journal.ts';

/** Counts rows as they pass in descending order of their keys, and says of each whether it must go. */
export function retentionCount(retention: KindRetention, now: number): (key: string, at: number) => boolean {
  const { age_ms_max = Number.POSITIVE_INFINITY, rows_max = Number.POSITIVE_INFINITY, group_parts = 3 } = retention;
  let group: string | undefined;
  let kept = 0;
  return (key, at) => {
    const mine = groupOf(key, group_parts);
    if (mine !== group) {
      group = mine;
      kept = 0;
    }
    if (now - at > age_ms_max || kept >= rows_max) return true;
    kept++;
    return false;
  };
}

/** The keys, among rows in descending order, of those that must go. */
export function expired(
  rows: Iterable<{ readonly key: string; readonly at: number }>,
  retention: KindRetention,
  now: number,
): string[] {
  const gone = retentionCount(retention, now);
  const keys: string[] = [];
  for (const { key, at } of rows) if (gone(key, at)) keys.push(key);
  return keys;
}

/** The first `parts` parts of a key, between its slashes; the whole key when it has fewer. */
function groupOf(key: string, parts: number): string {
  let end = 0;
  for (let part = 0; part < parts; part++) {
    const slash = key.indexOf('/', end);
    if (slash < 0) return key;
    end = slash + 1;
  }
  return key.slice(0, end);
}
