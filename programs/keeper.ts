// keeper.ts: performs what the life of a node (node-life.ts) asks for, and tells it what has happened.
//
// The outside is given: a session with ZooKeeper, and a way to plant the tree. What is kept here is the gate: nothing of a
// reign leaves this process unless this node surely leads at that moment, by its own clock too. A process that was stopped
// and goes on, or whose ZooKeeper is silent, finds the gate closed before anybody has told it why; then ZooKeeper is asked.

import type { Clock } from '../schedules/clock.ts';
import type { RecordEnvelope } from '../transport/journal/journal.ts';
import { type Journal, JournalError } from '../transport/journal/journal.ts';
import type { Candidate, Standing } from '../transport/zookeeper/election.ts';
import { ZooKeeperError } from '../transport/zookeeper/zookeeper.ts';
import type { NodeEffect, NodeMessage } from './node-life.ts';
import { type NodeState, new_node, nodeLife } from './node-life.ts';

/** The journal, opened under an epoch of ours. */
export type Opened = {
  readonly epoch: number;
  readonly journal: Journal;
  readonly records: readonly RecordEnvelope[];
  readonly position: number;
};
/** Why a session is over: another may be made, or none would be better. */
export type SessionEnd = { readonly type: 'expired' } | { readonly type: 'broken'; readonly why: string };

/** One session with ZooKeeper: everything that dies with it. */
export interface Session {
  /** Joins the line of candidates. Called once. */
  stand(changed: (standing: Standing, before: Standing) => void): void;
  standing(): Standing;
  /** We lead, and the session cannot have run out unnoticed. */
  sure(): boolean;
  leader(): Candidate | undefined;
  candidates(): Promise<readonly Candidate[]>;
  /** Goes to the end of the line. Rejects when nobody else is in it. */
  yield(to?: string): Promise<void>;
  /** Whether the epoch that `open` took is still the newest. Rejects while ZooKeeper does not say. */
  confirm(): Promise<boolean>;
  open(): Promise<Opened>;
  close(): Promise<void>;
}

/** A tree that stands. */
export interface Reign {
  /** The gate may be open again. */
  resume(): void;
  /** Takes no more commands, lets everything leave, fells. */
  drain(): Promise<void>;
  /** Drops what has not left, fells. */
  fell(why: string): Promise<void>;
}
export type Guard = {
  /** Whether anything may leave at this moment. */
  readonly gate: () => boolean;
  /** Resolves with whether we lead, once ZooKeeper says. */
  readonly confirm: () => Promise<boolean>;
  /** The journal failed, or the tree crashed too often. */
  readonly fatal: (reason: string, error?: unknown) => void;
};

export type KeeperLog = {
  readonly debug: (fields: object, message: string) => void;
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
};
export type KeeperPorts = {
  /** Resolves when the session is there and our copy of the log has caught up. */
  readonly openSession: (ended: (end: SessionEnd) => void) => Promise<Session>;
  readonly plant: (opened: Opened, guard: Guard) => Promise<Reign>;
  /** Who leads, or what we do, has changed. */
  readonly changed: () => void;
  /** This node plays another part now. */
  readonly entered: (mode: NodeState['mode']) => void;
  /** The end of this node, with a reason when it is not our wish. */
  readonly ended: (why: string | undefined) => void;
  /** How long a leader that leaves may take to finish what it decided. */
  readonly leave_ms_max: number;
  readonly clock: Clock;
  readonly log: KeeperLog;
};
export interface Keeper {
  begin(): void;
  /** Hands over if it leads, and ends. Resolves when `ended` has been called. */
  stop(): Promise<void>;
  state(): NodeState;
  session(): Session | undefined;
  /** Steps down for another; throws when this node does not lead. */
  transfer(to: string | undefined): void;
  /** As the guard's; for answers that must come from the leader. */
  confirm(): Promise<boolean>;
}

/** Between two questions to a ZooKeeper that does not answer. */
const ask_ms = 100;
/** Before another session is tried, and before a leader that failed at it tries again for want of another candidate. */
const again_ms = 1_000;

export function createKeeper(ports: KeeperPorts): Keeper {
  const { clock, log } = ports;
  let state = new_node;
  let session: Session | undefined;
  let session_count = 0;
  let stood = false;
  let planting: Promise<void> | undefined;
  let reign: Reign | undefined;
  /** The gate, as the machine has it; and whether somebody has found it closed and said so. */
  let held = false;
  let suspected = false;
  let looking = false;
  const over = Promise.withResolvers<void>();
  const inbox: NodeMessage[] = [];
  let handling = false;

  const after = (ms: number) => new Promise<void>(resolve => void clock.wakeAt(clock.now() + ms, resolve));

  /** One message at a time; what a message's effects bring about waits for its end. */
  const tell = (message: NodeMessage): void => {
    inbox.push(message);
    if (handling) return;
    handling = true;
    for (let next = inbox.shift(); next !== undefined; next = inbox.shift()) {
      const before = state.mode;
      const { state: following, effects } = nodeLife(state, next);
      state = following;
      if (before !== state.mode) {
        const why = 'why' in next ? { why: next.why } : {};
        ports.entered(state.mode);
        log.info({ from: before, to: state.mode, after: next.type, ...why }, 'node: another part to play');
      }
      for (const effect of effects) perform(effect);
      ports.changed();
    }
    handling = false;
  };

  const perform = (effect: NodeEffect): void => {
    switch (effect.type) {
      case 'open-session':
        void openSession();
        return;
      case 'stand':
        void stand(effect.to);
        return;
      case 'plant':
        held = suspected = false;
        planting = plant().finally(() => {
          planting = undefined;
        });
        return;
      case 'hold':
        held = true;
        void look();
        return;
      case 'release':
        held = suspected = false;
        reign?.resume();
        return;
      case 'drain':
        void drain();
        return;
      case 'fell':
        void fell(effect.why);
        return;
      case 'close-session':
        return;
      case 'end':
        void end(effect.why);
        return;
    }
  };

  const openSession = async () => {
    const mine = ++session_count;
    const before = session;
    session = undefined;
    stood = false;
    try {
      await before?.close();
      const opened = await ports.openSession(end => {
        if (mine === session_count) tell(end);
      });
      if (mine !== session_count || state.mode !== 'connecting') return void (await opened.close());
      session = opened;
      tell({ type: 'opened' });
    } catch (error) {
      if (mine !== session_count || state.mode !== 'connecting') return;
      if (isHopeless(error)) return tell({ type: 'broken', why: wordsOf(error) });
      log.warn({ error: wordsOf(error) }, 'no session with ZooKeeper yet: trying again');
      await after(again_ms);
      if (mine === session_count) tell({ type: 'expired' });
    }
  };

  const stand = async (to: string | undefined) => {
    const here = session;
    if (here === undefined) return;
    if (!stood) {
      stood = true;
      return here.stand((standing, before) => here === session && heard(standing, before));
    }
    if (here.standing() !== 'leading') return;
    try {
      await here.yield(to);
    } catch (error) {
      log.warn({ error: wordsOf(error) }, 'nobody else can lead: this node will try again');
      await after(again_ms);
      if (here === session && here.standing() === 'leading') tell({ type: 'elected' });
    }
  };

  const heard = (standing: Standing, before: Standing) => {
    ports.changed();
    if (standing === before) return;
    // Who has lost the reign meanwhile, and not the place in line, may begin another.
    if (standing === 'leading' && before === 'doubt' && reigns()) void look();
    else if (standing === 'leading') tell({ type: 'elected' });
    else if (standing === 'doubt') tell({ type: 'doubted' });
    else if (before === 'leading' || before === 'doubt') tell({ type: 'lost', why: 'our place in line is gone' });
  };

  const plant = async () => {
    const here = session;
    if (here === undefined) return tell({ type: 'lost', why: 'there is no session' });
    const began = clock.monotonic();
    try {
      const opened = await here.open();
      const guard: Guard = {
        gate: () => mayLeave(here),
        confirm: () => confirm(here),
        fatal: (reason, error) => here === session && tell(fateOf(reason, error)),
      };
      const made = await ports.plant(opened, guard);
      reign = made;
      log.info(
        { epoch: opened.epoch, position: opened.position, took_ms: Math.round(clock.monotonic() - began) },
        'this node leads',
      );
      tell({ type: 'planted', epoch: opened.epoch });
    } catch (error) {
      tell(fateOf(`the reign could not begin: ${wordsOf(error)}`, error));
    }
  };

  const mayLeave = (here: Session): boolean => {
    if (held || here !== session) return false;
    if (here.sure()) return true;
    if (!suspected) {
      suspected = true;
      // Whoever asks is in the middle of something: the node hears of it on another turn.
      clock.wakeAt(clock.now(), () => tell({ type: 'doubted' }));
    }
    return false;
  };

  const reigns = () => state.mode === 'leading' || state.mode === 'leaving' || state.mode === 'taking-over';

  /** From doubt to certainty, however long it takes ZooKeeper to say. */
  const look = async () => {
    if (looking) return;
    looking = true;
    const here = session;
    try {
      while (here !== undefined && here === session && reigns()) {
        const ours = await here.confirm().catch(() => undefined);
        if (here !== session || !reigns()) return;
        if (ours === false) return tell({ type: 'lost', why: 'another node has opened the journal since' });
        if (ours === true && here.sure()) {
          suspected = false;
          return tell({ type: 'confirmed' });
        }
        await after(ask_ms);
      }
    } finally {
      looking = false;
    }
  };

  const confirm = async (here: Session | undefined): Promise<boolean> => {
    while (here !== undefined && here === session && reigns()) {
      const ours = await here.confirm().catch(() => undefined);
      if (ours === false) tell({ type: 'lost', why: 'another node has opened the journal since' });
      if (ours !== undefined) return ours && here === session && reigns();
      await after(ask_ms);
    }
    return false;
  };

  const drain = async () => {
    const late = clock.wakeAt(clock.now() + ports.leave_ms_max, () =>
      tell({ type: 'lost', why: `what was decided has not left within ${ports.leave_ms_max} ms` }),
    );
    try {
      const leaving = reign;
      await leaving?.drain();
      if (reign !== leaving) return;
      reign = undefined;
      tell({ type: 'drained' });
    } catch (error) {
      tell({ type: 'lost', why: wordsOf(error) });
    } finally {
      late.cancel();
    }
  };

  const fell = async (why: string) => {
    held = true;
    await planting;
    const falling = reign;
    reign = undefined;
    try {
      await falling?.fell(why);
    } catch (error) {
      log.error({ error: wordsOf(error) }, 'a reign did not end in good order');
    }
    tell({ type: 'felled' });
  };

  const end = async (why: string | undefined) => {
    const last = session;
    session = undefined;
    session_count++;
    await last?.close().catch(error => log.warn({ error: wordsOf(error) }, 'the session did not end in good order'));
    ports.ended(why);
    over.resolve();
  };

  return {
    begin: () => tell({ type: 'begin' }),
    stop() {
      tell({ type: 'stop' });
      return over.promise;
    },
    state: () => state,
    session: () => session,
    transfer(to) {
      if (state.mode !== 'leading') throw new Error(`this node is ${state.mode}: expected it to lead`);
      log.info({ to: to ?? 'whoever is next' }, 'leadership is being handed over');
      tell({ type: 'transfer', to });
    },
    confirm: () => confirm(session),
  };
}

/** What a fatal word of the scheduler or the journal means in a cluster: another node may do better, or none would. */
function fateOf(reason: string, error: unknown): NodeMessage {
  if (error instanceof ZooKeeperError) return isHopeless(error) ? broken(reason) : { type: 'lost', why: reason };
  if (!(error instanceof JournalError)) return broken(reason);
  return ['fenced', 'unknown', 'io', 'locked'].includes(error.code) ? { type: 'lost', why: reason } : broken(reason);
}
const broken = (why: string): NodeMessage => ({ type: 'broken', why });

/** No other attempt would end otherwise: somebody has to look at it. */
function isHopeless(error: unknown): boolean {
  if (error instanceof JournalError) return ['newer', 'foreign', 'corrupt', 'full'].includes(error.code);
  if (error instanceof ZooKeeperError) return ['auth-failed', 'no-auth', 'bad-arguments'].includes(error.code);
  return false;
}

const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
