// election.ts: standing for leader, in one session.
//
// Being first in line is what ZooKeeper says; between a broken connection and the next word from ZooKeeper nobody knows,
// and a leader that does not know stops. So a leader is `leading` or in `doubt`, and from doubt it goes on, when the
// session is found alive and its node still first, or it is `out`. What it did meanwhile is the fences' business: being
// first in line is how leaders are chosen, never why a write is right.

import { randomBytes } from 'node:crypto';
import type { Clock } from '../../schedules/clock.ts';
import {
  type Candidate,
  lineOf,
  namesOf,
  packCandidate,
  packWish,
  placeOf,
  prefixOf,
  unpackCandidate,
  unpackWish,
} from './line.ts';
import { type ZooKeeper, ZooKeeperError } from './zookeeper.ts';

export type { Candidate } from './line.ts';

/**
 * `joining`: not in line yet. `waiting`: behind others. `leading`. `doubt`: was leading, and does not hear ZooKeeper.
 * `out`, final: the session has ended, ZooKeeper refuses us, or we left.
 */
export type Standing = 'joining' | 'waiting' | 'leading' | 'doubt' | 'out';

export type Election = {
  readonly standing: () => Standing;
  /**
   * Leading, and the session cannot have expired yet even if this process stood still a while: asked before anything is
   * done that only a leader may do.
   */
  readonly sure: () => boolean;
  /**
   * Path of our node in line while we lead. It goes with our place, and never comes back: a transaction that checks that
   * it exists is refused as soon as another may lead.
   */
  readonly node: () => string | undefined;
  /** Who is first in line, as last seen. */
  readonly leader: () => Candidate | undefined;
  /** Why we are out, when it was not our own wish. */
  readonly failure: () => Error | undefined;
  /** Everybody in line, the leader first. */
  candidates(): Promise<readonly Candidate[]>;
  /** Called when the standing or the leader has changed. Returns how to stop. */
  onChange(listener: (standing: Standing, before: Standing) => void): () => void;
  /**
   * A leader steps back to the end of the line; `to` asks those before that candidate to let it go first. Throws an
   * Error when we do not lead, or when there is nobody to hand over to.
   */
  yield(to?: string): Promise<void>;
  /** Leaves the line for good. */
  leave(): Promise<void>;
};

export type ElectionOptions = {
  readonly zk: ZooKeeper;
  /** Where the line is: a node for nothing else. */
  readonly path: string;
  readonly candidate: Candidate;
  readonly clock: Clock;
  /** How long to wait before ZooKeeper is asked again what it did not answer. */
  readonly retry_ms?: number;
  readonly log?: { warn(fields: object, message: string): void };
};

const retry_ms_default = 100;

export function standForLeader({
  zk,
  path,
  candidate,
  clock,
  log,
  retry_ms = retry_ms_default,
}: ElectionOptions): Election {
  let nonce = newNonce();
  /** Under which we stood before: a node of one of these, made or removed while nobody knew, would block the line. */
  const given_up = new Set<string>();
  /** Name of our node in line. */
  let mine: string | undefined;
  let standing: Standing = 'joining';
  let leader: Candidate | undefined;
  let leader_name: string | undefined;
  let failure: Error | undefined;
  /** Paths of nodes with a watch of ours that has not been called. */
  const watched = new Set<string>();
  const listeners = new Set<(standing: Standing, before: Standing) => void>();
  let reviewing: Promise<void> | undefined;
  let review_again = false;

  const tell = (before: Standing) => {
    for (const listener of [...listeners]) listener(standing, before);
  };
  const become = (next: Standing) => {
    if (standing === next || standing === 'out') return;
    const before = standing;
    standing = next;
    tell(before);
  };
  const setLeader = (name: string | undefined, next: Candidate | undefined) => {
    if (leader_name === name && (next === undefined) === (leader === undefined)) return;
    leader_name = name;
    leader = next;
    tell(standing);
  };
  const end = (why?: Error) => {
    if (standing === 'out') return;
    failure = why;
    stopListening();
    become('out');
  };
  const watch = (node: string): (() => void) | undefined => {
    if (watched.has(node)) return undefined;
    watched.add(node);
    return () => {
      watched.delete(node);
      review();
    };
  };

  const stopListening = zk.onState(state => {
    if (state === 'disconnected' && standing === 'leading') become('doubt');
    else if (state === 'connected') review();
    else if (state === 'expired') end(new ZooKeeperError('session-expired', path, 'the ZooKeeper session has expired'));
    else if (state === 'auth-failed')
      end(new ZooKeeperError('auth-failed', path, 'ZooKeeper refuses our authentication'));
    else if (state === 'closed') end(new ZooKeeperError('closed', path, 'the ZooKeeper session was closed'));
  });

  /** Looks where we stand, one look at a time; whatever changes during one is looked at in another. */
  const review = () => {
    review_again = true;
    reviewing ??= (async () => {
      while (review_again && standing !== 'out') {
        review_again = false;
        try {
          await look();
        } catch (error) {
          if (!isLoss(error)) end(error as Error);
          else review_again = true;
          if (zk.state() === 'connected')
            await new Promise<void>(resolve => clock.wakeAt(clock.now() + retry_ms, resolve));
          else review_again = false; // The connection, when it is back, begins another look.
        }
      }
    })().finally(() => {
      reviewing = undefined;
      if (review_again && standing !== 'out') review();
    });
  };

  const look = async (): Promise<void> => {
    if (standing === 'doubt') await zk.sync(path);
    const names = await join();
    const me = mine!;
    const place = placeOf(names, me);
    if (place.at === 'nowhere') {
      // Somebody has removed our node.
      mine = undefined;
      become('joining');
      review_again = true;
      return;
    }
    if (place.at === 'behind') {
      become('waiting');
      if ((await existsOr(`${path}/${place.before}`)) === false) review_again = true;
      await lookAtLeader(place.head);
      return;
    }
    const wanted = await wishFor(names);
    if (wanted !== undefined && standing !== 'leading' && standing !== 'doubt') {
      log?.warn({ to: wanted }, 'first in line, and letting another candidate go first as was asked');
      await stepBack();
      return;
    }
    if ((await existsOr(`${path}/${me}`)) === false || me !== mine) {
      review_again = true; // Gone, or handed over while we looked.
      return;
    }
    setLeader(me, candidate);
    // The connection may have broken since; then doubt it is, and the next connection brings another look.
    become(zk.state() === 'connected' ? 'leading' : standing === 'leading' ? 'doubt' : standing);
  };

  /** false when the node is not there; else a watch of ours is on it. */
  const existsOr = async (node: string): Promise<boolean> => {
    const changed = watch(node);
    try {
      if ((await zk.exists(node, changed)) !== undefined) return true;
    } catch (error) {
      if (changed !== undefined) watched.delete(node);
      throw error;
    }
    return false;
  };

  const lookAtLeader = async (head: string) => {
    if (head === leader_name && watched.has(`${path}/${head}`)) return;
    const found = await zk.get(`${path}/${head}`);
    if (found === undefined || (await existsOr(`${path}/${head}`)) === false) {
      review_again = true;
      return;
    }
    setLeader(head, unpackCandidate(found.data));
  };

  /** Puts us in line if we are not; resolves with the names in it. */
  const join = async (): Promise<readonly string[]> => {
    for (;;) {
      let names = await zk.children(path);
      if (names === undefined) {
        await zk.mkdirs(path);
        continue;
      }
      const [found, ...again] = namesOf(names, nonce);
      const superfluous = [...again, ...[...given_up].flatMap(before => namesOf(names!, before))];
      for (const name of superfluous) await remove(name);
      if (found === undefined && mine === undefined) {
        // When the answer is lost the next look finds the node by its nonce.
        await zk.create(`${path}/${prefixOf(nonce)}`, packCandidate(candidate), { ephemeral: true, sequential: true });
        continue;
      }
      if (superfluous.length > 0) names = names.filter(name => !superfluous.includes(name));
      mine = found ?? mine;
      return names;
    }
  };

  /** The candidate that the others are asked to let go first, when that is another than us and stands in line. */
  const wishFor = async (names: readonly string[]): Promise<string | undefined> => {
    const line = await zk.get(path);
    const to = line && unpackWish(line.data);
    if (line === undefined || to === undefined) return undefined;
    if (to !== candidate.id) for (const other of await candidatesIn(names)) if (other.id === to) return to;
    // Fulfilled, or for nobody: the next leader shall not stumble over it.
    await zk.set(path, packWish(undefined), line.stat.version).catch(error => {
      if (!(error instanceof ZooKeeperError) || error.code !== 'bad-version') throw error;
    });
    return undefined;
  };

  const candidatesIn = async (names: readonly string[]): Promise<Candidate[]> => {
    const found = await Promise.all(lineOf(names).map(name => zk.get(`${path}/${name}`)));
    return found.flatMap(node => (node && unpackCandidate(node.data)) ?? []);
  };

  const remove = async (name: string) => {
    await zk.delete(`${path}/${name}`).catch(error => {
      if (!(error instanceof ZooKeeperError) || error.code !== 'no-node') throw error;
    });
  };

  /** Out of our place; the next look goes to the end of the line, under another nonce. */
  const stepBack = async () => {
    const before = mine;
    become('joining');
    given_up.add(nonce);
    nonce = newNonce();
    mine = undefined;
    if (before !== undefined) await persist(() => remove(before));
    review_again = true;
  };

  /** Again and again until it is answered, or the session has ended. */
  const persist = async (call: () => Promise<void>): Promise<void> => {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!isLoss(error)) throw error;
        await new Promise<void>(resolve => clock.wakeAt(clock.now() + retry_ms, resolve));
      }
    }
  };

  if (zk.state() === 'connected') review();
  return {
    standing: () => standing,
    sure: () => standing === 'leading' && clock.monotonic() < zk.proven_at() + zk.negotiated_timeout_ms(),
    node: () => (standing === 'leading' && mine !== undefined ? `${path}/${mine}` : undefined),
    leader: () => leader,
    failure: () => failure,
    candidates: async () => candidatesIn((await zk.children(path)) ?? []),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async yield(to) {
      if (standing !== 'leading') throw new Error(`cannot hand over while ${standing}: expected to be leading`);
      const names = (await zk.children(path)) ?? [];
      const others = (await candidatesIn(names)).filter(other => other.id !== candidate.id);
      if (others.length === 0) throw new Error('cannot hand over: there is no other candidate in line');
      if (to !== undefined && !others.some(other => other.id === to))
        throw new Error(
          `cannot hand over to "${to}": expected one of ${others.map(other => other.id).join(', ')}, which are in line`,
        );
      await zk.set(path, packWish(to));
      // Somebody may have removed our node meanwhile, and we may be on our way to the end of the line already.
      if (standing === 'leading' || standing === 'doubt') await stepBack();
      review();
    },
    async leave() {
      if (standing === 'out') return;
      const name = mine;
      stopListening();
      become('out');
      await reviewing;
      try {
        for (const each of namesOf((await zk.children(path)) ?? [], nonce)) await remove(each);
        if (name !== undefined) await remove(name);
      } catch (error) {
        // The node is ephemeral: it goes with the session, which whoever leaves closes.
        log?.warn({ err: error }, 'could not leave the line of candidates; the end of the session will');
      }
    },
  };
}

const newNonce = (): string => randomBytes(8).toString('hex');
const isLoss = (error: unknown): boolean => error instanceof ZooKeeperError && error.code === 'connection-loss';
