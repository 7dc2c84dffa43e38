// leader.test.ts: whichever node is asked answers: what it says of the leader, and what a request may wish about it.

import test from 'ava';
import type { Cluster } from '../../transport/http/leader.ts';
import { Refused } from '../../transport/http/problems.ts';
import { hello, hello_path, serve } from './support/serve.ts';

/** A node as the test wants it. */
function standby(more: Partial<Cluster> = {}): Cluster {
  return {
    node_id: 'b',
    mode: () => 'standing',
    leads: () => false,
    leader: () => ({ id: 'a', url: 'http://a.example:8080', version: '1.2.3' }),
    epoch: () => 7,
    catchUp: async () => undefined,
    transfer: async to => ({ from: 'a', ...(to === undefined ? {} : { to }) }),
    ...more,
  };
}

test('a node without a cluster leads, and every wish about the leader is granted', async t => {
  const { ask, url } = await serve(t);
  t.is((await ask('GET', '/leaderhealth')).status, 200);
  const { json } = await ask('GET', '/api/v1/leader?consistent=true');
  t.like(json, { leader: { id: 'local', url }, node: { id: 'local', mode: 'leading' } });
  t.is((await ask('POST', '/api/v1/jobs?redirect=true', { json: hello, headers: { prefer: 'redirect' } })).status, 201);
  const refused = await ask('POST', '/api/v1/leader/transfer');
  t.is(refused.status, 422);
  t.regex(String(refused.json.detail), /runs alone/);
});

test('a standby says who leads, and is not healthy as a leader', async t => {
  const { ask } = await serve(t, { cluster: standby() });
  const health = await ask('GET', '/leaderhealth');
  t.is(health.status, 503);
  t.is(health.text, 'standing\n');
  const { json } = await ask('GET', '/api/v1/leader');
  t.like(json, { epoch: 7, leader: { id: 'a', url: 'http://a.example:8080' }, node: { id: 'b', mode: 'standing' } });
  const none = await serve(t, { cluster: standby({ leader: () => undefined, mode: () => 'following' }) });
  t.is((await none.ask('GET', '/api/v1/leader')).json.leader, null);
});

test('every answer says how far the node that gave it has come, and a write is in its own answer', async t => {
  const { ask } = await serve(t, { cluster: standby() });
  const before = Number((await ask('GET', '/api/v1/jobs')).headers['horae-position']);
  const written = await ask('POST', '/api/v1/jobs', { json: hello });
  t.is(written.status, 201);
  t.true(Number(written.headers['horae-position']) > before);
  t.is((await ask('GET', hello_path)).headers['horae-position'], written.headers['horae-position']);
  t.is((await ask('GET', '/api/v1/jobs/no/such/job')).headers['horae-position'], written.headers['horae-position']);
});

test('a consistent read waits until the node has caught up, and is refused when it does not in time', async t => {
  const caught: string[] = [];
  const { ask } = await serve(t, { cluster: standby({ catchUp: async () => void caught.push('up') }) });
  t.is((await ask('GET', '/api/v1/jobs')).status, 200);
  t.is((await ask('GET', '/api/v1/jobs?consistent=false')).status, 200);
  t.deepEqual(caught, []);
  t.is((await ask('GET', '/api/v1/jobs?consistent=true&limit=5')).status, 200);
  t.deepEqual(caught, ['up']);
  const behind = standby({
    catchUp: async () => {
      throw new Refused('behind', 'not within 5000 ms');
    },
  });
  const late = await (await serve(t, { cluster: behind })).ask('GET', '/api/v1/jobs?consistent=1');
  t.is(late.status, 503);
  t.is(late.json.type, 'urn:horae:problem:behind');
  const odd = await ask('GET', '/api/v1/jobs?consistent=perhaps');
  t.is(odd.status, 400);
  t.regex(String(odd.json.detail), /\?consistent is "perhaps": expected true or false/);
});

test('a client that prefers it is sent to the leader with its write, and reads are answered here all the same', async t => {
  const { ask, core } = await serve(t, { cluster: standby() });
  for (const [path, headers, location] of [
    ['/api/v1/jobs', { prefer: 'redirect' }, '/api/v1/jobs'],
    ['/api/v1/jobs', { prefer: 'return=minimal, Redirect' }, '/api/v1/jobs'],
    ['/api/v1/jobs?redirect=true', {}, '/api/v1/jobs'],
    [`${hello_path}/pause?redirect=true&x=1`, {}, `${hello_path}/pause?x=1`],
  ] as const) {
    const answer = await ask('POST', path, { json: hello, headers });
    t.is(answer.status, 307, path);
    t.is(answer.headers.location, `http://a.example:8080${location}`);
  }
  t.is(core.asked.length, 0);
  t.is((await ask('GET', '/api/v1/jobs', { headers: { prefer: 'redirect' } })).status, 200);
});

test('a client that prefers to go to the leader is told when there is none, and that nothing was done', async t => {
  const { ask, core } = await serve(t, { cluster: standby({ leader: () => undefined }) });
  const answer = await ask('POST', '/api/v1/jobs?redirect=true', { json: hello });
  t.is(answer.status, 503);
  t.is(answer.headers['retry-after'], '1');
  t.is(answer.json.type, 'urn:horae:problem:no-leader');
  t.is(core.asked.length, 0);
});

test('leadership is handed over by whoever administers, to whom they say', async t => {
  const asked: unknown[] = [];
  const cluster = standby({
    transfer: async (to, by) => {
      asked.push([to, by]);
      return { from: 'a', ...(to === undefined ? {} : { to }) };
    },
  });
  const { ask } = await serve(t, { cluster });
  const answer = await ask('POST', '/api/v1/leader/transfer?to=c');
  t.is(answer.status, 202);
  t.deepEqual(answer.json, { from: 'a', to: 'c' });
  t.deepEqual((await ask('POST', '/api/v1/leader/transfer')).json, { from: 'a' });
  t.deepEqual(asked, [
    ['c', 'local'],
    [undefined, 'local'],
  ]);
});

test('a write of which nobody knows whether it was done is not to be repeated blindly', async t => {
  const { ask } = await serve(t, {
    cluster: standby(),
    submit: async () => ({ type: 'refused', code: 'interrupted', message: 'look first', problems: [] }),
  });
  const answer = await ask('POST', '/api/v1/jobs', { json: hello });
  t.is(answer.status, 503);
  t.is(answer.headers['retry-after'], undefined);
  t.is(answer.json.type, 'urn:horae:problem:interrupted');
});
