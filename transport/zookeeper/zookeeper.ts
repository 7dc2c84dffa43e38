// zookeeper.ts: what Horae needs of ZooKeeper, whoever plays it.
//
// ZooKeeper keeps a small tree of nodes on several machines and tells everybody the same story about it. A client holds a
// *session*: as long as some member hears from it within the session timeout, its ephemeral nodes stay. When the
// connection breaks the session goes on for a while, and another member can take it up; only ZooKeeper can say that it
// has expired, and it says so when one comes back. So between the break and the answer a client is in doubt.

/** What is known of a node besides its data. Transaction ids are 16 hexadecimal digits, in the order of what happened. */
export type Stat = {
  readonly version: number;
  readonly czxid: string;
  readonly mzxid: string;
  /** Session id of the owner of an ephemeral node, 16 hexadecimal digits; zeros for a node that stays. */
  readonly ephemeral_owner: string;
  readonly data_length: number;
  readonly children: number;
};

/** `expired`, `auth-failed` and `closed` are final: make another session. */
export type SessionState = 'connecting' | 'connected' | 'disconnected' | 'expired' | 'auth-failed' | 'closed';

/** One step of a `multi`. A `version` left out, or -1, means any. */
export type Operation =
  | {
      readonly type: 'create';
      readonly path: string;
      readonly data: Uint8Array;
      readonly ephemeral?: boolean;
      readonly sequential?: boolean;
    }
  | { readonly type: 'set'; readonly path: string; readonly data: Uint8Array; readonly version?: number }
  | { readonly type: 'delete'; readonly path: string; readonly version?: number }
  | { readonly type: 'check'; readonly path: string; readonly version: number };

/**
 * `connection-loss`: the connection broke, or no answer came in time; what became of the call is unknown, and the caller
 * must look. `too-large`: more than a packet or a quota holds; nothing was done. `other`: what ZooKeeper says besides.
 */
export type ZooKeeperErrorCode =
  | 'no-node'
  | 'node-exists'
  | 'bad-version'
  | 'not-empty'
  | 'no-auth'
  | 'auth-failed'
  | 'connection-loss'
  | 'session-expired'
  | 'bad-arguments'
  | 'too-large'
  | 'closed'
  | 'other';

export class ZooKeeperError extends Error {
  override readonly name = 'ZooKeeperError';
  readonly code: ZooKeeperErrorCode;
  readonly path: string;
  constructor(code: ZooKeeperErrorCode, path: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.path = path;
  }
}

/**
 * One session. Calls are carried out in the order in which they were made. A watch (`changed`) is called at most once:
 * when what was returned may no longer be true; a look again, with another watch, tells. It is not called when the
 * session ends: that is a state.
 */
export interface ZooKeeper {
  readonly state: () => SessionState;
  /** Called with each change, in order. Returns how to stop. */
  onState(listener: (state: SessionState) => void): () => void;
  /** 16 hexadecimal digits; zeros before the first connection. */
  session_id(): string;
  /** What the servers granted; before the first connection what was asked for. */
  negotiated_timeout_ms(): number;
  /**
   * When, on the monotonic clock, we sent the last message that a server has answered: until this plus the negotiated
   * timeout the session cannot have expired, whatever has happened since.
   */
  proven_at(): number;
  /** undefined when there is no such node; a watch is then called when it appears. */
  get(path: string, changed?: () => void): Promise<{ readonly data: Uint8Array; readonly stat: Stat } | undefined>;
  exists(path: string, changed?: () => void): Promise<Stat | undefined>;
  /** Names, in no order; undefined when there is no such node. */
  children(path: string, changed?: () => void): Promise<readonly string[] | undefined>;
  /** Resolves with the path, which of a sequential node ends with ten digits. */
  create(
    path: string,
    data: Uint8Array,
    options?: { readonly ephemeral?: boolean; readonly sequential?: boolean },
  ): Promise<string>;
  set(path: string, data: Uint8Array, version?: number): Promise<Stat>;
  delete(path: string, version?: number): Promise<void>;
  /** All or nothing. Resolves with the path of each node created, undefined for the other operations. */
  multi(operations: readonly Operation[]): Promise<readonly (string | undefined)[]>;
  /** Afterwards, reads of this session see everything that was committed before the call. */
  sync(path: string): Promise<void>;
  /** Makes the node and those above it where they are missing, empty. */
  mkdirs(path: string): Promise<void>;
  /** Ends the session; its ephemeral nodes go at once when a server can be reached, else when it times out. */
  close(): Promise<void>;
}

/** Throws ZooKeeperError `bad-arguments` when a path is none: absolute, no empty, `.` or `..` part, no slash at the end. */
export function checkPath(path: string): void {
  const parts = path.split('/').slice(1);
  const wrong = parts.some(part => part === '' || part === '.' || part === '..');
  if (path === '/' || (path.startsWith('/') && !wrong)) return;
  throw new ZooKeeperError('bad-arguments', path, `invalid path "${path}": expected one such as /horae/journal`);
}
