// leader.ts: who leads, as the server tells it, and what a request may wish about it.
//
// Any node answers. It reads from its own copy, which may be a moment behind: `Horae-Position` says how far it has come,
// and `?consistent=true` waits until it has come as far as the leader had when asked. A write is handed to the leader and
// answered here, unless the client prefers to go there itself (`Prefer: redirect`, or `?redirect=true`). Where there is one
// node it leads, and all of this is simply true.

import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { Refused } from './problems.ts';
import { type Exchange, problem, type Reply, type Route } from './route.ts';

export type LeaderNode = {
  readonly id: string;
  /** Its REST API. */
  readonly url: string;
  readonly version?: string;
};

/** What this node knows of the cluster. */
export interface Cluster {
  readonly node_id: string;
  /** What this node does: `leading`, or what it waits for. */
  mode(): string;
  /** Whether this node leads now, without a doubt. */
  leads(): boolean;
  /** Whoever leads, as far as is known here. */
  leader(): LeaderNode | undefined;
  /** The reign that this node has last heard of. */
  epoch(): number | undefined;
  /** Resolves when reads here include all that was acknowledged before the call. Throws Refused when they will not in time. */
  catchUp(): Promise<void>;
  /** Hands leadership over, to `to` when given. Resolves with who is meant to lead next. Throws Refused. */
  transfer(to: string | undefined, by: string): Promise<{ readonly from: string; readonly to?: string }>;
}

/** One node without a cluster: it leads, and has always caught up with itself. */
export function alone(url: () => string, version: string): Cluster {
  return {
    node_id: 'local',
    mode: () => 'leading',
    leads: () => true,
    leader: () => ({ id: 'local', url: url(), version }),
    epoch: () => undefined,
    catchUp: async () => undefined,
    transfer: async () => {
      throw new Refused('invalid', 'this scheduler runs alone, so nobody can take over: expected a cluster (--zk)');
    },
  };
}

// --- what a request may wish ----------------------------------------------------------------------------------------

export type Wishes = { readonly consistent: boolean; readonly redirect: boolean };

/** Takes what concerns the cluster out of a query: no route knows of it. */
export function takeWishes(request: IncomingMessage, query: URLSearchParams): Wishes {
  const prefer = String(request.headers.prefer ?? '')
    .split(',')
    .map(each => each.trim().toLowerCase());
  // Both are taken out, whichever of them says it.
  const redirect = takeSwitch(query, 'redirect');
  return { consistent: takeSwitch(query, 'consistent'), redirect: redirect || prefer.includes('redirect') };
}

function takeSwitch(query: URLSearchParams, name: string): boolean {
  const given = query.getAll(name);
  if (given.length === 0) return false;
  const [value] = given;
  if (given.length > 1 || !['true', 'false', '1', '0', ''].includes(value!))
    throw new Refused('malformed', `?${name} is "${given.join(', ').slice(0, 40)}": expected true or false, once`);
  query.delete(name);
  return value !== 'false' && value !== '0';
}

/** Keeps what a request wishes: waits until reads are exact, or sends a write to whoever leads. */
export async function grant(wishes: Wishes, cluster: Cluster, request: IncomingMessage): Promise<Reply | undefined> {
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (reads && wishes.consistent) await cluster.catchUp();
  if (reads || !wishes.redirect || cluster.leads()) return undefined;
  const leader = cluster.leader();
  if (leader === undefined || leader.id === cluster.node_id) throw noLeader();
  const target = (request.url ?? '/').replace(/^https?:\/\/[^/?#]*/i, '');
  return { status: 307, headers: { location: `${leader.url}${withoutRedirect(target)}` } };
}

/** The wish has been granted: the leader need not hear of it. */
function withoutRedirect(target: string): string {
  const cut = target.indexOf('?');
  if (cut < 0) return target;
  const query = new URLSearchParams(target.slice(cut + 1));
  if (!query.has('redirect')) return target;
  query.delete('redirect');
  return query.size === 0 ? target.slice(0, cut) : `${target.slice(0, cut)}?${query}`;
}

export const noLeader = () =>
  new Refused('no-leader', 'no node leads at present; nothing was done: expected to be asked again in a moment', [], {
    'retry-after': '1',
  });

// --- the routes -----------------------------------------------------------------------------------------------------

export const leader_routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/leaderhealth',
    id: 'leaderHealth',
    tag: 'system',
    summary: 'Whether this node leads: for load balancers that want the leader alone',
    permission: 'nothing',
    answers: {
      200: { description: 'It leads.', type: 'text/plain' },
      503: { description: 'Another node leads, or none.', type: 'text/plain' },
    },
    handle: ({ services: { cluster } }) => ({
      status: cluster.leads() ? 200 : 503,
      text: { type: 'text/plain; charset=utf-8', text: `${cluster.leads() ? 'OK' : cluster.mode()}\n` },
    }),
  },
  {
    method: 'GET',
    path: '/api/v1/leader',
    id: 'getLeader',
    tag: 'system',
    summary: 'Who leads, and what this node does',
    permission: 'read',
    answers: { 200: { description: 'As far as this node knows.', schema: 'Leader' } },
    handle: show,
  },
  {
    method: 'POST',
    path: '/api/v1/leader/transfer',
    id: 'transferLeader',
    tag: 'system',
    summary: 'Hand leadership over to another node',
    description:
      'What was decided is written and leaves first; targets that fall due meanwhile are run by the next leader.',
    permission: 'admin',
    scope: '*',
    query: z.strictObject({
      to: z.string().max(200).optional().describe('Id of the node that shall lead; left out: whoever is next.'),
    }),
    answers: {
      202: { description: 'It is being handed over.', schema: 'LeaderTransfer' },
      404: problem('There is no such node.'),
      422: problem('There is nobody to hand over to.'),
    },
    handle: async ({ services, query, who }) => ({
      status: 202,
      body: await services.cluster.transfer(query.to, who.name),
    }),
  },
];

function show({ services: { cluster, views, version } }: Exchange): Reply {
  const leader = cluster.leader();
  const epoch = cluster.epoch();
  return {
    status: 200,
    body: {
      leader: leader === undefined ? null : leader,
      node: { id: cluster.node_id, version, mode: cluster.mode(), position: views.position() },
      ...(epoch === undefined ? {} : { epoch }),
    },
  };
}
