// missed.ts: every target that nobody ran, across jobs: the list that a person looks at in the morning.

import { roleOf } from '../../../actors/model/ids.ts';
import type { MissedRow } from '../../../actors/model/records.ts';
import { permits } from '../../credentials.ts';
import { isTimed, nextPage, page_query, readCursor } from '../cursor.ts';
import { outcomeResource } from '../resources.ts';
import { type Exchange, limitOf, type Reply, type Route } from '../route.ts';

export const missed_routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/missed',
    id: 'listMissed',
    tag: 'runs',
    summary: 'Targets of all jobs that were missed, newest first',
    description: 'Only those of jobs whose role the sender may read.',
    permission: 'read',
    query: page_query,
    answers: { 200: { description: 'A page of missed targets.', schema: 'MissedPage' } },
    handle: missed,
  },
];

/** Rows looked at for one page, whoever may see them. */
const rows_scanned_max = 10_000;

function missed(exchange: Exchange): Reply {
  const limit = limitOf(exchange);
  let before = readCursor(exchange.query.before, isTimed);
  const rows: unknown[] = [];
  for (let scanned = 0; rows.length < limit && scanned < rows_scanned_max; ) {
    const page = exchange.services.history.page('missed', '', limit - rows.length, before);
    for (const { body } of page.rows) {
      const { job, ...row } = body as MissedRow;
      if (permits(exchange.who, 'read', roleOf(job))) rows.push({ job, ...outcomeResource(row) });
    }
    scanned += page.rows.length;
    before = page.next;
    if (before === undefined) break;
  }
  return { status: 200, body: { missed: rows, ...nextPage('/api/v1/missed', limit, before) } };
}
