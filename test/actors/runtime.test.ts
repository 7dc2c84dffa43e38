// runtime.test.ts: one set of promises, kept by both runtimes: nact in production, the seeded queue in simulation.

import test from 'ava';
import type { Address, Behaviour, Runtime } from '../../actors/actor.ts';
import { actorName, nactRuntime } from '../../actors/runtime/nact.ts';
import { seededRuntime } from '../../actors/runtime/seeded.ts';

type Stage = {
  readonly runtime: Runtime;
  /** Until nothing has happened for a while: nact needs one turn of the event loop per message. */
  settle(): Promise<void>;
};

/** Turns of the event loop without a handled message after which nact is taken to be at rest. */
const quiet_turns = 20;

const stages: Record<string, () => Stage> = {
  nact() {
    let handled = 0;
    const inner = nactRuntime();
    const runtime: Runtime = {
      ...inner,
      spawn: (parent, name, behaviour) =>
        inner.spawn(parent, name, {
          ...behaviour,
          receive(state, message) {
            handled += 1;
            return behaviour.receive(state, message);
          },
        }),
    };
    return {
      runtime,
      async settle() {
        for (let quiet = 0, before = handled; quiet < quiet_turns; before = handled) {
          await new Promise<void>(resolve => setImmediate(resolve));
          quiet = handled === before ? quiet + 1 : 0;
        }
      },
    };
  },
};
for (const seed of [1, 2, 3])
  stages[`seed ${seed}`] = () => {
    const runtime = seededRuntime(seed);
    return { runtime, settle: async () => void runtime.settle() };
  };

/** Gathers what it is told; crashes on 'crash', as its owner decides. */
const listener = (
  heard: string[],
  crashed: Behaviour<number, string>['crashed'] = () => 'reset',
): Behaviour<number, string> => ({
  initial: () => 0,
  receive(count, message) {
    if (message === 'crash') throw new Error('as told');
    heard.push(`${message} ${count}`);
    return count + 1;
  },
  crashed,
});

/** One promise, for every runtime. */
function promise(title: string, keep: (t: import('ava').ExecutionContext, stage: Stage) => Promise<void> | void): void {
  for (const [name, open] of Object.entries(stages))
    test(`${title} (${name})`, async t => {
      const stage = open();
      try {
        await keep(t, stage);
      } finally {
        stage.runtime.close();
      }
    });
}

promise(
  'messages are handled one at a time, later than they are sent, and each sees the state of the one before',
  async (t, { runtime, settle }) => {
    const heard: string[] = [];
    let inside = 0;
    const address: Address<string> = runtime.spawn<number, string>(undefined, 'one', {
      ...listener(heard),
      receive(count, message) {
        t.is(++inside, 1);
        if (count < 3) runtime.send(address, `again ${message}`);
        heard.push(`${message} ${count}`);
        inside -= 1;
        return count + 1;
      },
    });
    t.true(runtime.send(address, 'a'));
    t.true(runtime.send(address, 'b'));
    t.deepEqual(heard, []);
    await settle();
    t.is(heard.length, 5);
    t.deepEqual(
      heard.map(one => one.split(' ').at(-1)),
      ['0', '1', '2', '3', '4'],
    );
  },
);

promise('what one sender writes to one actor arrives in the order of writing', async (t, { runtime, settle }) => {
  const heard: string[] = [];
  const to = runtime.spawn(undefined, 'to', listener(heard));
  const writers = ['x', 'y', 'z'].map(name =>
    runtime.spawn<undefined, number>(undefined, name, {
      initial: () => undefined,
      receive(state, n) {
        runtime.send(to, `${name}${n}a`);
        runtime.send(to, `${name}${n}b`);
        return state;
      },
      crashed: () => 'reset',
    }),
  );
  for (let n = 0; n < 20; n++) for (const writer of writers) runtime.send(writer, n);
  await settle();
  for (const name of ['x', 'y', 'z'])
    t.deepEqual(
      heard.map(one => one.split(' ')[0]!).filter(one => one.startsWith(name)),
      Array.from({ length: 20 }, (_, n) => [`${name}${n}a`, `${name}${n}b`]).flat(),
    );
});

promise(
  'a crash starts the state anew, and the mailbox goes on behind the message that crashed',
  async (t, { runtime, settle }) => {
    const heard: string[] = [];
    const crashes: unknown[] = [];
    const address = runtime.spawn(
      undefined,
      'one',
      listener(heard, (error, message) => {
        crashes.push([(error as Error).message, message]);
        return 'reset';
      }),
    );
    for (const message of ['a', 'b', 'crash', 'c', 'd']) runtime.send(address, message);
    await settle();
    t.deepEqual(heard, ['a 0', 'b 1', 'c 0', 'd 1']);
    t.deepEqual(crashes, [['as told', 'crash']]);
    t.is(runtime.count(), 1);
  },
);

promise('a reset takes the children away, and their names can be had again', async (t, { runtime, settle }) => {
  const heard: string[] = [];
  const parent = runtime.spawn(undefined, 'parent', listener(heard));
  const child = runtime.spawn(parent as Address<never>, 'child', listener(heard));
  runtime.send(parent, 'crash');
  await settle();
  t.false(runtime.send(child, 'to the dead'));
  t.is(runtime.count(), 1);
  const next = runtime.spawn(parent as Address<never>, 'child', listener(heard));
  t.true(runtime.send(next, 'to the living'));
  await settle();
  t.deepEqual(heard, ['to the living 0']);
  t.is(runtime.count(), 2);
});

promise(
  'a crash that is answered with stop ends the actor and everything below, and nobody else',
  async (t, { runtime, settle }) => {
    const heard: string[] = [];
    const one = runtime.spawn(
      undefined,
      'one',
      listener(heard, () => 'stop'),
    );
    const below = runtime.spawn(one as Address<never>, 'below', listener(heard));
    const other = runtime.spawn(undefined, 'other', listener(heard));
    for (const message of ['crash', 'never']) runtime.send(one, message);
    await settle();
    t.false(runtime.send(one, 'a'));
    t.false(runtime.send(below, 'b'));
    t.true(runtime.send(other, 'c'));
    await settle();
    t.deepEqual(heard, ['c 0']);
    t.is(runtime.count(), 1);
  },
);

promise(
  'a crash at birth is a crash like any other: told without a message, and reset tries again',
  async (t, { runtime, settle }) => {
    const heard: string[] = [];
    const crashes: unknown[] = [];
    let births = 0;
    const address = runtime.spawn<number, string>(undefined, 'one', {
      ...listener(heard, (error, message) => {
        crashes.push([(error as Error).message, message]);
        return 'reset';
      }),
      initial() {
        if (++births < 3) throw new Error(`birth ${births}`);
        return 100;
      },
    });
    for (const message of ['a', 'b', 'c']) runtime.send(address, message);
    await settle();
    t.deepEqual(crashes, [
      ['birth 1', undefined],
      ['birth 2', undefined],
    ]);
    t.deepEqual(heard, ['a 100', 'b 101', 'c 102']);
  },
);

promise('a crash at birth that is answered with stop leaves nobody behind', async (t, { runtime, settle }) => {
  const heard: string[] = [];
  const address = runtime.spawn<number, string>(undefined, 'one', {
    ...listener(heard, () => 'stop'),
    initial() {
      throw new Error('not to be');
    },
  });
  await settle();
  t.false(runtime.send(address, 'a'));
  t.is(runtime.count(), 0);
  runtime.spawn(undefined, 'one', listener(heard));
  t.is(runtime.count(), 1);
});

promise(
  'mail that waits when an actor is stopped is dropped, and so is that of its children',
  async (t, { runtime, settle }) => {
    const heard: string[] = [];
    const parent = runtime.spawn(undefined, 'parent', listener(heard));
    const child = runtime.spawn(parent as Address<never>, 'child', listener(heard));
    const grandchild = runtime.spawn(child as Address<never>, 'grandchild', listener(heard));
    for (const to of [parent, child, grandchild]) for (const message of ['a', 'b']) runtime.send(to, message);
    runtime.stop(parent as Address<never>);
    t.is(runtime.count(), 0);
    t.false(runtime.send(grandchild, 'c'));
    t.throws(() => runtime.spawn(child as Address<never>, 'late', listener(heard)), {
      message: /its parent .* is gone/,
    });
    runtime.stop(parent as Address<never>);
    await settle();
    t.deepEqual(heard, []);
  },
);

promise('an actor can stop itself, and its name can be had again at once', async (t, { runtime, settle }) => {
  const heard: string[] = [];
  const address: Address<string> = runtime.spawn<number, string>(undefined, 'one', {
    ...listener(heard),
    receive(count, message) {
      heard.push(message);
      runtime.stop(address as Address<never>);
      const next = runtime.spawn(undefined, 'one', listener(heard));
      runtime.send(next, 'successor');
      return count;
    },
  });
  runtime.send(address, 'a');
  runtime.send(address, 'b');
  await settle();
  t.deepEqual(heard, ['a', 'successor 0']);
  t.is(runtime.count(), 1);
});

promise('two living siblings cannot have one name', (t, { runtime }) => {
  runtime.spawn(undefined, 'one', listener([]));
  t.throws(() => runtime.spawn(undefined, 'one', listener([])), { message: /one already exists/ });
  t.is(runtime.count(), 1);
});

promise('what is deferred runs later, in order of deferral', async (t, { runtime, settle }) => {
  const done: string[] = [];
  runtime.defer(() => {
    done.push('a');
    runtime.defer(() => done.push('d'));
  });
  runtime.defer(() => done.push('b'));
  runtime.defer(() => done.push('c'));
  t.deepEqual(done, []);
  await settle();
  t.deepEqual(done, ['a', 'b', 'c', 'd']);
});

promise('names may be written in any letters', async (t, { runtime, settle }) => {
  const heard: string[] = [];
  const names = ['www/prod/hello', 'a b', 'ä', 'ÄÖ%2F', '作業', 'a$b', 'a$24b', '🚀', 'x'.repeat(300), '..', '*'];
  for (const name of names) {
    const address = runtime.spawn(undefined, name, listener(heard));
    t.true(runtime.send(address, name));
  }
  t.is(runtime.count(), names.length);
  await settle();
  t.deepEqual(heard.toSorted(), names.map(name => `${name} 0`).toSorted());
});

promise('a tree may be deep, and falls as one', async (t, { runtime, settle }) => {
  const heard: string[] = [];
  const depth = 100;
  const all: Address<string>[] = [];
  for (let level = 0; level < depth; level++)
    all.push(runtime.spawn(all.at(-1) as Address<never> | undefined, `level-${level}`, listener(heard)));
  runtime.send(all.at(-1)!, 'deep');
  await settle();
  t.deepEqual(heard, ['deep 0']);
  t.is(runtime.count(), depth);
  runtime.stop(all[10] as Address<never>);
  t.is(runtime.count(), 10);
  t.false(runtime.send(all.at(-1)!, 'gone'));
  t.true(runtime.send(all[9]!, 'here'));
});

promise('after close nothing is handled any more', async (t, { runtime, settle }) => {
  const heard: string[] = [];
  const one = runtime.spawn(undefined, 'one', listener(heard));
  const child = runtime.spawn(one as Address<never>, 'child', listener(heard));
  for (const to of [one, child]) for (const message of ['a', 'b', 'c']) runtime.send(to, message);
  runtime.defer(() => heard.push('deferred'));
  runtime.close();
  t.is(runtime.count(), 0);
  t.false(runtime.send(one, 'd'));
  await settle();
  t.deepEqual(heard, []);
});

promise('an actor that closes the runtime while it crashes ends everything', async (t, { runtime, settle }) => {
  const heard: string[] = [];
  const other = runtime.spawn(undefined, 'other', listener(heard));
  const one = runtime.spawn(
    undefined,
    'one',
    listener(heard, () => {
      runtime.close();
      return 'stop';
    }),
  );
  runtime.send(one, 'crash');
  await settle();
  t.false(runtime.send(other, 'a'));
  t.false(runtime.send(one, 'b'));
  t.is(runtime.count(), 0);
});

test('two names are never written alike', t => {
  const names = ['a/b', 'a$2fb', 'a b', 'a$20b', 'ä', '$c3$a4', 'a$b', 'a$24b'];
  t.is(new Set(names.map(actorName)).size, names.length);
  for (const name of names) t.regex(actorName(name), /^[A-Za-z0-9\-$_.+!*'(),]+$/);
});

test('the same seed tells the same story, and another one another', async t => {
  const story = (seed: number) => {
    const runtime = seededRuntime(seed);
    const heard: string[] = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      const address = runtime.spawn<number, string>(undefined, name, {
        ...listener(heard),
        receive: (count, message) => count + heard.push(name + message),
      });
      for (let n = 0; n < 5; n++) runtime.send(address, String(n));
    }
    runtime.settle();
    return heard.join(' ');
  };
  t.is(story(5), story(5));
  t.not(story(5), story(6));
});

test('actors that never come to rest are found out', t => {
  const runtime = seededRuntime(1);
  const address: Address<string> = runtime.spawn<number, string>(undefined, 'one', {
    ...listener([]),
    receive(count, message) {
      runtime.send(address, message);
      return count;
    },
  });
  runtime.send(address, 'round');
  t.throws(() => runtime.settle(1_000), { message: /still busy after 1000 steps/ });
});
