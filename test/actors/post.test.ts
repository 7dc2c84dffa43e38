// post.test.ts: mail finds its actor, and what goes to the busy ones is bundled without losing its order.

import test from 'ava';
import type { Address } from '../../actors/actor.ts';
import { createPost } from '../../actors/post.ts';
import { seededRuntime } from '../../actors/runtime/seeded.ts';

function office() {
  const runtime = seededRuntime(1);
  const post = createPost(runtime);
  const listening = (name: string) => {
    const heard: unknown[] = [];
    const address = runtime.spawn<undefined, unknown>(undefined, name, {
      initial: () => undefined,
      receive(state, message) {
        heard.push(message);
        return state;
      },
      crashed: () => 'reset',
    });
    return { heard, address: address as Address<never> };
  };
  return { runtime, post, listening };
}
const rescinded = (...ids: string[]) => ({ to: 'placement', message: { type: 'rescinded', rescinded: ids } }) as const;
const withdrawn = (...keys: string[]) =>
  ({ to: 'placement', message: { type: 'withdrawn', withdrawn: keys } }) as const;

test('letters of one type that are written in one turn travel as one; the order is kept', t => {
  const { runtime, post, listening } = office();
  const { heard, address } = listening('placement');
  post.singletons.set('placement', address);
  for (const mail of [rescinded('a'), rescinded('b', 'c'), withdrawn('k'), rescinded('d')]) t.true(post.send(mail));
  runtime.settle();
  t.deepEqual(heard, [
    { type: 'rescinded', rescinded: ['a', 'b', 'c'] },
    { type: 'withdrawn', withdrawn: ['k'] },
    { type: 'rescinded', rescinded: ['d'] },
  ]);
  post.send(rescinded('e'));
  runtime.settle();
  t.deepEqual(heard.at(-1), { type: 'rescinded', rescinded: ['e'] });
});

test('the letter that was written is not changed by what is bundled with it', t => {
  const { runtime, post, listening } = office();
  post.singletons.set('placement', listening('placement').address);
  const first = rescinded('a');
  post.send(first);
  post.send(rescinded('b'));
  runtime.settle();
  t.deepEqual(first, rescinded('a'));
});

test('a letter without a list travels alone', t => {
  const { runtime, post, listening } = office();
  const { heard, address } = listening('offers');
  post.singletons.set('offers', address);
  for (let n = 0; n < 2; n++) post.send({ to: 'offers', message: { type: 'due' } });
  runtime.settle();
  t.deepEqual(heard, [{ type: 'due' }, { type: 'due' }]);
});

test('jobs, triggers and instances are written to one by one; nobody there is said so', t => {
  const { runtime, post, listening } = office();
  const { heard, address } = listening('instance');
  const mail = { to: 'instance', key: 'k', message: { type: 'due' } } as const;
  t.false(post.send(mail));
  post.instances.set('k', address);
  t.true(post.send(mail));
  t.true(post.send(mail));
  runtime.settle();
  t.is(heard.length, 2);
  runtime.stop(address);
  t.false(post.send(mail));
  t.false(post.send(rescinded('a')));
});
