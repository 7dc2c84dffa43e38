// client.ts: a session with ZooKeeper, in which every call comes to an end.
//
// A call is handed to the connection while there is one; before, it waits in line. It ends with an answer, with the end of
// the connection that carried it (`connection-loss`: its fate is unknown), with the end of the session, or at its
// deadline. So nobody waits for ever, whatever happens to cables and servers; and nothing is repeated behind the
// caller's back, who alone knows what a repetition would mean.

import library, { type LibraryError, type LibraryStat } from 'node-zookeeper-client';
import type { Clock, Wake } from '../../schedules/clock.ts';
import { readEnsemble } from './servers.ts';
import { connectWire } from './wire.ts';
import {
  checkPath,
  type Operation,
  type SessionState,
  type Stat,
  type ZooKeeper,
  ZooKeeperError,
  type ZooKeeperErrorCode,
} from './zookeeper.ts';

export * from './zookeeper.ts';

export type ZooKeeperOptions = {
  /** `h1:2181,h2:2181`. */
  readonly servers: string;
  /** What we ask for; the servers may grant another. */
  readonly session_timeout_ms: number;
  readonly auth?: { readonly scheme: 'digest'; readonly id: string };
  /**
   * Who may touch the nodes we make: `open` = everybody, `creator` = who has our auth (left out: whoever has one does),
   * `readable` = who has our auth, and everybody may read.
   */
  readonly acl?: 'open' | 'creator' | 'readable';
  /** How long a call may go unanswered, waiting in line included. */
  readonly call_timeout_ms?: number;
  /** Calls handed over and not yet answered; further ones wait in line. */
  readonly calls_in_flight_max?: number;
  /** Calls in line; further ones are refused. */
  readonly calls_waiting_max?: number;
  /** Longest packet that the servers take: their jute.maxbuffer. */
  readonly packet_bytes_max?: number;
  readonly clock: Clock;
  readonly log?: ZooKeeperLog;
};
export interface ZooKeeperLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

type Call = {
  readonly path: string;
  /** Hands it to the library. */
  readonly send: () => void;
  readonly fail: (error: ZooKeeperError) => void;
};
/** How the library tells: error first. */
type Done<T> = (error: LibraryError | null | undefined, value?: T) => void;

const call_timeout_ms_default = 10_000;
const calls_in_flight_max_default = 256;
const calls_waiting_max_default = 10_000;
/** jute.maxbuffer is 1,048,575 unless somebody set it. */
const packet_bytes_max_default = 1_048_575;
/** What stands around the data of an operation, besides its path. */
const operation_bytes = 64;
const ephemeral_flag = 1;
const sequential_flag = 2;

/** Begins a session; calls may be made at once. Throws ZooKeeperError `bad-arguments` when the servers cannot be read. */
export function connectZooKeeper(options: ZooKeeperOptions): ZooKeeper {
  const { clock, log, auth, session_timeout_ms } = options;
  const call_timeout_ms = options.call_timeout_ms ?? call_timeout_ms_default;
  const in_flight_max = options.calls_in_flight_max ?? calls_in_flight_max_default;
  const waiting_max = options.calls_waiting_max ?? calls_waiting_max_default;
  const packet_bytes_max = options.packet_bytes_max ?? packet_bytes_max_default;
  const acl = acls[options.acl ?? (auth === undefined ? 'open' : 'creator')];
  const ensemble = readEnsemble(options.servers, 'servers');
  if (!ensemble.ok)
    throw new ZooKeeperError('bad-arguments', '', ensemble.problems.map(each => each.message).join('; '));
  if (ensemble.value.path !== '/')
    throw new ZooKeeperError(
      'bad-arguments',
      ensemble.value.path,
      `invalid servers "${options.servers}": expected no path`,
    );

  let state: SessionState = 'connecting';
  const listeners = new Set<(state: SessionState) => void>();
  const waiting = new Set<Call>();
  const in_flight = new Set<Call>();

  const become = (next: SessionState) => {
    if (state === next) return;
    state = next;
    const fields = { session: wire.session_id(), timeout_ms: wire.timeout_ms() };
    if (next === 'connected' || next === 'closed') log?.info(fields, `zookeeper ${next}`);
    else log?.warn(fields, `zookeeper ${next}`);
    for (const listener of [...listeners]) {
      try {
        listener(next);
      } catch (error) {
        log?.warn({ err: error }, 'a listener for states of the zookeeper session has failed');
      }
    }
  };
  const failAll = (calls: Set<Call>, code: ZooKeeperErrorCode, why: string) => {
    for (const call of [...calls]) call.fail(new ZooKeeperError(code, call.path, `${call.path}: ${why}`));
  };
  const final = (next: SessionState, code: ZooKeeperErrorCode, why: string) => {
    become(next);
    failAll(in_flight, code, why);
    failAll(waiting, code, why);
  };
  const pump = () => {
    for (const call of waiting) {
      if (state !== 'connected' || in_flight.size >= in_flight_max) return;
      waiting.delete(call);
      in_flight.add(call);
      call.send();
    }
  };

  const wire = connectWire({
    servers: ensemble.value.servers,
    session_timeout_ms,
    ...(auth === undefined ? {} : { auth }),
    clock,
    events: {
      connected: () => {
        become('connected');
        pump();
      },
      broken: () => {
        if (state === 'connected') become('disconnected');
        failAll(in_flight, 'connection-loss', 'the connection with ZooKeeper broke before the answer came');
      },
      expired: () => final('expired', 'session-expired', 'the ZooKeeper session has expired'),
      authFailed: () => final('auth-failed', 'auth-failed', 'ZooKeeper refuses our authentication'),
      closed: () => final('closed', 'closed', 'the ZooKeeper session was closed'),
      odd: (what, error) => log?.warn({ err: error, session: wire.session_id() }, `zookeeper: ${what}`),
    },
  });
  const { client } = wire;

  const refusal = (path: string): ZooKeeperError | undefined => {
    if (closing !== undefined || state === 'closed')
      return new ZooKeeperError('closed', path, `${path}: the ZooKeeper session is closed`);
    if (state === 'expired')
      return new ZooKeeperError('session-expired', path, `${path}: the ZooKeeper session has expired`);
    if (state === 'auth-failed')
      return new ZooKeeperError('auth-failed', path, `${path}: ZooKeeper refuses our authentication`);
    if (waiting.size >= waiting_max)
      return new ZooKeeperError('other', path, `${path}: ${waiting_max} calls wait for ZooKeeper already`);
    return undefined;
  };

  /** One call, from the line to its end. */
  const perform = <T>(
    verb: string,
    path: string,
    bytes: number,
    send: (done: Done<T>) => void,
  ): Promise<T | undefined> =>
    new Promise((resolve, reject) => {
      checkPath(path);
      if (bytes > packet_bytes_max)
        throw new ZooKeeperError(
          'too-large',
          path,
          `${verb} ${path}: ${bytes} bytes do not fit into a packet: expected at most ${packet_bytes_max}`,
        );
      const refused = refusal(path);
      if (refused !== undefined) throw refused;
      let deadline: Wake | undefined;
      const settle = (finish: () => void) => {
        deadline?.cancel();
        waiting.delete(call);
        finish();
      };
      const call: Call = {
        path,
        send() {
          try {
            send((error, value) => {
              in_flight.delete(call);
              settle(() => (error ? reject(asZooKeeperError(error, verb, path)) : resolve(value)));
              pump();
            });
          } catch (error) {
            // The library's own look at the arguments.
            call.fail(new ZooKeeperError('bad-arguments', path, `${verb} ${path}: ${error}`, error));
          }
        },
        fail(error) {
          in_flight.delete(call);
          settle(() => reject(error));
        },
      };
      deadline = clock.wakeAt(clock.now() + call_timeout_ms, () =>
        // One that was handed over stays in flight until its answer, or the end of its connection.
        settle(() => reject(late(verb, path, call_timeout_ms))),
      );
      waiting.add(call);
      pump();
    });

  const exists = async (path: string, changed?: () => void): Promise<Stat | undefined> => {
    const stat = await perform<LibraryStat | null>('exists', path, bytesOf(path), done =>
      client.exists(path, watcher(changed), done),
    );
    return stat ? statOf(stat) : undefined;
  };

  /** Looks; where there is nothing, leaves a watch that tells when there is. */
  const lookOrWait = async <T>(path: string, changed: (() => void) | undefined, look: () => Promise<T>) => {
    for (;;) {
      try {
        return await look();
      } catch (error) {
        if (!(error instanceof ZooKeeperError) || error.code !== 'no-node') throw error;
      }
      if (changed === undefined || (await exists(path, changed)) === undefined) return undefined;
    }
  };

  const create: ZooKeeper['create'] = async (path, data, { ephemeral = false, sequential = false } = {}) => {
    const flags = flagsOf(ephemeral, sequential);
    const made = await perform<string>('create', path, bytesOf(path, data), done =>
      client.create(path, asBuffer(data), acl, flags, done),
    );
    return made ?? path;
  };

  let closing: Promise<void> | undefined;
  return {
    state: () => state,
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    session_id: wire.session_id,
    negotiated_timeout_ms: wire.timeout_ms,
    proven_at: wire.proven_at,
    async get(path, changed) {
      const once = onlyOnce(changed);
      return lookOrWait(path, once, async () => {
        let stat: LibraryStat | undefined;
        const data = await perform<Buffer>('get', path, bytesOf(path), done =>
          client.getData(path, watcher(once), (error, bytes, found) => {
            stat = found;
            done(error, bytes);
          }),
        );
        return { data: data ?? Buffer.alloc(0), stat: statOf(stat!) };
      });
    },
    exists: (path, changed) => exists(path, onlyOnce(changed)),
    async children(path, changed) {
      const once = onlyOnce(changed);
      const look = () =>
        perform<readonly string[]>('children', path, bytesOf(path), done =>
          client.getChildren(path, watcher(once), done),
        );
      return lookOrWait(path, once, async () => (await look()) ?? []);
    },
    create,
    async set(path, data, version = -1) {
      const stat = await perform<LibraryStat>('set', path, bytesOf(path, data), done =>
        client.setData(path, asBuffer(data), version, done),
      );
      return statOf(stat!);
    },
    async delete(path, version = -1) {
      await perform('delete', path, bytesOf(path), done => client.remove(path, version, done));
    },
    async multi(operations) {
      for (const { path } of operations) checkPath(path);
      let bytes = 0;
      for (const each of operations) bytes += bytesOf(each.path, 'data' in each ? each.data : undefined);
      const place = operations[0]?.path ?? '/';
      let wrong: number | undefined;
      const results = await perform<readonly { readonly path?: string }[]>('multi', place, bytes, done => {
        const transaction = client.transaction();
        for (const operation of operations) addOperation(transaction, operation, acl);
        transaction.commit((error, found) => {
          wrong = found?.findIndex(result => result.err === error?.code);
          done(error, found);
        });
      }).catch(error => {
        const culprit = wrong === undefined ? undefined : operations[wrong];
        if (!(error instanceof ZooKeeperError) || culprit === undefined) throw error;
        const message = `multi, operation ${wrong! + 1} of ${operations.length}: ${culprit.type} ${culprit.path}: ${error.code}`;
        throw new ZooKeeperError(error.code, culprit.path, message, error);
      });
      return (results ?? []).map(result => result.path);
    },
    async sync(path) {
      // The library has no such call. A transaction that only checks passes through the leader like any write, and its
      // answer comes after everything committed before it has reached the server that we read from.
      checkPath(path);
      await perform('sync', path, bytesOf(path), done => client.transaction().check('/', -1).commit(done));
    },
    async mkdirs(path) {
      checkPath(path);
      const parts = path.split('/').slice(1);
      for (let depth = 1; depth <= parts.length; depth++) {
        const part = `/${parts.slice(0, depth).join('/')}`;
        // Looked at first: whoever may not create above it may still use what is there.
        if ((await exists(part)) !== undefined) continue;
        await create(part, new Uint8Array()).catch(error => {
          if (!(error instanceof ZooKeeperError) || error.code !== 'node-exists') throw error;
        });
      }
    },
    close() {
      closing ??= new Promise<void>(resolve => {
        if (isFinal(state)) return resolve();
        listeners.add(next => isFinal(next) && resolve());
        failAll(waiting, 'closed', 'the ZooKeeper session was closed');
        wire.close();
      });
      return closing;
    },
  };
}

const { ACL } = library;
const acls = {
  open: ACL.OPEN_ACL_UNSAFE,
  creator: ACL.CREATOR_ALL_ACL,
  readable: [...ACL.CREATOR_ALL_ACL, ...ACL.READ_ACL_UNSAFE],
} as const;

// --- between the library's words and ours -------------------------------------------------------------------------------

type Transaction = ReturnType<ReturnType<typeof library.createClient>['transaction']>;

function addOperation(transaction: Transaction, operation: Operation, acl: typeof library.ACL.OPEN_ACL_UNSAFE): void {
  const { path } = operation;
  switch (operation.type) {
    case 'create': {
      const flags = flagsOf(operation.ephemeral === true, operation.sequential === true);
      transaction.create(path, asBuffer(operation.data), acl, flags);
      return;
    }
    case 'set':
      transaction.setData(path, asBuffer(operation.data), -1);
      break;
    case 'delete':
      transaction.remove(path, -1);
      break;
    case 'check':
      transaction.check(path, -1);
      break;
  }
  // The library takes version 0 for "any", so it is put in behind its back: 0 is the first version that a node has.
  transaction.ops.at(-1)!.version = operation.version ?? -1;
}

const isFinal = (state: SessionState): boolean => state === 'expired' || state === 'auth-failed' || state === 'closed';

const flagsOf = (ephemeral: boolean, sequential: boolean): number =>
  (ephemeral ? ephemeral_flag : 0) | (sequential ? sequential_flag : 0);

const asBuffer = (data: Uint8Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** At least what the operation takes in a packet. */
const bytesOf = (path: string, data?: Uint8Array): number =>
  Buffer.byteLength(path) + (data?.byteLength ?? 0) + operation_bytes;

const statOf = (stat: LibraryStat): Stat => ({
  version: stat.version,
  czxid: stat.czxid.toString('hex'),
  mzxid: stat.mzxid.toString('hex'),
  ephemeral_owner: stat.ephemeralOwner.toString('hex'),
  data_length: stat.dataLength,
  children: stat.numChildren,
});

/** The library knows watches by their function and would take two of one function for one. */
const watcher = (changed: (() => void) | undefined): (() => void) | undefined => changed && (() => changed());

/** A watch that is left in two places is still called once. */
function onlyOnce(changed: (() => void) | undefined): (() => void) | undefined {
  if (changed === undefined) return undefined;
  let called = false;
  return () => {
    if (called) return;
    called = true;
    changed();
  };
}

const late = (verb: string, path: string, ms: number) =>
  new ZooKeeperError('connection-loss', path, `${verb} ${path}: no answer from ZooKeeper within ${ms} ms`);

const codes: Readonly<Record<number, ZooKeeperErrorCode>> = {
  [-4]: 'connection-loss',
  [-7]: 'connection-loss',
  [-8]: 'bad-arguments',
  [-101]: 'no-node',
  [-102]: 'no-auth',
  [-103]: 'bad-version',
  [-108]: 'bad-arguments', // no children below an ephemeral node
  [-110]: 'node-exists',
  [-111]: 'not-empty',
  [-112]: 'session-expired',
  [-114]: 'bad-arguments', // an ACL that means nobody
  [-115]: 'auth-failed',
  [-118]: 'connection-loss', // the session has moved to another server
  [-125]: 'too-large', // a quota
  [-127]: 'connection-loss', // throttled: it was not carried out, and may be asked again
};

function asZooKeeperError(error: LibraryError, verb: string, path: string): ZooKeeperError {
  const code = codes[error.code] ?? 'other';
  const said = code === 'other' ? `ZooKeeper says ${error.code} (${error.message})` : code;
  return new ZooKeeperError(code, path, `${verb} ${path}: ${said}`, error);
}
