// zk-client.ts: a session with the simulated ensemble, as transport/zookeeper/client.ts keeps one with real servers.
//
// The same promises, by other means: calls go out in order and end with an answer, with the end of their connection, of
// their session, or at their deadline; what was lost is not repeated; another server is tried when one is silent.

import {
  checkPath,
  type Operation,
  type SessionState,
  type Stat,
  type ZooKeeper,
  ZooKeeperError,
  type ZooKeeperErrorCode,
} from '../../transport/zookeeper/zookeeper.ts';
import type { Connection, Ensemble, OldWatch, Reply, Request } from './ensemble.ts';
import type { Process } from './machine.ts';
import { hex } from './zk-tree.ts';

export type ClientOptions = {
  readonly ensemble: Ensemble;
  readonly process: Process;
  /** Of the machine. */
  readonly place: string;
  readonly session_timeout_ms: number;
  readonly call_timeout_ms: number;
  readonly random: () => number;
};

type Call = {
  readonly request: Request;
  readonly path: string;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: ZooKeeperError) => void;
};
type Watch = OldWatch & { readonly changed: () => void };

const beats_per_timeout = 10;
const beat_ms_max = 2_000;
const silent_beats_max = 3;
const trying_beats_max = 2;
const pause_ms_max = 500;

export function simulatedZooKeeper({
  ensemble,
  process,
  place,
  session_timeout_ms,
  call_timeout_ms,
  random,
}: ClientOptions): ZooKeeper {
  const { clock } = process;
  const beat_ms = Math.min(beat_ms_max, session_timeout_ms / beats_per_timeout);
  const listeners = new Set<(state: SessionState) => void>();
  const waiting = new Set<Call>();
  const in_flight = new Map<number, Call>();
  const watches = new Map<number, Watch>();
  let state: SessionState = 'connecting';
  let session: number | undefined;
  let timeout_ms = session_timeout_ms;
  let seen = 0;
  let count = 0;
  let connection: Connection | undefined;
  /** Tells what an earlier connection still says from what the present one does. */
  let attempt = 0;
  let silent_beats = 0;
  let attempt_at = Number.NEGATIVE_INFINITY;
  let proven_at = Number.NEGATIVE_INFINITY;
  let tries = Math.floor(random() * ensemble.names.length);
  let closing: (() => void) | undefined;

  const isFinal = () => state === 'expired' || state === 'auth-failed' || state === 'closed';
  const become = (next: SessionState) => {
    if (state === next || isFinal()) return;
    state = next;
    for (const listener of [...listeners]) listener(next);
  };
  const failAll = (calls: Iterable<Call>, code: ZooKeeperErrorCode, why: string) => {
    for (const call of [...calls]) call.reject(new ZooKeeperError(code, call.path, `${call.path}: ${why}`));
  };
  const finish = (next: SessionState, code: ZooKeeperErrorCode) => {
    if (isFinal()) return;
    connection?.hangUp();
    connection = undefined;
    attempt++;
    become(next);
    const lost = [...in_flight.values(), ...waiting];
    in_flight.clear();
    waiting.clear();
    failAll(lost, code, `the session is ${next}`);
    closing?.();
  };

  const dial = () => {
    if (isFinal()) return;
    const mine = ++attempt;
    const server = ensemble.names[tries++ % ensemble.names.length]!;
    const ours = <A extends readonly unknown[]>(work: (...args: A) => void) =>
      process.entering((...args: A) => {
        if (mine !== attempt || isFinal()) return;
        silent_beats = 0;
        work(...args);
      });
    attempt_at = clock.monotonic();
    silent_beats = 0;
    connection = ensemble.dial(
      {
        place,
        welcomed: ours((id, granted_ms) => {
          session = id;
          timeout_ms = granted_ms;
          proven_at = Math.max(proven_at, attempt_at);
          become('connected');
          pump();
        }),
        expired: ours(() => finish('expired', 'session-expired')),
        broken: ours(() => broken()),
        answered: ours((xid, reply, zxid) => {
          seen = Math.max(seen, zxid);
          const call = in_flight.get(xid);
          in_flight.delete(xid);
          call?.resolve(reply);
        }),
        fired: ours(id => {
          const watch = watches.get(id);
          watches.delete(id);
          watch?.changed();
        }),
      },
      server,
      { session, timeout_ms: session_timeout_ms, seen, watches: [...watches.values()] },
    );
  };
  const broken = () => {
    connection?.hangUp();
    connection = undefined;
    attempt++;
    if (state === 'connected') become('disconnected');
    const lost = [...in_flight.values()];
    in_flight.clear();
    failAll(lost, 'connection-loss', 'the connection broke before the answer came');
    const round_over = tries % ensemble.names.length === 0;
    const pause_ms = round_over ? pause_ms_max * (0.5 + random() / 2) : 0;
    const mine = attempt;
    clock.wakeAt(clock.now() + pause_ms, () => {
      if (mine === attempt) dial();
    });
  };
  const beat = () => {
    if (isFinal()) return;
    clock.wakeAt(clock.now() + beat_ms, beat);
    if (connection === undefined) return;
    silent_beats++;
    if (state !== 'connected') {
      if (silent_beats > trying_beats_max) broken();
      return;
    }
    if (silent_beats > silent_beats_max + 1) return broken();
    if (closing !== undefined) return;
    const sent_at = clock.monotonic();
    const sign: Call = {
      request: { type: 'exists', path: '/' },
      path: '/',
      resolve: () => {
        proven_at = Math.max(proven_at, sent_at);
      },
      reject: () => undefined,
    };
    send(sign);
  };
  const send = (call: Call) => {
    const xid = ++count;
    in_flight.set(xid, call);
    connection!.ask(xid, call.request);
  };
  const pump = () => {
    for (const call of waiting) {
      if (state !== 'connected' || connection === undefined) return;
      waiting.delete(call);
      send(call);
    }
  };

  const perform = (request: Request, path: string): Promise<Reply & { readonly ok: true }> =>
    new Promise((resolve, reject) => {
      checkPath(path);
      if (closing !== undefined || state === 'closed') throw new ZooKeeperError('closed', path, `${path}: closed`);
      if (state === 'expired') throw new ZooKeeperError('session-expired', path, `${path}: the session has expired`);
      const settle = (finished: () => void) => {
        late.cancel();
        waiting.delete(call);
        finished();
      };
      const call: Call = {
        request,
        path,
        resolve: reply =>
          settle(() => {
            if (reply.ok) resolve(reply);
            else reject(new ZooKeeperError(reply.code, reply.path, `${request.type} ${reply.path}: ${reply.code}`));
          }),
        reject: error => settle(() => reject(error)),
      };
      const late = clock.wakeAt(clock.now() + call_timeout_ms, () =>
        call.reject(new ZooKeeperError('connection-loss', path, `${path}: no answer within ${call_timeout_ms} ms`)),
      );
      waiting.add(call);
      pump();
    });

  const noticed = (path: string, kind: 'data' | 'children', present: boolean, changed?: () => void) => {
    if (changed === undefined) return undefined;
    const id = ++count;
    const watch: Watch = { id, path, kind, present, changed };
    watches.set(id, watch);
    return id;
  };
  const look = async (
    type: 'get' | 'children',
    path: string,
    changed?: () => void,
  ): Promise<(Reply & { readonly ok: true }) | undefined> => {
    for (;;) {
      const id = noticed(path, type === 'children' ? 'children' : 'data', true, changed);
      try {
        return await perform({ type, path, ...(id === undefined ? {} : { watch: id }) }, path);
      } catch (error) {
        if (id !== undefined) watches.delete(id);
        if (!(error instanceof ZooKeeperError) || error.code !== 'no-node') throw error;
      }
      if (changed === undefined || (await exists(path, changed)) === undefined) return undefined;
    }
  };
  const exists = async (path: string, changed?: () => void): Promise<Stat | undefined> => {
    const id = noticed(path, 'data', false, changed);
    try {
      const reply = await perform({ type: 'exists', path, ...(id === undefined ? {} : { watch: id }) }, path);
      const { stat } = reply as { readonly stat?: Stat };
      const watch = id === undefined ? undefined : watches.get(id);
      if (watch !== undefined) watches.set(watch.id, { ...watch, present: stat !== undefined });
      return stat;
    } catch (error) {
      if (id !== undefined) watches.delete(id);
      throw error;
    }
  };
  const write = async (operations: readonly Operation[]) => {
    for (const { path } of operations) checkPath(path);
    const reply = await perform({ type: 'write', operations }, operations[0]?.path ?? '/');
    return reply as { readonly made: readonly (string | undefined)[]; readonly stat?: Stat };
  };
  const create: ZooKeeper['create'] = async (path, data, how = {}) => {
    const { made } = await write([{ type: 'create', path, data, ...how }]);
    return made[0] ?? path;
  };

  beat();
  dial();
  return {
    state: () => state,
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    session_id: () => hex(session ?? 0),
    negotiated_timeout_ms: () => timeout_ms,
    proven_at: () => proven_at,
    async get(path, changed) {
      const found = (await look('get', path, changed)) as
        | { readonly data: Uint8Array; readonly stat: Stat }
        | undefined;
      return found && { data: found.data, stat: found.stat };
    },
    exists,
    children: async (path, changed) =>
      ((await look('children', path, changed)) as { readonly names: readonly string[] } | undefined)?.names,
    create,
    async set(path, data, version = -1) {
      return (await write([{ type: 'set', path, data, version }])).stat!;
    },
    async delete(path, version = -1) {
      await write([{ type: 'delete', path, version }]);
    },
    multi: async operations => (await write(operations)).made,
    async sync(path) {
      await perform({ type: 'sync' }, path);
    },
    async mkdirs(path) {
      const parts = path.split('/').slice(1);
      for (let depth = 1; depth <= parts.length; depth++) {
        const part = `/${parts.slice(0, depth).join('/')}`;
        if ((await exists(part)) !== undefined) continue;
        await create(part, new Uint8Array()).catch(error => {
          if (!(error instanceof ZooKeeperError) || error.code !== 'node-exists') throw error;
        });
      }
    },
    close: () =>
      new Promise(resolve => {
        if (isFinal()) return resolve();
        const over = () => finish('closed', 'closed');
        if (state !== 'connected') {
          over();
          return resolve();
        }
        closing = resolve;
        failAll(waiting, 'closed', 'the session was closed');
        send({ request: { type: 'close' }, path: '/', resolve: over, reject: over });
        clock.wakeAt(clock.now() + silent_beats_max * beat_ms, over);
      }),
  };
}
