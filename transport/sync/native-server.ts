// native-server.ts: a Horae by its own API: pages of jobs, and writes that name the version they replace.

import type { Dialect } from './dialect.ts';
import { same } from './diff.ts';
import { type Link, refusedBy } from './link.ts';
import { foundNative, pathOf } from './native.ts';
import type { Found, Step } from './plan.ts';
import { type Remote, unchanged, type Writing, write } from './server.ts';

const page_rows = 500;
/** Of a cluster any node may be asked: it answers when it has come as far as the one that leads. */
const consistent = 'consistent=true';
/** More than a scheduler has. */
const jobs_max = 1_000_000;

export function nativeServer(link: Link, dialect: Dialect, force: boolean): Remote {
  const look = async (name: string): Promise<Found | undefined> => {
    const answer = await link.send('GET', `${pathOf(name)}?${consistent}`);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw refusedBy(answer);
    const found = foundNative(answer.body);
    if (found === undefined) throw refusedBy({ ...answer, text: 'that is no job of a Horae' });
    return found;
  };
  return {
    pace: () => ({ at_a_time: 8, pause_ms: 0 }),
    async list() {
      const found: Found[] = [];
      for (let next: string | undefined = `/api/v1/jobs?limit=${page_rows}`; next !== undefined; ) {
        const answer = await link.read(`${next}&${consistent}`);
        if (answer.status !== 200) throw refusedBy(answer);
        const page = answer.body as { jobs?: unknown[]; next?: string };
        if (!Array.isArray(page?.jobs)) throw refusedBy({ ...answer, text: 'that is no list of jobs of a Horae' });
        const jobs = page.jobs.map(foundNative);
        // A page without jobs would have no end, and whatever is no path of this server is not asked for.
        const odd =
          jobs.includes(undefined) ||
          (page.next !== undefined && (jobs.length === 0 || !/^\/api\/v1\/jobs\?/.test(page.next)));
        if (odd) throw refusedBy({ ...answer, text: 'that is no list of jobs of a Horae' });
        for (const job of jobs) if (job !== undefined) found.push(job);
        if (found.length > jobs_max) throw refusedBy({ ...answer, text: `there are more than ${jobs_max} jobs` });
        next = page.next;
      }
      return found;
    },
    perform: step => write(link, step, writingOf(step)),
  };

  function writingOf(step: Step): Writing {
    const { name } = step;
    const before = step.kind === 'create' ? undefined : step.found;
    const looking = { look: () => look(name), is_untouched: (now: Found | undefined) => unchanged(before, now) };
    if (step.kind === 'create')
      return {
        send: () => link.send('POST', '/api/v1/jobs', { body: step.wanted.document }),
        ...looking,
        is_done: now => now !== undefined && dialect.compare(step.wanted, now).length === 0,
        conflicts: [409],
      };
    const condition = { 'if-match': force ? '*' : (step.found.tag ?? '*') };
    if (step.kind === 'delete')
      return {
        send: () => link.send('DELETE', pathOf(name), { headers: condition }),
        ...looking,
        is_done: now => now === undefined,
        conflicts: [404, 409, 412],
      };
    const document = dialect.replacement(step.wanted, step.found);
    return {
      send: () => link.send('PUT', pathOf(name), { body: document, headers: condition }),
      ...looking,
      is_done: now =>
        now !== undefined && dialect.compare(step.wanted, now).length === 0 && !same(now.tag, step.found.tag),
      conflicts: [404, 409, 412],
    };
  }
}
