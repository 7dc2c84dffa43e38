// keeper.test.ts: a node's life performed: sessions come and go, the gate closes by itself, and one tree follows another.

import test from 'ava';
import {
  createKeeper,
  type Guard,
  type Keeper,
  type Reign,
  type Session,
  type SessionEnd,
} from '../../programs/keeper.ts';
import { systemClock } from '../../schedules/clock.ts';
import { JournalError } from '../../transport/journal/journal.ts';
import { memoryJournal } from '../../transport/journal/memory.ts';
import type { Standing } from '../../transport/zookeeper/election.ts';
import { ZooKeeperError } from '../../transport/zookeeper/zookeeper.ts';
import { until } from '../support/until.ts';

/** A session that the test plays. */
function fakeSession(ended: (end: SessionEnd) => void) {
  let standing: Standing = 'joining';
  let changed: ((standing: Standing, before: Standing) => void) | undefined;
  const made = {
    ended,
    stands: 0,
    yields: [] as (string | undefined)[],
    closed: false,
    /** What `confirm` says; undefined: ZooKeeper is silent. */
    ours: true as boolean | undefined,
    is_sure: true,
    /** Nobody else is in line. */
    lonely: false,
    open: async () => ({ epoch: 1, journal: memoryJournal({ now: () => 0 }), records: [], position: 0 }),
    become(next: Standing) {
      const before = standing;
      standing = next;
      changed?.(next, before);
    },
  };
  const session: Session = {
    stand(listener) {
      made.stands += 1;
      changed = listener;
    },
    standing: () => standing,
    sure: () => made.is_sure && standing === 'leading',
    leader: () => undefined,
    candidates: async () => [],
    async yield(to) {
      made.yields.push(to);
      if (made.lonely) throw new Error('there is no other candidate');
      made.become('waiting');
    },
    async confirm() {
      if (made.ours === undefined) throw new ZooKeeperError('connection-loss', '/', 'silent');
      return made.ours;
    },
    open: () => made.open(),
    async close() {
      made.closed = true;
    },
  };
  return { ...made, made, session };
}
type Fake = ReturnType<typeof fakeSession>['made'];

function keeping(options: { readonly drain?: () => Promise<void>; readonly open?: () => Promise<never> } = {}) {
  const sessions: Fake[] = [];
  const said: string[] = [];
  const guards: Guard[] = [];
  let why: string | undefined | 'never' = 'never';
  const keeper: Keeper = createKeeper({
    async openSession(ended) {
      if (options.open !== undefined) await options.open();
      const { made, session } = fakeSession(ended);
      sessions.push(made);
      return session;
    },
    async plant(_opened, guard): Promise<Reign> {
      guards.push(guard);
      said.push('planted');
      return {
        resume: () => void said.push('resumed'),
        async drain() {
          said.push('draining');
          await options.drain?.();
        },
        fell: async () => void said.push('felled'),
      };
    },
    changed: () => undefined,
    entered: () => undefined,
    ended: reason => {
      why = reason;
    },
    leave_ms_max: 500,
    clock: systemClock(),
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  keeper.begin();
  const mode = (wanted: string) => until(`the node to be ${wanted}`, () => keeper.state().mode === wanted);
  const lead = async (): Promise<Fake> => {
    await mode('standing');
    const session = sessions.at(-1)!;
    session.become('waiting');
    session.become('leading');
    await mode('leading');
    return session;
  };
  return { keeper, sessions, said, guards, mode, lead, ended: () => why };
}

test('a node stands as soon as it has caught up, leads when it is first, and ends when it is told to', async t => {
  const { keeper, sessions, said, lead, ended } = keeping();
  const session = await lead();
  t.is(session.stands, 1);
  await keeper.stop();
  t.deepEqual(said, ['planted', 'draining']);
  t.true(session.closed);
  t.is(ended(), undefined);
  t.is(sessions.length, 1);
});

test('who loses the reign while ZooKeeper is silent, and is found to be first in line still, leads again', async t => {
  const { guards, said, mode, lead } = keeping();
  const session = await lead();
  session.ours = undefined;
  session.become('doubt');
  guards[0]!.fatal('no answer', new JournalError('unknown', 'no answer'));
  await mode('standing');
  t.deepEqual(said, ['planted', 'felled']);
  session.ours = true;
  session.become('leading');
  await mode('leading');
  t.is(guards.length, 2);
});

test('the gate closes by itself when the session may have run out, and opens when ZooKeeper says that it has not', async t => {
  const { keeper, guards, said, lead } = keeping();
  const session = await lead();
  const { gate } = guards[0]!;
  t.true(gate());
  // As after a pause: nobody has told us anything yet.
  session.is_sure = false;
  session.ours = undefined;
  t.false(gate());
  await until('the doubt', () => {
    const state = keeper.state();
    return state.mode === 'leading' && !state.sure;
  });
  session.is_sure = true;
  t.false(gate());
  session.ours = true;
  await until('the gate', () => gate());
  t.true(said.includes('resumed'));
});

test('a doubt from ZooKeeper closes the gate; another epoch fells the tree, and the node stands again', async t => {
  const { guards, said, lead, mode } = keeping();
  const session = await lead();
  session.ours = false;
  session.become('doubt');
  t.false(guards[0]!.gate());
  session.become('leading');
  await mode('standing');
  t.deepEqual(said, ['planted', 'felled']);
  await until('the place to be given up', () => session.yields.length === 1);
  session.ours = true;
  session.become('leading');
  await mode('leading');
  t.deepEqual(said, ['planted', 'felled', 'planted']);
  t.false(guards[0]!.gate() && guards[0] === guards[1]);
});

test('an expired session fells the tree, and another session is made', async t => {
  const { sessions, said, lead, mode, guards } = keeping();
  const session = await lead();
  session.ended({ type: 'expired' });
  await mode('standing');
  t.is(sessions.length, 2);
  t.true(session.closed);
  t.deepEqual(said, ['planted', 'felled']);
  t.false(guards[0]!.gate());
});

test('a journal that fences us is lost; one that is corrupt, and a tree that gives up, end the node with the reason', async t => {
  const fenced = keeping();
  await fenced.lead();
  fenced.guards[0]!.fatal('the journal failed', new JournalError('fenced', 'epoch 9'));
  await fenced.mode('standing');
  t.deepEqual(fenced.said, ['planted', 'felled']);
  const corrupt = keeping();
  await corrupt.lead();
  corrupt.guards[0]!.fatal('the journal failed', new JournalError('corrupt', 'chunk 3'));
  await corrupt.mode('ended');
  await until('the end', () => corrupt.ended() === 'the journal failed');
  const crashing = keeping();
  await crashing.lead();
  crashing.guards[0]!.fatal('offers crashed 6 times');
  await until('the end', () => crashing.ended() === 'offers crashed 6 times');
  t.true(crashing.sessions[0]!.closed);
});

test('a transfer drains, then lets the wanted one go first', async t => {
  const { keeper, said, lead, mode } = keeping();
  const session = await lead();
  keeper.transfer('c');
  await mode('standing');
  t.deepEqual(said, ['planted', 'draining']);
  await until('the place to be given up', () => session.yields.length === 1);
  t.deepEqual(session.yields, ['c']);
  t.throws(() => keeper.transfer('c'), { message: /this node is standing: expected it to lead/ });
});

test('a leader that cannot finish in time lets go all the same', async t => {
  const { keeper, said, lead, ended } = keeping({ drain: () => new Promise(() => undefined) });
  const session = await lead();
  await keeper.stop();
  t.deepEqual(said, ['planted', 'draining', 'felled']);
  t.true(session.closed);
  t.is(ended(), undefined);
});

test('a leader with nobody to follow it takes over again', async t => {
  const { keeper, said, lead, mode } = keeping();
  const session = await lead();
  session.lonely = true;
  keeper.transfer(undefined);
  await mode('standing');
  await mode('leading');
  t.deepEqual(said, ['planted', 'draining', 'planted']);
});

test('a tree of another version or cluster is refused before the node stands', async t => {
  const { ended, sessions } = keeping({
    open: async () => {
      throw new JournalError('foreign', '/horae belongs to cluster x: expected y');
    },
  });
  await until('the end', () => ended() === '/horae belongs to cluster x: expected y');
  t.is(sessions.length, 0);
});

test('a takeover that fails halfway is given up and tried again', async t => {
  const { sessions, said, mode } = keeping();
  await mode('standing');
  const session = sessions[0]!;
  const { open } = session;
  session.open = async () => {
    session.open = open;
    throw new JournalError('unknown', 'no answer');
  };
  session.lonely = true;
  session.become('waiting');
  session.become('leading');
  await mode('leading');
  t.deepEqual(said, ['planted']);
});
