// kin.ts: who follows whom, and the runs of parents that wait on the way to their children.
//
// Edges are in the children's records, tokens are records of their own; whoever decides looks here, where both stand as of
// the last step that anybody took, his own included. So a cycle cannot be closed by two submissions that pass each other,
// a token is never taken twice, and nobody need be told again after a crash. Kept in place, as the records are emitted.

import { Graph } from '../../schedules/graph.ts';
import type { JobKey, TokenKey } from '../model/ids.ts';
import { splitTokenKey } from '../model/ids.ts';
import type { Job } from '../model/job.ts';
import { refusal } from '../model/reasons.ts';
import type { JobRecord, TokenRecord } from '../model/records.ts';

export interface Kin {
  /** A job was recorded, or is gone. */
  noteJob(key: JobKey, record: JobRecord | undefined): void;
  /** A token was left, or taken. */
  noteToken(key: TokenKey, token: TokenRecord | undefined): void;
  /** As it was last recorded. */
  job(key: JobKey): JobRecord | undefined;
  children(key: JobKey): Iterable<JobKey> & { readonly size: number };
  cycle(key: JobKey, parents: readonly JobKey[]): readonly JobKey[] | undefined;
  /** The tokens that lie before a job, by parent; those that came first go first. Nobody may change them. */
  tokens(child: JobKey): ReadonlyMap<JobKey, readonly TokenRecord[]>;
  /** The place of the next token, larger than all before. */
  order(): number;
  /** Tokens that one edge holds, where the child does not say. */
  readonly tokens_max: number;
}

export function newKin(
  tokens_max: number,
  job: Kin['job'],
  jobs: Iterable<readonly [JobKey, JobRecord]>,
  kept: Iterable<readonly [TokenKey, TokenRecord]>,
): Kin {
  const graph = new Graph();
  const tokens = new Map<JobKey, Map<JobKey, TokenRecord[]>>();
  let last = 0;
  const kin: Kin = {
    tokens_max,
    job,
    noteJob: (key, record) => graph.set(key, record?.deleting === true ? [] : (record?.job.parents ?? [])),
    noteToken(key, token) {
      const { child, parent, run } = splitTokenKey(key);
      const edges = tokens.get(child);
      const edge = edges?.get(parent);
      if (token === undefined) {
        const place = edge?.findIndex(one => one.run === run) ?? -1;
        if (place < 0) return;
        if (edge!.length > 1) return void edge!.splice(place, 1);
        edges!.delete(parent);
        if (edges!.size === 0) tokens.delete(child);
        return;
      }
      last = Math.max(last, token.order);
      if (edges === undefined) tokens.set(child, new Map([[parent, [token]]]));
      else if (edge === undefined) edges.set(parent, [token]);
      else edge.push(token);
    },
    children: key => graph.children(key),
    cycle: (key, parents) => graph.cycle(key, parents),
    tokens: child => tokens.get(child) ?? no_tokens,
    order: () => ++last,
  };
  for (const [key, record] of jobs) kin.noteJob(key, record);
  for (const [key, token] of [...kept].sort(([, one], [, other]) => one.order - other.order)) kin.noteToken(key, token);
  return kin;
}

const no_tokens: ReadonlyMap<JobKey, readonly TokenRecord[]> = new Map();

/** Where nobody follows anybody. */
export const no_kin: Kin = newKin(0, () => undefined, [], []);

/** Why a job cannot follow whom it names; undefined when it can. */
export function unfit(kin: Kin, key: JobKey, { parents = [] }: Job): ReturnType<typeof refusal> | undefined {
  const problems = parents.flatMap((parent, index) => {
    const found = kin.job(parent);
    const place = `/parents/${index}`;
    if (parent === key) return [];
    if (found === undefined || found.deleting === true)
      return [{ place, value: parent, message: `there is no job ${parent}`, expected: 'jobs that exist' }];
    if (found.job.service)
      return [{ place, value: parent, message: `${parent} is a service: it never ends`, expected: 'jobs that end' }];
    return [];
  });
  if (problems.length > 0)
    return refusal(
      'invalid',
      `job ${key} cannot have these parents: ${problems.map(one => one.message).join('; ')}`,
      problems,
    );
  const cycle = kin.cycle(key, parents);
  if (cycle === undefined) return undefined;
  const path = cycle.join(' -> ');
  const message = `job ${key} would follow itself: ${path}`;
  const value = cycle.at(-2);
  const place = `/parents/${parents.indexOf(value!)}`;
  return refusal('cycle', message, [{ place, value, message, expected: 'parents that do not follow it' }]);
}
