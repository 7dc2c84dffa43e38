// ensemble.ts: three simulated ZooKeeper servers, as somebody who depends on them must fear them.
//
// One of them orders all writes; each applies them to a copy of its own, a little later, and answers reads from that. They
// tell each other of their clients' signs of life in turns, so a session may end while a client still hears a server that
// is itself cut off. A request whose connection broke may be carried out, before or after its client knows; but never once
// the session has ended or has moved to another server. Where no majority stands together nothing is written.

import type { Operation, Stat, ZooKeeperErrorCode } from '../../transport/zookeeper/zookeeper.ts';
import type { Agenda } from './agenda.ts';
import type { Network, Stream } from './network.ts';
import { type Effect, parentOf, Tree } from './zk-tree.ts';

type Look = { readonly type: 'get' | 'exists' | 'children'; readonly path: string; readonly watch?: number };
export type Request =
  | Look
  | { readonly type: 'write'; readonly operations: readonly Operation[] }
  | { readonly type: 'sync' }
  | { readonly type: 'close' };
export type Reply =
  | { readonly ok: true; readonly data?: Uint8Array; readonly stat?: Stat; readonly names?: readonly string[] }
  | { readonly ok: true; readonly made: readonly (string | undefined)[]; readonly stat?: Stat }
  | { readonly ok: false; readonly code: ZooKeeperErrorCode; readonly path: string };
/** A watch that a client had when its connection broke. */
export type OldWatch = {
  readonly id: number;
  readonly path: string;
  readonly kind: 'data' | 'children';
  readonly present: boolean;
};
export type Hello = {
  readonly session: number | undefined;
  readonly timeout_ms: number;
  readonly seen: number;
  readonly watches: readonly OldWatch[];
};
/** The far end of a connection: what a server says to its client. */
export type Guest = {
  readonly place: string;
  readonly welcomed: (session: number, timeout_ms: number) => void;
  readonly expired: () => void;
  readonly broken: () => void;
  readonly answered: (xid: number, reply: Reply, zxid: number) => void;
  readonly fired: (watch: number) => void;
};
export type Connection = {
  readonly ask: (xid: number, request: Request) => void;
  /** The client lets go; what it had sent may still be carried out. */
  readonly hangUp: () => void;
};
export type Committed = {
  readonly zxid: number;
  readonly session: number;
  readonly place: string | undefined;
  readonly effects: readonly Effect[];
};
export type Ensemble = {
  readonly names: readonly string[];
  readonly dial: (guest: Guest, server: string, hello: Hello) => Connection;
  /** As whoever orders the writes has it. */
  readonly tree: Tree;
  readonly onCommit: (listener: (committed: Committed) => void) => void;
  /** An operator takes a node away. */
  readonly remove: (path: string) => void;
  readonly kill: (server: string) => void;
  readonly revive: (server: string) => void;
  /** Ends a session as if nobody had heard of its client. */
  readonly expire: (place: string) => void;
  readonly setLag: (server: string, lag_ms: number) => void;
  readonly setCommitMs: (commit_ms: number) => void;
  readonly leader: () => string | undefined;
};

type Served = {
  readonly guest: Guest;
  readonly down: Stream;
  session: number;
  open: boolean;
  readonly requests: { readonly xid: number; readonly request: Request }[];
  busy: boolean;
};
type Server = {
  readonly name: string;
  readonly tree: Tree;
  up: boolean;
  serving: boolean;
  lost_since: number | undefined;
  /** Under which leader it serves: with another it begins anew, and its clients must come again. */
  term: number;
  /** Entries of the log that are in its tree, or are surely going to be. */
  applied: number;
  planned: number;
  last_apply_at: number;
  lag_ms: number;
  readonly guests: Set<Served>;
  readonly touched: Set<number>;
  readonly watches: Map<string, { readonly served: Served; readonly id: number; readonly kind: 'data' | 'children' }[]>;
  readonly waiting: { readonly index: number; readonly resume: () => void }[];
};
type Session = {
  readonly id: number;
  readonly timeout_ms: number;
  heard_at: number;
  server: string;
  readonly place: string;
};

const tick_ms = 500;
const sync_limit_ms_min = 4_000;
const sync_limit_ms_max = 10_000;
const election_ms_min = 300;
const election_ms_max = 3_000;
const usual_commit_ms = 3;

export function createEnsemble(agenda: Agenda, network: Network, random: () => number, count = 3): Ensemble {
  const between = (low: number, high: number) => low + random() * (high - low);
  const tree = new Tree();
  const log: { readonly zxid: number; readonly effects: readonly Effect[]; readonly ended?: number }[] = [];
  const sessions = new Map<number, Session>();
  const listeners: ((committed: Committed) => void)[] = [];
  let leader: Server | undefined;
  let electing = false;
  let term = 1;
  let session_count = 0;
  let commit_ms = usual_commit_ms;
  let last_commit_at = 0;
  const servers = Array.from(
    { length: count },
    (_, n): Server => ({
      name: `zk-${n}`,
      tree: new Tree(),
      up: true,
      serving: true,
      lost_since: undefined,
      term: 1,
      applied: 0,
      planned: 0,
      last_apply_at: 0,
      lag_ms: 0,
      guests: new Set(),
      touched: new Set(),
      watches: new Map(),
      waiting: [],
    }),
  );
  const named = (name: string): Server => servers.find(server => server.name === name)!;
  leader = servers[0];

  // --- who stands together --------------------------------------------------------------------------------------------

  const linked = (a: Server, b: Server) =>
    a === b || (a.up && b.up && !network.isCut(a.name, b.name) && !network.isCut(b.name, a.name));
  const hasMajority = (server: Server) =>
    server.up && 2 * servers.filter(other => linked(server, other)).length > count;

  const review = () => {
    if (leader !== undefined && !hasMajority(leader)) leader = undefined;
    if (leader === undefined && !electing && servers.some(hasMajority)) {
      electing = true;
      agenda.after(between(election_ms_min, election_ms_max), () => {
        electing = false;
        const able = servers.filter(hasMajority);
        leader = able[Math.floor(random() * able.length)];
        term++;
        // Whoever begins to order the writes has heard of nobody yet, and gives everybody the whole time.
        if (leader !== undefined) for (const session of sessions.values()) session.heard_at = agenda.now();
      });
    }
    for (const server of servers) {
      if (!server.up) continue;
      if (leader !== undefined && linked(server, leader)) {
        server.lost_since = undefined;
        if (server.term !== term) close(server);
        server.term = term;
        server.serving = true;
        plan(server);
        continue;
      }
      server.lost_since ??= agenda.now() + between(sync_limit_ms_min, sync_limit_ms_max);
      if (server.serving && agenda.now() >= server.lost_since) close(server);
    }
  };
  const close = (server: Server) => {
    server.serving = false;
    for (const served of [...server.guests]) drop(server, served);
    server.waiting.length = 0;
  };
  const drop = (server: Server, served: Served) => {
    if (!served.open) return;
    served.open = false;
    server.guests.delete(served);
    served.down.send(served.guest.broken);
  };

  const tick = () => {
    agenda.after(tick_ms, tick);
    review();
    if (leader === undefined) return;
    for (const server of servers) {
      if (!linked(server, leader)) continue;
      for (const id of server.touched) {
        const session = sessions.get(id);
        if (session !== undefined) session.heard_at = agenda.now();
      }
      server.touched.clear();
    }
    for (const session of [...sessions.values()])
      if (agenda.now() > session.heard_at + session.timeout_ms) end(session.id);
  };
  agenda.after(tick_ms, tick);

  // --- writing ----------------------------------------------------------------------------------------------------------

  /** Enters effects into the log. Whoever stands with the leader applies them, in order, sooner or later. */
  const commit = (effects: readonly Effect[], session: number, ended?: number): number => {
    const zxid = log.length + 1;
    log.push({ zxid, effects, ...(ended === undefined ? {} : { ended }) });
    const place = sessions.get(session)?.place;
    for (const listener of listeners) listener({ zxid, session, place, effects });
    last_commit_at = Math.max(last_commit_at, agenda.now() + random() * commit_ms);
    for (const server of servers) if (leader !== undefined && linked(server, leader)) plan(server);
    return log.length;
  };
  /** What is in the log and not in its tree yet: each at its time. */
  const plan = (server: Server) => {
    while (server.planned < log.length) {
      const index = server.planned++;
      const at = Math.max(server.last_apply_at, last_commit_at, agenda.now()) + random() * (1 + server.lag_ms);
      server.last_apply_at = at;
      agenda.at(at, () => apply(server, index));
    }
  };
  const apply = (server: Server, index: number) => {
    // Planned anew meanwhile, and applied already.
    if (index !== server.applied) return;
    const { zxid, effects, ended } = log[index]!;
    const existed = effects.map(({ path }) => server.tree.nodes.has(path));
    server.tree.apply(effects, zxid);
    server.applied = index + 1;
    for (const [n, { path, node }] of effects.entries()) {
      fire(server, path, 'data');
      if (node === undefined) fire(server, path, 'children');
      if (existed[n] !== (node !== undefined)) fire(server, parentOf(path), 'children');
    }
    for (let next = server.waiting[0]; next !== undefined && next.index <= server.applied; next = server.waiting[0]) {
      server.waiting.shift();
      next.resume();
    }
    // Whoever still talks to us in a session that has ended is told by the end of the connection.
    for (const served of [...server.guests]) if (served.session === ended) drop(server, served);
  };
  const fire = (server: Server, path: string, kind: 'data' | 'children') => {
    const found = server.watches.get(path);
    if (found === undefined) return;
    const kept = found.filter(watch => watch.kind !== kind);
    if (kept.length === 0) server.watches.delete(path);
    else server.watches.set(path, kept);
    for (const { kind: of, served, id } of found)
      if (of === kind && served.open) served.down.send(() => served.guest.fired(id));
  };
  const watch = (server: Server, served: Served, path: string, kind: 'data' | 'children', id: number) => {
    const found = server.watches.get(path);
    if (found === undefined) server.watches.set(path, [{ served, id, kind }]);
    else found.push({ served, id, kind });
  };

  const end = (id: number) => {
    if (!sessions.has(id)) return;
    const effects = [...tree.nodes]
      .filter(([, node]) => node.owner === id)
      .map(([path]) => ({ path, node: undefined }));
    tree.apply(effects, log.length + 1);
    commit(effects, id, id);
    sessions.delete(id);
  };

  // --- serving ----------------------------------------------------------------------------------------------------------

  /** Runs at the leader, when word of it gets there: a cut cable delays it, another leader never hears of it. */
  const atLeader = (server: Server, work: () => void) => {
    const { term: of_term } = server;
    const arrive = () => {
      if (server.term !== of_term || of_term !== term || !server.serving) return;
      if (leader !== undefined && linked(server, leader)) return work();
      agenda.after(tick_ms, arrive);
    };
    agenda.after(random() * 2, arrive);
  };
  /** When this server has applied that much. */
  const once = (server: Server, index: number, resume: () => void) => {
    if (server.applied >= index) resume();
    else server.waiting.push({ index, resume });
  };

  const serve = (server: Server, served: Served) => {
    if (served.busy || !served.open) return;
    const next = served.requests.shift();
    if (next === undefined) return;
    served.busy = true;
    const { xid, request } = next;
    server.touched.add(served.session);
    const answer = (reply: Reply) => {
      const zxid = server.applied;
      if (served.open) served.down.send(() => served.guest.answered(xid, reply, zxid));
      served.busy = false;
      serve(server, served);
    };
    if ('path' in request) return answer(read(server, served, request));
    const sender = served.session;
    atLeader(server, () => {
      const session = sessions.get(sender);
      // It has ended, or has moved on.
      if (session === undefined || session.server !== server.name) return drop(server, served);
      if (request.type === 'sync') return once(server, log.length, () => answer({ ok: true, made: [] }));
      if (request.type === 'close') {
        end(sender);
        return once(server, log.length, () => answer({ ok: true, made: [] }));
      }
      const tried = tree.attempt(request.operations, sender, log.length + 1);
      if (!tried.ok) return once(server, log.length, () => answer(tried));
      const index = commit(tried.effects, sender);
      const { path } = request.operations[0]!;
      once(server, index, () => {
        const stat = server.tree.stat(path);
        answer({ ok: true, made: tried.made, ...(stat === undefined ? {} : { stat }) });
      });
    });
  };
  const read = (server: Server, served: Served, { type, path, watch: id }: Look): Reply => {
    const node = server.tree.nodes.get(path);
    // A watch on what is not there is left by `exists` alone.
    if (id !== undefined && (node !== undefined || type === 'exists'))
      watch(server, served, path, type === 'children' ? 'children' : 'data', id);
    if (node === undefined) return type === 'exists' ? { ok: true } : { ok: false, code: 'no-node', path };
    if (type === 'children') return { ok: true, names: server.tree.children(path)! };
    return { ok: true, data: node.data, stat: server.tree.stat(path)! };
  };

  const welcome = (server: Server, served: Served, hello: Hello) => {
    if (!server.up || !server.serving || server.applied < hello.seen) {
      served.open = false;
      return served.down.send(served.guest.broken);
    }
    server.guests.add(served);
    atLeader(server, () => {
      if (!served.open) return;
      let session = hello.session === undefined ? undefined : sessions.get(hello.session);
      if (hello.session !== undefined && session === undefined) {
        served.open = false;
        server.guests.delete(served);
        return served.down.send(served.guest.expired);
      }
      if (session === undefined) {
        const id = ++session_count;
        session = { id, timeout_ms: hello.timeout_ms, heard_at: 0, server: '', place: served.guest.place };
        sessions.set(id, session);
      }
      session.heard_at = agenda.now();
      session.server = server.name;
      served.session = session.id;
      once(server, log.length, () => {
        if (!served.open) return;
        served.down.send(() => served.guest.welcomed(session.id, session.timeout_ms));
        for (const old of hello.watches) {
          const node = server.tree.nodes.get(old.path);
          const changed =
            old.present !== (node !== undefined) ||
            (old.kind === 'data' && node !== undefined && node.mzxid > hello.seen) ||
            (old.kind === 'children' && (server.tree.pzxid.get(old.path) ?? 0) > hello.seen);
          if (changed) served.down.send(() => served.guest.fired(old.id));
          else watch(server, served, old.path, old.kind, old.id);
        }
        serve(server, served);
      });
    });
  };

  return {
    names: servers.map(({ name }) => name),
    tree,
    dial(guest, name, hello) {
      const server = named(name);
      const up = network.stream(guest.place, name);
      const served: Served = {
        guest,
        down: network.stream(name, guest.place),
        session: 0,
        open: true,
        requests: [],
        busy: false,
      };
      up.send(() => welcome(server, served, hello));
      return {
        ask: (xid, request) =>
          up.send(() => {
            if (!served.open || !server.up) return;
            served.requests.push({ xid, request });
            if (served.session !== 0) serve(server, served);
          }),
        hangUp() {
          up.send(() => {
            served.open = false;
            server.guests.delete(served);
          });
          up.end(Math.floor(random() * (up.under_way() + 1)));
          served.down.end();
        },
      };
    },
    onCommit: listener => void listeners.push(listener),
    remove(path) {
      const tried = tree.attempt([{ type: 'delete', path }], 0, log.length + 1);
      if (tried.ok) commit(tried.effects, 0);
    },
    kill(name) {
      const server = named(name);
      close(server);
      server.up = false;
      review();
    },
    revive(name) {
      named(name).up = true;
      review();
    },
    expire(place) {
      for (const session of [...sessions.values()]) if (session.place === place) end(session.id);
    },
    setLag(name, lag_ms) {
      const server = named(name);
      server.lag_ms = lag_ms;
      // What it has not applied yet comes at its new pace: slow for a minute is not behind for ten.
      server.last_apply_at = agenda.now();
      server.planned = server.applied;
      plan(server);
    },
    setCommitMs(ms) {
      commit_ms = ms;
    },
    leader: () => leader?.name,
  };
}
