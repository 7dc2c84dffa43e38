// cursor.ts: where a page of a list ended, as a client hands it back to get the one after it.
//
// A cursor is the key of a row, written so that nobody takes it for anything but a cursor. It comes back from strangers: one that
// points into other rows than those of the list is refused.

import { z } from 'zod';
import { Refused } from './problems.ts';
import { limit_query } from './route.ts';

/** What lists take that are told newest first. */
export const page_query = z.strictObject({
  limit: limit_query.describe('Rows in this page; 100 when left out.'),
  before: z.string().max(1_000).optional().describe('From the `next` of the page before.'),
});

/** The key in a cursor; undefined where none was given, on the first page. */
export function readCursor(given: string | undefined, isOurs: (key: string) => boolean): string | undefined {
  if (given === undefined) return undefined;
  const key = Buffer.from(given, 'base64url').toString('utf8');
  if (isOurs(key)) return key;
  throw new Refused('malformed', `the cursor "${given.slice(0, 40)}" is none of ours: follow "next" as it was given`);
}

/** Whether a key is one of rows that stand in the order of their time. */
export const isTimed = (key: string): boolean => /^[0-9a-z]{11}\//.test(key);

/** The address of the page after this one, for the answer; nothing where there is none. */
export const nextPage = (path: string, limit: number, key: string | undefined, name: 'before' | 'after' = 'before') =>
  key === undefined ? {} : { next: `${path}?limit=${limit}&${name}=${Buffer.from(key).toString('base64url')}` };
