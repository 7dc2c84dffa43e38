// zookeeper.ts: a tree of nodes with watches, in memory, and sessions with it that a test can cut and end.
//
// Only what whoever looks for a master asks of ZooKeeper; anything else throws.

import { type SessionState, type ZooKeeper, ZooKeeperError } from '../../../transport/zookeeper/zookeeper.ts';

export type Session = {
  readonly tell: (state: SessionState) => void;
  /** Calls fail with this while it is set. */
  failing: ZooKeeperError | undefined;
  closed: boolean;
};
export type Nodes = {
  readonly put: (path: string, data: string) => void;
  readonly remove: (path: string) => void;
  readonly connect: () => ZooKeeper;
  readonly sessions: readonly Session[];
  /** Watches that wait. */
  readonly watches: () => number;
};

export function nodes(): Nodes {
  const data = new Map<string, Uint8Array>();
  let watches: { readonly path: string; readonly children: boolean; readonly changed: () => void }[] = [];
  const sessions: Session[] = [];
  const parent = (path: string) => path.slice(0, path.lastIndexOf('/'));
  const fire = (path: string) => {
    const due = watches.filter(watch => watch.path === path || (watch.children && watch.path === parent(path)));
    watches = watches.filter(watch => !due.includes(watch));
    for (const { changed } of due) changed();
  };
  const stat = (path: string) => ({
    version: 0,
    czxid: '0',
    mzxid: '0',
    ephemeral_owner: '0',
    data_length: data.get(path)?.length ?? 0,
    children: 0,
  });
  const unused = () => Promise.reject(new Error('not asked of this fake'));
  return {
    sessions,
    watches: () => watches.length,
    put(path, text) {
      data.set(path, new TextEncoder().encode(text));
      fire(path);
    },
    remove(path) {
      data.delete(path);
      fire(path);
    },
    connect() {
      const listeners: ((state: SessionState) => void)[] = [];
      let state: SessionState = 'connecting';
      const session: Session = {
        failing: undefined,
        closed: false,
        tell(next) {
          state = next;
          for (const listener of listeners) listener(next);
        },
      };
      sessions.push(session);
      const asked = async () => {
        await Promise.resolve();
        if (session.failing !== undefined) throw session.failing;
      };
      const watch = (path: string, children: boolean, changed: (() => void) | undefined) => {
        if (changed !== undefined) watches.push({ path, children, changed });
      };
      return {
        state: () => state,
        onState(listener) {
          listeners.push(listener);
          return () => void listeners.splice(listeners.indexOf(listener), 1);
        },
        session_id: () => '0'.repeat(16),
        negotiated_timeout_ms: () => 10_000,
        proven_at: () => 0,
        async get(path, changed) {
          await asked();
          watch(path, false, changed);
          const found = data.get(path);
          return found === undefined ? undefined : { data: found, stat: stat(path) };
        },
        async exists(path, changed) {
          await asked();
          watch(path, false, changed);
          return data.has(path) ? stat(path) : undefined;
        },
        async children(path, changed) {
          await asked();
          watch(path, data.has(path), changed);
          if (!data.has(path)) return undefined;
          return [...data.keys()].filter(each => parent(each) === path).map(each => each.slice(path.length + 1));
        },
        create: unused,
        set: unused,
        delete: unused,
        multi: unused,
        sync: unused,
        mkdirs: unused,
        async close() {
          session.closed = true;
        },
      };
    },
  };
}

export const lost = (path: string) => new ZooKeeperError('connection-loss', path, 'the connection broke');
/** What a master writes into its node. */
export const masterInfo = (port: number, id = `master-${port}`) =>
  JSON.stringify({
    address: { hostname: 'localhost', ip: '127.0.0.1', port },
    capabilities: [{ type: 'AGENT_UPDATE' }],
    hostname: 'localhost',
    id,
    ip: 16777343,
    pid: `master@127.0.0.1:${port}`,
    port,
    version: '1.12.0',
  });
