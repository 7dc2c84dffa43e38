// node-zookeeper-client.d.ts: the parts of node-zookeeper-client 1.1.3 that client.ts and wire.ts use.
//
// The package brings no types. Besides its public face we name some of its inside, because that is where its gaps have
// to be closed; wire.ts says which. Whoever moves to another version reads its ConnectionManager.js first.

declare module 'node-zookeeper-client' {
  import type { EventEmitter } from 'node:events';
  import type { Socket } from 'node:net';

  type Address = { readonly host: string; readonly port: number };
  /** Numbers as in the library's ConnectionManager.STATES. */
  type ConnectionState = 0 | 1 | 2 | 3 | -1 | -2 | -3 | -4;

  export interface ConnectionManager extends EventEmitter {
    state: ConnectionState;
    socket: Socket | undefined;
    servers: readonly Address[];
    /** Bytes of an answer that has not come whole. */
    pendingBuffer: Buffer | null;
    /** Requests that have not been written. */
    packetQueue: { queue: unknown[] };
    connectTimeoutHandler: NodeJS.Timeout | null;
    findNextServer(callback: (server: Address) => void): void;
    onSocketData(buffer: Buffer): void;
    setState(state: ConnectionState): void;
    getSessionTimeout(): number;
    getSessionId(): Buffer;
  }

  export interface LibraryStat {
    readonly version: number;
    readonly czxid: Buffer;
    readonly mzxid: Buffer;
    readonly ephemeralOwner: Buffer;
    readonly dataLength: number;
    readonly numChildren: number;
  }
  export interface LibraryError {
    readonly code: number;
    readonly message: string;
  }
  type Failure = LibraryError | null | undefined;
  export type Acl = { readonly permission: number };
  type Watcher = (() => void) | undefined;
  export type TransactionResult = { readonly type: number; readonly path?: string; readonly err?: number };

  export interface Transaction {
    /** What has been put in so far; `version` can be set here. */
    readonly ops: { version?: number }[];
    create(path: string, data: Buffer, acls: readonly Acl[], mode: number): this;
    check(path: string, version: number): this;
    setData(path: string, data: Buffer, version: number): this;
    remove(path: string, version: number): this;
    commit(done: (error: Failure, results?: readonly TransactionResult[]) => void): void;
  }

  export interface Client {
    readonly connectionManager: ConnectionManager;
    connect(): void;
    close(): void;
    addAuthInfo(scheme: string, auth: Buffer): void;
    create(
      path: string,
      data: Buffer,
      acls: readonly Acl[],
      mode: number,
      done: (error: Failure, path?: string) => void,
    ): void;
    remove(path: string, version: number, done: (error: Failure) => void): void;
    setData(path: string, data: Buffer, version: number, done: (error: Failure, stat?: LibraryStat) => void): void;
    getData(path: string, watcher: Watcher, done: (error: Failure, data?: Buffer, stat?: LibraryStat) => void): void;
    exists(path: string, watcher: Watcher, done: (error: Failure, stat?: LibraryStat | null) => void): void;
    getChildren(path: string, watcher: Watcher, done: (error: Failure, children?: readonly string[]) => void): void;
    transaction(): Transaction;
  }

  const library: {
    createClient(servers: string, options: { sessionTimeout: number; retries: number }): Client;
    readonly ACL: {
      readonly OPEN_ACL_UNSAFE: readonly Acl[];
      readonly CREATOR_ALL_ACL: readonly Acl[];
      readonly READ_ACL_UNSAFE: readonly Acl[];
    };
    readonly Exception: { create(code: number, path?: string): LibraryError };
  };
  export default library;
}
