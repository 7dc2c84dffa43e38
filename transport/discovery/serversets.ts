// serversets.ts: what a ServerSet in ZooKeeper looks like, and what must be written for it to be as it should.
//
// A list is a node, a member a child `member_0000000001` with its addresses as JSON: whoever can read Aurora's can read
// these. A member is known by its text, which names host and port, so nothing need be remembered of who wrote it. One thing
// is other than in Aurora: members are not ephemeral. An ephemeral node goes with whoever made it, and a scheduler that
// hands over, or dies, must not take the members of every service with it.

import type { JobKey } from '../../actors/model/ids.ts';
import type { JobView } from '../../actors/model/views.ts';
import { type Member, membersOf } from './members.ts';

/** A child of a list, as it was read. */
export type Node = { readonly name: string; readonly text: string };
/** Names to remove, texts to add. */
export type Changes = { readonly remove: readonly string[]; readonly add: readonly string[] };

/** What the name of a new member begins with; ZooKeeper adds the number. */
export const member_prefix = 'member_';
export const isMember = (name: string): boolean => /^member_-?\d{10,11}$/.test(name);

/** Where the list of a job is. */
export const listOf = (root: string, key: JobKey): string => `${root === '/' ? '' : root}/${key}`;

/** The members that a job should have, by task id; none where it is not announced. */
export function wishedOf(view: JobView | undefined): ReadonlyMap<string, string> {
  const announce = view?.record.job.announce;
  if (view === undefined || announce === undefined) return new Map();
  return new Map(
    membersOf(view).flatMap(member => {
      const text = memberText(member, announce.primary_port, announce.portmap);
      return text === undefined ? [] : [[member.task_id, text] as const];
    }),
  );
}

/** undefined for one that was launched before its job had this port. */
export function memberText(
  { host, ports, index }: Pick<Member, 'host' | 'ports' | 'index'>,
  primary_port: string,
  portmap: Readonly<Record<string, string | number>>,
): string | undefined {
  const port = ports[primary_port];
  if (port === undefined) return undefined;
  const aliases = Object.entries(portmap).flatMap(([name, target]) => {
    const number = typeof target === 'number' ? target : ports[target];
    return number === undefined ? [] : [[name, number] as const];
  });
  const all = [...Object.entries(ports), ...aliases].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({
    serviceEndpoint: { host, port },
    additionalEndpoints: Object.fromEntries(all.map(([name, number]) => [name, { host, port: number }])),
    status: 'ALIVE',
    shard: index,
  });
}

/** From what is there to what should be. One that stands there twice, after an answer was lost, stays once: the first. */
export function changesOf(there: Iterable<Node>, wished: Iterable<string>): Changes {
  const missing = new Set(wished);
  const remove: string[] = [];
  for (const { name, text } of [...there].sort((a, b) => (a.name < b.name ? -1 : 1)))
    if (!missing.delete(text)) remove.push(name);
  return { remove, add: [...missing] };
}
