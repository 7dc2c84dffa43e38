// session.ts: one session of a node with ZooKeeper: our place in line, and the cluster's log, followed into our own copy.
//
// While another leads, the copy follows the log as ZooKeeper shows it; while we lead, the journal that we write. What dies
// with the session is here, the copy is not: it goes on with the next one from where it has come.

import { record_schemas } from '../actors/schemas.ts';
import type { Settings } from '../settings.ts';
import { JournalError } from '../transport/journal/journal.ts';
import type { Replica, Source } from '../transport/journal/replica.ts';
import { createShelf } from '../transport/journal/shelf.ts';
import { type JournalSize, zookeeperJournal } from '../transport/journal/zookeeper.ts';
import { clusterLog } from '../transport/journal/zookeeper-log.ts';
import { placesIn, unpackEpoch } from '../transport/journal/zookeeper-tree.ts';
import { connectZooKeeper, type ZooKeeper, ZooKeeperError } from '../transport/zookeeper/client.ts';
import { type Candidate, type Election, standForLeader } from '../transport/zookeeper/election.ts';
import type { Session, SessionEnd } from './keeper.ts';
import type { Ground } from './start.ts';

export type SessionParts = Pick<Ground, 'settings' | 'log' | 'clock'> & {
  /** `zk1:2181,zk2:2181`, and the path of the cluster. */
  readonly servers: string;
  readonly path: string;
  readonly auth: string | undefined;
  readonly candidate: Candidate;
  /** What only those can make of the cluster's id who have its key. */
  readonly sign: (cluster_id: string) => string;
  readonly replica: Replica;
  readonly onSize: (size: JournalSize) => void;
  /** Left out: over the network. */
  readonly connect?: typeof connectZooKeeper;
};

/** Of the session's length that must be left for us to be sure of it: members tell each other of our signs of life in turns. */
const margin_share = 1 / 3;
/** Before the log is followed again when that ended for no reason of the session's. */
const follow_again_ms = 1_000;

/** Resolves when the session is there and the log is being followed. */
export async function openSession(parts: SessionParts, ended: (end: SessionEnd) => void): Promise<Session> {
  const { settings, log, clock, replica, path, candidate } = parts;
  const zk = (parts.connect ?? connectZooKeeper)({
    servers: parts.servers,
    session_timeout_ms: settings.zk_session_timeout_ms,
    call_timeout_ms: settings.zk_call_timeout_ms,
    ...(parts.auth === undefined ? {} : { auth: { scheme: 'digest', id: parts.auth } }),
    clock,
    log,
  });
  let over = false;
  const end = (how: SessionEnd) => {
    if (over) return;
    over = true;
    ended(how);
  };
  try {
    await connected(zk, parts, settings);
    zk.onState(state => {
      if (state === 'expired' || state === 'closed') end({ type: 'expired' });
      if (state === 'auth-failed') end({ type: 'broken', why: auth_refused });
    });
    const membership = { name: settings.cluster_name, sign: parts.sign, ...idOf(replica) };
    const common = { zk, path, cluster: membership, schemas: record_schemas, clock, shelf: createShelf() };
    const shown = clusterLog(common);
    const { id } = await shown.enter();
    const follow = (source: Source) => {
      replica.follow(id, source, error => {
        if (over || zk.state() === 'expired' || zk.state() === 'closed') return;
        if (error instanceof JournalError && hopeless.has(error.code))
          return end({ type: 'broken', why: error.message });
        log.warn({ error: error.message }, 'the log is not followed any more: trying again');
        clock.wakeAt(clock.now() + follow_again_ms, () => over || follow(shown));
      });
    };
    follow(shown);
    // Not waited for: whoever is elected before it is done fetches the rest.
    shown.fillShelf().catch(error => log.debug({ error: String(error) }, 'not everything was read ahead'));

    const epoch_node = placesIn(path).epoch;
    let election: Election | undefined;
    let epoch: number | undefined;
    return {
      stand(changed) {
        election = standForLeader({ zk, path: below(path, 'election'), candidate, clock, log });
        election.onChange(changed);
      },
      standing: () => election?.standing() ?? 'joining',
      sure: () =>
        election?.sure() === true &&
        clock.monotonic() < zk.proven_at() + zk.negotiated_timeout_ms() * (1 - margin_share),
      leader: () => election?.leader(),
      candidates: async () => (await election?.candidates()) ?? [],
      async yield(to) {
        await election?.yield(to);
      },
      async confirm() {
        // Whatever ZooKeeper has answered is no older than this question, whichever member we talk to.
        await zk.sync(epoch_node);
        const found = await zk.get(epoch_node);
        if (epoch === undefined) return true;
        return found !== undefined && unpackEpoch(found.data, epoch_node).epoch === epoch;
      },
      async open() {
        const journal = zookeeperJournal({
          ...common,
          place: () => election?.node(),
          segments_per_snapshot: settings.segments_per_snapshot,
          bytes_max: settings.zk_journal_mb * 2 ** 20,
          commit_ms_max: settings.zk_commit_timeout_ms,
          onSize: parts.onSize,
          log,
        });
        try {
          epoch = await journal.open();
          const { records, position, poison } = await journal.restore();
          for (const one of poison) log.error(one, 'a record cannot be read: put aside');
          follow(journal);
          const close = async () => {
            if (!over) follow(shown);
            await journal.close();
          };
          return { epoch, position, records: [...records], journal: { ...journal, close } };
        } catch (error) {
          await journal.close();
          throw error;
        }
      },
      async close() {
        over = true;
        await replica.unfollow();
        await zk.close();
      },
    };
  } catch (error) {
    over = true;
    await zk.close();
    throw error;
  }
}

const hopeless: ReadonlySet<string> = new Set(['corrupt', 'foreign', 'newer', 'full']);
const auth_refused = 'ZooKeeper refuses our authentication: expected another USER:PASSWORD in --zk-auth-file';
const below = (path: string, name: string) => `${path === '/' ? '' : path}/${name}`;
const idOf = (replica: Replica) => {
  const id = replica.cluster_id();
  return id === undefined ? {} : { id };
};

/** Rejects when there is no session after twice the time in which one would expire. */
function connected(zk: ZooKeeper, { clock, servers }: SessionParts, settings: Settings): Promise<void> {
  return new Promise((resolve, reject) => {
    const patience_ms = 2 * settings.zk_session_timeout_ms;
    const finish = (settle: () => void) => {
      alarm.cancel();
      stop();
      settle();
    };
    const look = (state: ReturnType<ZooKeeper['state']>) => {
      if (state === 'connected') finish(resolve);
      else if (state === 'auth-failed') finish(() => reject(new ZooKeeperError('auth-failed', '', auth_refused)));
      else if (state === 'expired' || state === 'closed')
        finish(() => reject(new ZooKeeperError('session-expired', '', 'the session ended before it began')));
    };
    const alarm = clock.wakeAt(clock.now() + patience_ms, () =>
      finish(() => reject(new ZooKeeperError('connection-loss', '', `ZooKeeper cannot be reached at ${servers}`))),
    );
    const stop = zk.onState(look);
    look(zk.state());
  });
}
