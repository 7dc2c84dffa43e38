// leader-watch.ts: follows in ZooKeeper who leads the masters, through changes, cuts and ended sessions.
//
// A look leaves one watch behind, and whatever happens then (a node comes or goes, the connection breaks, the session ends)
// leads to the next look. A ZooKeeper that cannot be asked says nothing about the masters: the leader that was known stays
// the leader until another is read.

import type { Clock, Wake } from '../schedules/clock.ts';
import type { ZooKeeper, ZooKeeperErrorCode } from '../transport/zookeeper/zookeeper.ts';
import { type Leader, leaderIn, leadingNode } from './detector.ts';

export type LeaderWatchOptions = {
  /** A new session. Called again when one has expired. */
  readonly connect: () => ZooKeeper;
  readonly path: string;
  readonly scheme: 'http' | 'https';
  readonly clock: Clock;
  readonly log: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
    readonly error: (fields: object, message: string) => void;
  };
  /** Told with each change; never with none once one was known. */
  readonly found: (leader: Leader) => void;
  /** Even without a sign, look again after this: a watch may have been lost. */
  readonly look_again_ms?: number;
};

export type LeaderWatch = {
  readonly leader: () => Leader | undefined;
  readonly close: () => Promise<void>;
};

const look_again_ms_default = 30_000;
/** After a look that failed though the session stands. */
const retry_ms = 1_000;

export function watchLeader(options: LeaderWatchOptions): LeaderWatch {
  const { path, scheme, clock, log, found, look_again_ms = look_again_ms_default } = options;
  let leader: Leader | undefined;
  let closed = false;
  let session: ZooKeeper | undefined;
  let timer: Wake | undefined;
  /** A look is under way; another is wanted after it. */
  let looking = false;
  let wanted = false;
  /** A watch waits in this session: another one beside it would only pile up. */
  let watching = false;
  let said: string | undefined;

  function open(): void {
    const zookeeper = options.connect();
    session = zookeeper;
    watching = false;
    zookeeper.onState(state => {
      if (closed || zookeeper !== session) return;
      if (state === 'connected') look();
      if (state === 'disconnected') say('info', 'zookeeper is away: the masters are where they were');
      if (state === 'auth-failed')
        say('error', 'zookeeper refuses the user and password of --mesos zk://user:password@...');
      if (state === 'expired') {
        say('warn', 'the session with zookeeper has ended: beginning another');
        void zookeeper.close().catch(() => undefined); // Its end is what we were just told.
        open();
      }
    });
    look();
  }

  /** What stays the same is said once. */
  function say(level: 'info' | 'warn' | 'error', message: string, fields: object = {}): void {
    if (said === message) return;
    said = message;
    log[level]({ path, ...fields }, message);
  }

  function woken(zookeeper: ZooKeeper): void {
    if (zookeeper !== session) return;
    watching = false;
    look();
  }

  function again(delay_ms: number): void {
    timer?.cancel();
    if (closed) return;
    timer = clock.wakeAt(clock.now() + delay_ms, look);
  }

  function look(): void {
    if (closed) return;
    wanted = true;
    if (looking) return;
    looking = true;
    wanted = false;
    const asked = session!;
    read(asked)
      .then(
        () => again(look_again_ms),
        (error: unknown) => {
          if (asked !== session) return;
          watching = false;
          const code = (error as { code?: ZooKeeperErrorCode }).code;
          // The state of the session tells of these, and of their end.
          if (code !== 'connection-loss' && code !== 'session-expired' && code !== 'closed')
            say(
              'warn',
              `who leads the masters cannot be read: ${error instanceof Error ? error.message : String(error)}`,
            );
          again(retry_ms);
        },
      )
      .finally(() => {
        looking = false;
        if (wanted) look();
      });
  }

  async function read(zookeeper: ZooKeeper): Promise<void> {
    const watch = watching ? undefined : () => woken(zookeeper);
    watching = true;
    const children = await zookeeper.children(path, watch);
    if (children === undefined) {
      say(
        'warn',
        `there is no ${path} in zookeeper: waiting for masters that are started with --zk .../${path.slice(1)}`,
      );
      return;
    }
    const node = leadingNode(children);
    if (node === undefined) {
      say('warn', `no master stands in ${path} of zookeeper: waiting for one`);
      return;
    }
    const read = await zookeeper.get(`${path}/${node}`);
    // Gone between the two questions: its going is a change of the children, which we watch.
    if (read === undefined) return;
    const next = leaderIn(`${path}/${node}`, read.data, scheme);
    if (typeof next === 'string') return say('error', next);
    said = undefined;
    if (closed || (leader?.url === next.url && leader.id === next.id)) return;
    log.info({ path, node, master: next.url, id: next.id, version: next.version }, 'mesos: a master leads');
    leader = next;
    found(next);
  }

  open();
  return {
    leader: () => leader,
    async close() {
      closed = true;
      timer?.cancel();
      await session?.close();
    },
  };
}
