// http-link-masters.test.ts: a link whose masters come and go, and whose credentials do not last.

import test from 'ava';
import { type Credentials, httpLink } from '../../mesos/http-link.ts';
import type { Subscribe } from '../../mesos/protocol.ts';
import { simulatedClock, systemClock } from '../../schedules/clock.ts';
import { until } from '../support/until.ts';
import { listener } from './support/listener.ts';
import { answer, eventChunk, scriptedMaster, stream_head, subscribed } from './support/scripted-master.ts';

const clock = systemClock();
const request: Subscribe = { type: 'SUBSCRIBE', subscribe: { framework_info: { user: 'root', name: 'horae' } } };
const opening = stream_head + eventChunk(subscribed);
type T = Parameters<typeof scriptedMaster>[0];

const willing = (t: T) => scriptedMaster(t, { subscribe: ({ socket }) => void socket.write(opening) });

/** A link to whoever is said to lead. */
function following(t: T, given: Partial<Parameters<typeof httpLink>[0]> = {}) {
  let urls: readonly string[] = [];
  const link = httpLink({ clock, ...given, urls: () => urls });
  t.teardown(() => link.close());
  let found = 0;
  const next = () => {
    const heard = { ...listener(), found: () => void found++ };
    link.subscribe(request, heard);
    return heard;
  };
  return {
    link,
    next,
    found: () => found,
    lead(...leading: string[]) {
      urls = leading;
      link.mastersChanged();
    },
  };
}

test('while no master is known a subscription waits, and goes to the first that is found', async t => {
  const master = await willing(t);
  const patient = simulatedClock(0);
  const { next, lead, found } = following(t, { clock: patient });
  const heard = next();
  lead();
  patient.advanceTo(3_600_000);
  t.deepEqual(heard.ends, []);
  lead(master.url);
  await heard.count(1);
  t.is(found(), 0);
});

test('when another master leads, the subscription with the old one ends, and whoever would wait is told not to', async t => {
  const [old, young] = [await willing(t), await willing(t)];
  const { next, lead, found } = following(t);
  const first = next();
  lead(old.url);
  await first.count(1);
  lead(young.url);
  t.like(await first.end(), { why: 'closed', message: `${old.url}: ${young.url} leads now` });
  t.is(found(), 1);
  const second = next();
  await second.count(1);
  t.is(young.subscribes.length, 1);
});

test('a master that is told again, or that nobody is known to lead instead of, keeps its subscription', async t => {
  const master = await willing(t);
  const { next, lead, found } = following(t);
  const heard = next();
  lead(master.url);
  await heard.count(1);
  lead(master.url);
  lead();
  lead('http://127.0.0.1:1', master.url);
  t.deepEqual(heard.ends, []);
  t.is(found(), 0);
});

test('a subscription under way with a dead leader goes to the next as soon as it is known', async t => {
  const silent = await scriptedMaster(t, { subscribe: () => undefined });
  const master = await willing(t);
  const { next, lead, found } = following(t);
  const heard = next();
  lead(silent.url);
  await until('the silent one is asked', () => silent.subscribes.length === 1);
  lead(master.url);
  t.is((await heard.end()).why, 'closed');
  t.is(found(), 1);
});

test('a token is asked for anew with every call, since it does not last', async t => {
  const master = await willing(t);
  let credentials: Credentials = { type: 'bearer', token: 'first' };
  const { link, next, lead } = following(t, { credentials: () => credentials });
  const heard = next();
  lead(master.url);
  await heard.count(1);
  await link.call({ type: 'REVIVE' });
  credentials = { type: 'bearer', token: 'second' };
  await link.call({ type: 'REVIVE' });
  t.is(master.subscribes[0]!.headers.get('authorization'), 'Bearer first');
  t.deepEqual(
    master.calls.map(({ headers }) => [headers.get('authorization'), headers.get('mesos-stream-id')]),
    [
      ['Bearer first', 'stream-1'],
      ['Bearer second', 'stream-1'],
    ],
  );
});

test('followers that point at a leader who has died are tried in turn, until the leader changes', async t => {
  let leader = 'http://127.0.0.1:1';
  const young = await willing(t);
  const followers = await Promise.all(
    [0, 1].map(() =>
      scriptedMaster(t, {
        subscribe: ({ socket }) => {
          const location = `Location: ${leader.slice('http:'.length)}/master/api/v1/scheduler`;
          socket.end(answer('307 Temporary Redirect', '', [location]));
        },
      }),
    ),
  );
  const link = httpLink({ clock, urls: followers.map(({ url }) => url) });
  t.teardown(() => link.close());
  for (let n = 0; n < 4; n++) {
    const heard = listener();
    link.subscribe(request, heard);
    t.like(await heard.end(), { why: 'unreachable', message: 'http://127.0.0.1:1: ECONNREFUSED' });
  }
  t.deepEqual(
    followers.map(({ subscribes }) => subscribes.length),
    [2, 2],
  );
  leader = young.url;
  const heard = listener();
  link.subscribe(request, heard);
  await heard.count(1);
  t.deepEqual(await link.call({ type: 'REVIVE' }), { type: 'accepted' });
  t.is(young.calls.length, 1);
});

test('a master that says it has no subscription of ours, or leads no more, is left without waiting for heartbeats', async t => {
  // The first is as it was recorded from a real master.
  for (const [status, words, over] of [
    ['403 Forbidden', 'Framework is not subscribed', true],
    ['307 Temporary Redirect', '', true],
    ['403 Forbidden', 'Not authorized to do this', false],
    ['400 Bad Request', "The stream ID didn't match the stream ID currently associated with framework F", false],
  ] as const) {
    const master = await scriptedMaster(t, {
      subscribe: ({ socket }) => void socket.write(opening),
      call: ({ socket }) => void socket.write(answer(status, words)),
    });
    const { link, next, lead } = following(t);
    const heard = next();
    lead(master.url);
    await heard.count(1);
    t.like(await link.call({ type: 'REVIVE' }), { type: 'refused', status: Number(status.slice(0, 3)) });
    t.is(heard.ends.length, over ? 1 : 0, `${status} ${words}`);
    if (over) t.is(heard.ends[0]!.why, 'closed');
  }
});
