// guarded-link.test.ts: nobody subscribes to Mesos without having asked whether they lead.

import test from 'ava';
import type { LinkEnd, LinkListener, MesosLink, Subscribe } from '../../mesos/protocol.ts';
import { guardedLink } from '../../programs/guarded-link.ts';

const request = { type: 'SUBSCRIBE', subscribe: { framework_info: { user: 'u', name: 'n' } } } as Subscribe;
const turn = () => new Promise<void>(resolve => setImmediate(resolve));

function fake() {
  const listeners: LinkListener[] = [];
  const link: MesosLink = {
    subscribe: (_request, listener) => void listeners.push(listener),
    call: async () => ({ type: 'accepted' }),
    close: async () => undefined,
  };
  return { link, listeners };
}
function heard() {
  const ends: LinkEnd[] = [];
  const types: string[] = [];
  return {
    ends,
    types,
    events: (events: readonly { readonly type: string }[]) => void types.push(...events.map(event => event.type)),
    ended: (end: LinkEnd) => void ends.push(end),
  };
}

test('a subscription goes out when the epoch is confirmed, and not before', async t => {
  const { link, listeners } = fake();
  const asked = Promise.withResolvers<boolean>();
  const guarded = guardedLink(link, () => asked.promise);
  guarded.subscribe(request, heard());
  await turn();
  t.is(listeners.length, 0);
  asked.resolve(true);
  await turn();
  t.is(listeners.length, 1);
});

test('a deposed node does not subscribe, and its subscriber is told that there is none', async t => {
  const { link, listeners } = fake();
  const guarded = guardedLink(link, async () => false);
  const who = heard();
  guarded.subscribe(request, who);
  await turn();
  t.is(listeners.length, 0);
  t.is(who.ends.length, 1);
});

test('a link that was closed while the epoch was being asked for does not subscribe any more', async t => {
  const { link, listeners } = fake();
  const asked = Promise.withResolvers<boolean>();
  const guarded = guardedLink(link, () => asked.promise);
  const who = heard();
  guarded.subscribe(request, who);
  await guarded.close();
  asked.resolve(true);
  await turn();
  t.is(listeners.length, 0);
  t.is(who.ends.length, 0);
});

test('a newer subscriber that takes our place ends the subscription once, and is no reason to give up', async t => {
  const { link, listeners } = fake();
  const guarded = guardedLink(link, async () => true);
  const who = heard();
  guarded.subscribe(request, who);
  await turn();
  listeners[0]!.events([
    { type: 'HEARTBEAT' },
    { type: 'ERROR', error: { message: 'Framework failed over' } },
    { type: 'HEARTBEAT' },
  ]);
  listeners[0]!.ended({ why: 'closed', message: 'the stream has ended' });
  t.deepEqual(who.types, ['HEARTBEAT']);
  t.is(who.ends.length, 1);
  guarded.subscribe(request, who);
  await turn();
  listeners[1]!.events([{ type: 'ERROR', error: { message: 'Framework has been removed' } }]);
  t.deepEqual(who.types, ['HEARTBEAT', 'ERROR']);
});
