// chronos-server.ts: a Chronos of either generation, or a Horae by Chronos's routes: nothing is asked of it that Chronos has not.
//
// Horae heeds If-Match and If-None-Match there as everywhere; Chronos does not know them, so before it is written to, it is
// looked at once more: somebody who changes a job in that very moment is overwritten there. It is written to slowly, one job
// after the other: many at once have been its end.

import { type ChronosServer, foundChronos, movedOn } from './chronos.ts';
import type { Dialect } from './dialect.ts';
import { type Answer, type Link, NoAnswer, Refused, refusedBy } from './link.ts';
import type { Found, Step } from './plan.ts';
import { type Outcome, type Remote, unchanged, type Writing, whatHappened, write } from './server.ts';

/** Of 3.x, and of 2.x. */
const prefixes = ['/v1/scheduler', '/scheduler'] as const;

export type ChronosRemote = Remote & {
  /** Known once it has been listed. */
  readonly kind: () => ChronosServer;
};

/** `dialectOf`: comparing differs by whom one speaks to. */
export function chronosServer(link: Link, dialectOf: (kind: ChronosServer) => Dialect, force: boolean): ChronosRemote {
  let prefix: string = prefixes[0];
  let kind: ChronosServer = 'chronos';
  const kindOf = ({ headers }: Answer) => (headers.has('horae-position') ? 'horae' : 'chronos');
  const jobPath = (name: string) => `${prefix}/job/${encodeURIComponent(name)}`;

  const look = async (name: string, get: Link['read']): Promise<Found | undefined> => {
    if (prefix !== '/scheduler' || kind === 'horae') {
      const answer = await get(jobPath(name));
      const found = foundChronos(answer.body);
      const tag = answer.headers.get('etag');
      if (answer.status === 200 && found !== undefined) return { ...found, ...(tag === null ? {} : { tag }) };
      // Chronos says 400 of a job that it does not have.
      if (answer.status === 404 || answer.status === 400) return undefined;
      throw refusedBy(answer);
    }
    // 2.x reads no single job. It finds those that have the name in theirs.
    const answer = await get(`${prefix}/jobs/search?limit=10000&name=${encodeURIComponent(name)}`);
    if (answer.status !== 200 || !Array.isArray(answer.body)) throw refusedBy(answer);
    return answer.body.map(foundChronos).find(each => each?.name === name);
  };

  return {
    kind: () => kind,
    pace: () => (kind === 'horae' ? { at_a_time: 8, pause_ms: 0 } : { at_a_time: 1, pause_ms: 100 }),
    async list() {
      let refused: Refused | undefined;
      for (const each of prefixes) {
        const answer = await link.read(`${each}/jobs`);
        if (answer.status === 200 && Array.isArray(answer.body)) {
          prefix = each;
          kind = kindOf(answer);
          const found = answer.body.flatMap(one => foundChronos(one) ?? []);
          if (found.length === answer.body.length) return found;
        }
        refused ??=
          answer.status === 200 ? new Refused(200, 'that is no list of jobs of a Chronos') : refusedBy(answer);
        if (answer.status !== 404) break;
      }
      throw refused;
    },
    async perform(step) {
      let found: Found | undefined;
      try {
        // Whoever is not there yet is asked for by the write itself, where the server can.
        if (step.kind !== 'create' || kind === 'chronos') found = await look(step.name, link.read);
      } catch (error) {
        if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
        return { type: 'skipped', message: error.message };
      }
      const before = step.kind === 'create' ? undefined : step.found;
      const wanted = step.kind === 'delete' ? undefined : step.wanted;
      const is_same =
        found === undefined || wanted === undefined || dialectOf(kind).compare(wanted, found).length === 0;
      // Somebody who wanted the same was quicker.
      if (!force && !isSteady(before, found) && is_same && (found === undefined) === (wanted === undefined))
        return { type: 'done' };
      if (!force && !isSteady(before, found) && (step.kind !== 'create' || kind === 'chronos'))
        return { type: 'conflict', message: `${whatHappened(before, found)} since it was listed` } satisfies Outcome;
      return write(link, step, writingOf(step, found));
    },
  };

  function writingOf(step: Step, found: Found | undefined): Writing {
    const looking = {
      look: () => look(step.name, path => link.send('GET', path)),
      is_untouched: (now: Found | undefined) => isSteady(found, now),
    };
    const condition: Record<string, string> =
      force || kind === 'chronos'
        ? {}
        : step.kind === 'create'
          ? { 'if-none-match': '*' }
          : found?.tag === undefined
            ? {}
            : { 'if-match': found.tag };
    if (step.kind === 'delete')
      return {
        send: () => link.send('DELETE', jobPath(step.name), { headers: condition }),
        ...looking,
        is_done: now => now === undefined,
        conflicts: [404, 409, 412],
      };
    const dialect = dialectOf(kind);
    const document = found === undefined ? step.wanted.document : dialect.replacement(step.wanted, found);
    const route = step.wanted.parents.length > 0 ? 'dependency' : 'iso8601';
    return {
      send: () => link.send('POST', `${prefix}/${route}`, { body: document, headers: condition }),
      ...looking,
      is_done: now => now !== undefined && dialect.compare(step.wanted, now).length === 0,
      // Chronos itself says 404 of nothing that is posted: it is our condition that finds nobody there.
      conflicts: step.kind === 'change' ? [404, 409, 412] : [409, 412],
    };
  }
}

const isSteady = (before: Found | undefined, now: Found | undefined) =>
  unchanged(steady(before, now), steady(now, before));

/** Without what changes by itself: how far its schedule has come, and that it has run as often as it was to. */
function steady(one: Found | undefined, other: Found | undefined): Found | undefined {
  if (one === undefined || other === undefined) return one;
  const { disabled: _, schedule = '', ...fields } = one.fields;
  const [here, there] = [String(schedule), String(other.fields.schedule ?? '')];
  const moved = movedOn(here, there) || movedOn(there, here);
  return { ...one, fields: moved ? fields : { ...fields, schedule } };
}
