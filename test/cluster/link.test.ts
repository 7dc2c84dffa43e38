// link.test.ts: two nodes on real sockets: who is let in, who is not, and what becomes of questions.

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { WebSocket } from 'ws';
import { systemClock } from '../../schedules/clock.ts';
import { link_path } from '../../transport/cluster/door.ts';
import { greet } from '../../transport/cluster/greeting.ts';
import { challengeFor, type Known, knownBy, proofFor } from '../../transport/cluster/handshake.ts';
import { createLink, LinkError } from '../../transport/cluster/link.ts';
import { testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { introducing, key, limits, logInto, long_ms, openDoorAt, openLine, openRelay } from './pair.ts';

const echo = async (method: string, body: unknown) => ({ method, body });
/** Makes certificates; on every Debian with certificates of others. */
const openssl = ['/usr/bin/openssl', '/usr/local/bin/openssl'].find(existsSync);
/** A handler that answers when it is told to. */
function patient() {
  const waiting: (() => void)[] = [];
  let most = 0;
  return {
    handle: (method: string, body: unknown) =>
      new Promise<unknown>(resolve => {
        waiting.push(() => resolve({ method, body }));
        most = Math.max(most, waiting.length);
      }),
    waiting,
    most: () => most,
    answer() {
      for (const each of waiting.splice(0)) each();
    },
  };
}
const fails = async (asking: Promise<unknown>): Promise<LinkError> => {
  const error = await asking.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof LinkError) return error;
  throw new Error(`expected a LinkError, found ${String(error)}`);
};

test('a question is answered by the node at the other end, whatever it holds', async t => {
  const { url } = await openDoorAt(t, echo);
  const { line } = openLine(t);
  line.to({ id: 'callee', url });
  const body = {
    text: 'grüß dich',
    bytes: Buffer.from([0, 255]),
    list: [1, 2.5, null, true],
    long: 'x'.repeat(100_000),
  };
  t.deepEqual(await line.request('say', body, long_ms), { method: 'say', body });
});

test('a no of the other side is told in its words', async t => {
  const { url } = await openDoorAt(t, async () => {
    throw new Error('not on a Sunday');
  });
  const { line } = openLine(t);
  line.to({ id: 'callee', url });
  const error = await fails(line.request('say', {}, long_ms));
  t.is(error.code, 'refused');
  t.is(error.message, 'not on a Sunday');
});

test('a node with another key is let in nowhere, whichever side has it, and both say why', async t => {
  const other = Buffer.alloc(32, 'x');
  const { url, logged, door } = await openDoorAt(t, echo);
  const { line, logged: told } = openLine(t, { key: other });
  line.to({ id: 'callee', url });
  await until('the caller to be told', () => told.some(each => /cluster-key-file/.test(JSON.stringify(each.fields))));
  await until('a line in the log', () => logged.some(each => /was turned away/.test(each.message)));
  const error = await fails(line.request('say', {}, 1));
  t.is(error.code, 'unsent');
  t.is(door.links().size, 0);
});

test('a node of another cluster, of another protocol, or with our own name is told so', async t => {
  const { url } = await openDoorAt(t, echo, { id: 'a' });
  for (const [introduce, words] of [
    [introducing('b', 8, { cluster: 'other' }), /cluster other: expected one of cluster test/],
    [introducing('b', 8, { protocol: 99 }), /speaks protocol 99: expected 1/],
    [introducing('a'), /two nodes call themselves a/],
  ] as const) {
    const { line, logged } = openLine(t, { introduce });
    line.to({ id: 'a', url });
    await until('a line in the log', () => logged.some(each => words.test(JSON.stringify(each.fields))));
    line.close();
  }
  t.pass();
});

test('a conversation that was recorded cannot be played again', async t => {
  const heard: unknown[] = [];
  const { port, door, logged } = await openDoorAt(t, async (_method, body) => heard.push(body));
  const relay = await openRelay(t, port);
  const { line } = openLine(t);
  line.to({ id: 'callee', url: relay.url });
  await line.request('once', 'pay', long_ms);
  line.close();
  await until('the link to end', () => door.links().size === 0);
  const recorded = Buffer.concat(relay.sent[0]!);
  const thief = connect(port, '127.0.0.1');
  t.teardown(() => thief.destroy());
  thief.on('error', () => undefined);
  thief.resume();
  thief.write(recorded);
  await until('a line in the log', () => logged.some(each => /was turned away/.test(each.message)));
  t.deepEqual(heard, ['pay']);
});

test('a frame that was changed on the way ends the link, and is not heeded', async t => {
  const heard: unknown[] = [];
  // No beats: one that left right behind the second question would be what is spoiled.
  const quiet = { limits: { beat_ms: long_ms } };
  const { port, logged } = await openDoorAt(t, async (_method, body) => heard.push(body), quiet);
  const relay = await openRelay(t, port);
  const { line } = openLine(t, quiet);
  line.to({ id: 'callee', url: relay.url });
  await line.request('first', 1, long_ms);
  relay.spoil(true);
  const error = await fails(line.request('second', 2, long_ms));
  t.is(error.code, 'unknown');
  t.deepEqual(heard, [1]);
  await until('a line in the log', () =>
    logged.some(each => /not marked as the next one/.test(JSON.stringify(each.fields))),
  );
  relay.spoil(false);
  await line.request('third', 3, long_ms); // It has come back by itself.
  t.deepEqual(heard, [1, 3]);
});

test('strangers that say nothing, or anything else, are let go', async t => {
  const { url, logged, port } = await openDoorAt(t, echo, { limits: { handshake_ms_max: 200 } });
  const silent = new WebSocket(`ws://127.0.0.1:${port}${link_path}`);
  const closed = new Promise(resolve => silent.once('close', resolve));
  await closed;
  t.true(logged.some(each => /no handshake within 200 ms/.test(JSON.stringify(each.fields))));
  for (const noise of [Buffer.from([0xc1]), Buffer.alloc(5_000), 'text', Buffer.from([0x80])]) {
    const noisy = new WebSocket(`${url.replace('http', 'ws')}${link_path}`);
    const gone = new Promise(resolve => noisy.once('close', resolve));
    noisy.once('open', () => noisy.send(noise));
    await gone;
  }
  t.is(logged.filter(each => /no greeting of a node/.test(JSON.stringify(each.fields))).length, 4);
});

test('never more questions are under way than the other side allows, and all are answered', async t => {
  const slow = patient();
  const { url } = await openDoorAt(t, slow.handle);
  const { line } = openLine(t);
  line.to({ id: 'callee', url });
  const asked = Array.from({ length: 50 }, (_, n) => line.request('count', n, long_ms));
  for (let answered = 0; answered < 50; ) {
    await until('questions to arrive', () => slow.waiting.length > 0);
    answered += slow.waiting.length;
    slow.answer();
  }
  t.deepEqual(
    (await Promise.all(asked)).map(answer => (answer as { body: number }).body),
    Array.from({ length: 50 }, (_, n) => n),
  );
  t.true(slow.most() <= 8);
});

test('more questions than may wait are unsent', async t => {
  const { url } = await openDoorAt(t, patient().handle);
  const { line } = openLine(t, { limits: { waiting_max: 10 } });
  line.to({ id: 'callee', url });
  await until('the line', () => line.connected());
  const asked = Array.from({ length: 19 }, (_, n) => fails(line.request('count', n, long_ms)));
  // 8 are on their way and 10 wait.
  const refused = await asked[18]!;
  t.is(refused.code, 'unsent');
  t.regex(refused.message, /10 questions wait for node callee: expected at most 10/);
});

test('a peer that floods us with more than it was allowed loses its link', async t => {
  const slow = patient();
  const { url, door, logged } = await openDoorAt(t, slow.handle);
  const ws = new WebSocket(`${url.replace('http', 'ws')}${link_path}`);
  t.teardown(() => ws.terminate());
  const clock = systemClock();
  const known = await new Promise<Known>((resolve, reject) =>
    ws.once('open', () =>
      greet({ ws, key, us: introducing('caller')(), deadline_ms: long_ms, clock, known: resolve, failed: reject }),
    ),
  );
  await until('the link', () => door.links().has('caller'));
  // It was told 8, and does as if it had been told 1000.
  const careless = { ...known, peer: { ...known.peer, window: 1_000 } };
  const link = createLink({ ws, known: careless, limits, clock, log: logInto([]), handle: echo });
  const asked = await Promise.all(Array.from({ length: 9 }, (_, n) => fails(link.request('count', n, long_ms))));
  t.true(asked.every(error => error.code === 'unknown'));
  t.is(slow.waiting.length, 8);
  await until('a line in the log', () =>
    logged.some(each => /more than 8 questions at once/.test(JSON.stringify(each.fields))),
  );
});

test('a question that is not answered in time may have been heard, and its tray stays taken', async t => {
  const slow = patient();
  const { url } = await openDoorAt(t, slow.handle, { limits: { window: 1 } });
  const { line } = openLine(t);
  line.to({ id: 'callee', url });
  await until('the line', () => line.connected());
  const first = fails(line.request('first', 1, 3_000));
  await until('questions to arrive', () => slow.waiting.length === 1);
  t.is((await first).code, 'unknown');
  t.is((await fails(line.request('second', 2, 50))).code, 'unsent');
  t.is(slow.waiting.length, 1);
  slow.answer();
  const third = line.request('third', 3, long_ms);
  await until('questions to arrive', () => slow.waiting.length === 1);
  slow.answer();
  t.deepEqual(await third, { method: 'third', body: 3 });
});

test('when the wire breaks, what was sent is of unknown fate, what was not is unsent, and the line comes back', async t => {
  const slow = patient();
  const { port } = await openDoorAt(t, slow.handle, { limits: { window: 1 } });
  const relay = await openRelay(t, port);
  const { line } = openLine(t);
  line.to({ id: 'callee', url: relay.url });
  const first = fails(line.request('first', 1, long_ms));
  await until('questions to arrive', () => slow.waiting.length === 1);
  const second = fails(line.request('second', 2, long_ms));
  relay.cut();
  t.is((await first).code, 'unknown');
  t.is((await second).code, 'unsent');
  slow.answer();
  const third = line.request('third', 3, long_ms);
  await until('questions to arrive', () => slow.waiting.length === 1);
  slow.answer();
  t.deepEqual(await third, { method: 'third', body: 3 });
});

test('a peer that falls silent is taken for gone, and a question to it is of unknown fate', async t => {
  const { port, door } = await openDoorAt(t, patient().handle, { limits: { silence_ms_max: 500 } });
  const relay = await openRelay(t, port);
  const { line } = openLine(t, { limits: { silence_ms_max: 500 } });
  line.to({ id: 'callee', url: relay.url });
  await until('the line', () => line.connected() && door.links().size === 1);
  const asked = fails(line.request('first', 1, long_ms));
  relay.stall(true);
  const error = await asked;
  t.is(error.code, 'unknown');
  t.regex(error.message, /not a word for \d+ ms/);
  await until('the link to end', () => door.links().size === 0);
  relay.stall(false);
  await until('the line', () => line.connected());
});

test('a question waits for a leader to be found, and no longer than it was told to', async t => {
  const { line } = openLine(t);
  const early = line.request('early', 1, long_ms);
  const error = await fails(line.request('late', 2, 50));
  t.is(error.code, 'unsent');
  t.regex(error.message, /no leader was found within 50 ms/);
  const { url } = await openDoorAt(t, echo);
  line.to({ id: 'callee', url });
  t.deepEqual(await early, { method: 'early', body: 1 });
});

test('a node that is not the leader it was taken for is not asked', async t => {
  const heard: unknown[] = [];
  const { url } = await openDoorAt(t, async (_method, body) => heard.push(body), { id: 'somebody' });
  const { line, logged } = openLine(t);
  line.to({ id: 'callee', url });
  await until('a line in the log', () => logged.some(each => /another node than the leader/.test(each.message)));
  t.is((await fails(line.request('say', 1, 50))).code, 'unsent');
  t.deepEqual(heard, []);
});

test('questions go both ways over one link', async t => {
  const { url, door } = await openDoorAt(t, echo);
  const { line } = openLine(t, { handle: async (method, body) => ({ from: 'caller', method, body }) });
  line.to({ id: 'callee', url });
  await until('the link', () => door.links().has('caller'));
  t.deepEqual(await door.links().get('caller')!.request('yield', 7, long_ms), {
    from: 'caller',
    method: 'yield',
    body: 7,
  });
});

test('the proof holds for the two numbers that were thrown, and no others', t => {
  const caller = introducing('caller')();
  const callee = introducing('callee')();
  const hello = { type: 'hello', ...caller } as const;
  const challenge = challengeFor(key, callee, hello);
  if (!challenge.ok) return t.fail();
  const proof = proofFor(key, caller, challenge.value);
  if (!proof.ok) return t.fail();
  const known = knownBy(key, callee, hello, proof.value.proof);
  if (!known.ok) return t.fail();
  t.deepEqual(known.value.keys.ours, proof.value.keys.theirs);
  t.deepEqual(known.value.keys.theirs, proof.value.keys.ours);
  t.notDeepEqual(known.value.keys.ours, known.value.keys.theirs);
  // The same proof to a callee that threw another number; and the callee's own proof sent back to it.
  t.false(knownBy(key, introducing('callee')(), hello, proof.value.proof).ok);
  t.false(knownBy(key, callee, hello, { type: 'proof', proof: challenge.value.proof }).ok);
  t.false(proofFor(key, introducing('caller')(), challenge.value).ok);
});

testWith(openssl)('over HTTPS a line trusts the authority that it was given, and no other', async t => {
  const directory = await tempDir(t);
  const made = async (name: string) => {
    const [cert_key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
    const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
    await promisify(execFile)('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', cert_key, '-out', cert]);
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(cert_key, 'utf8') };
  };
  const [ours, others] = await Promise.all([made('ours'), made('others')]);
  const { url } = await openDoorAt(t, echo, { tls: ours });
  t.regex(url, /^https:/);
  const trusting = openLine(t, { tls: { ca: ours.cert } }).line;
  trusting.to({ id: 'callee', url });
  t.deepEqual(await trusting.request('say', 1, long_ms), { method: 'say', body: 1 });
  const { line, logged } = openLine(t, { tls: { ca: others.cert } });
  line.to({ id: 'callee', url });
  await until('a line in the log', () => logged.some(each => /certificate/.test(JSON.stringify(each.fields))));
  t.false(line.connected());
});
