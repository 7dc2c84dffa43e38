// listing.ts: the jobs of the dialect, as its clients list, search and watch them.
//
// A list of tens of thousands leaves job by job: what is in memory at a time is a page, however slowly it is taken.

import type { JobView } from '../../../actors/model/views.ts';
import { Refused } from '../problems.ts';
import { etagOf } from '../resources.ts';
import type { Exchange, Reply, streaming } from '../route.ts';
import { json_headers, streamed } from '../stream.ts';
import { jobOf, pagesOf } from './answers.ts';
import { chronosName, isDisabled, writeChronos } from './document.ts';
import { stateOf, statusOf } from './graph.ts';

export function list(exchange: Exchange): Promise<typeof streaming> {
  const shown = (view: JobView) => JSON.stringify(mirrored(writeChronos(view)));
  return streamed(exchange, json_headers, listed(pagesOf(exchange), shown, '[', ']'));
}

/** How every job did and does, for whoever looks every two seconds. */
export function summary(exchange: Exchange): Promise<typeof streaming> {
  const shown = (view: JobView) => {
    const { job } = view.record;
    return JSON.stringify({
      name: chronosName(view.key),
      status: statusOf(view),
      state: stateOf(view),
      schedule: job.schedules[0]?.iso8601 ?? '',
      parents: (job.parents ?? []).map(chronosName),
      disabled: isDisabled(view),
    });
  };
  return streamed(exchange, json_headers, listed(pagesOf(exchange), shown, '{"jobs":[', ']}'));
}

/**
 * Jobs of which name and command have what is asked for in them, small and capital letters alike; or of which either has
 * `any`. In Chronos `any` alone found everything.
 */
export function search(exchange: Exchange): Promise<typeof streaming> {
  const { name, command, any } = exchange.query;
  const has = (text: string, part: string | undefined) =>
    part === undefined || text.toLowerCase().includes(part.toLowerCase());
  const [limit, offset] = [count(exchange, 'limit', 10), count(exchange, 'offset', 0)];
  const both = any === undefined || name !== undefined || command !== undefined;
  function* found(): Generator<readonly JobView[]> {
    let seen = 0;
    for (const page of pagesOf(exchange)) {
      const hits = page.filter(view => {
        const texts = { name: chronosName(view.key), command: view.record.job.command ?? '' };
        if (any !== undefined && (has(texts.name, any) || has(texts.command, any))) return true;
        return both && has(texts.name, name) && has(texts.command, command);
      });
      const from = Math.max(0, offset - seen);
      yield hits.slice(from, Math.max(from, offset + limit - seen));
      seen += hits.length;
      if (seen >= offset + limit) return;
    }
  }
  return streamed(
    exchange,
    json_headers,
    listed(found(), view => JSON.stringify(writeChronos(view)), '[', ']'),
  );
}

export function one(exchange: Exchange): Reply {
  const view = jobOf(exchange);
  return { status: 200, headers: { etag: etagOf(view.record) }, body: writeChronos(view) };
}

/** The longest page that anybody can ask for; the list itself has no end. */
const count_max = 1_000_000;

function count({ query }: Exchange, name: 'limit' | 'offset', fallback: number): number {
  const text = query[name];
  if (text === undefined || text === '') return fallback;
  if (!/^\d{1,9}$/.test(text) || Number(text) > count_max)
    throw new Refused('malformed', `${name} is "${text.slice(0, 40)}": expected a whole number up to ${count_max}`);
  return Number(text);
}

/** `uris` is what `fetch` was once: whichever a job says, old clients and new ones find it in the list. */
function mirrored(job: Record<string, unknown>): Record<string, unknown> {
  const { fetch, uris } = job as { fetch: readonly { uri?: unknown }[]; uris: readonly unknown[] };
  if (fetch.length > 0 && uris.length === 0) return { ...job, uris: fetch.map(({ uri }) => uri) };
  if (uris.length > 0 && fetch.length === 0)
    return { ...job, fetch: uris.map(uri => ({ uri, executable: false, cache: false, extract: true })) };
  return job;
}

/** One part a job, and an empty one for a page with none of them: who looks for a few of many lets others go between. */
function* listed(
  pages: Iterable<readonly JobView[]>,
  shown: (view: JobView) => string,
  begin: string,
  end: string,
): Generator<string> {
  let before = begin;
  for (const page of pages) {
    if (page.length === 0) yield '';
    for (const view of page) {
      yield before + shown(view);
      before = ',';
    }
  }
  yield before === begin ? begin + end : end;
}
