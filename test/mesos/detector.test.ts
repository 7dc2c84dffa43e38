// detector.test.ts: who leads the masters, by what stands in ZooKeeper, whatever happens to it.

import test from 'ava';
import { leaderIn, leadingNode, readMasters, withoutPassword } from '../../mesos/detector.ts';
import { watchLeader } from '../../mesos/leader-watch.ts';
import { simulatedClock } from '../../schedules/clock.ts';
import { until } from '../support/until.ts';
import { lost, masterInfo, nodes } from './support/zookeeper.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

test('masters are addresses, or a place in zookeeper', t => {
  t.deepEqual(readMasters('http://a:5050'), { ok: true, value: { type: 'addresses', urls: ['http://a:5050'] } });
  t.deepEqual(readMasters('https://a:5050, https://b'), {
    ok: true,
    value: { type: 'addresses', urls: ['https://a:5050', 'https://b'] },
  });
  t.deepEqual(readMasters('zk://h1,h2:2182,[::1]:2183/mesos/prod/'), {
    ok: true,
    value: { type: 'zookeeper', servers: 'h1:2181,h2:2182,[::1]:2183', path: '/mesos/prod' },
  });
  t.deepEqual(readMasters('zk://me:se:cret@h1:2181/mesos'), {
    ok: true,
    value: { type: 'zookeeper', servers: 'h1:2181', path: '/mesos', auth: 'me:se:cret' },
  });
});

test('what is neither is refused with the part that is wrong', t => {
  const said = (text: string) => {
    const read = readMasters(text);
    return read.ok ? 'taken' : read.problems.map(problem => problem.message).join();
  };
  t.regex(said('zk://h1:2181'), /does not end in the path/);
  t.regex(said('zk://h1:2181/'), /does not end in the path/);
  t.regex(said('zk://h1:2181/a/../b'), /does not end in the path/);
  t.regex(said('zk:///mesos'), /"" is no server of ZooKeeper/);
  t.regex(said('zk://h1,/mesos'), /"" is no server of ZooKeeper/);
  t.regex(said('zk://h1:x/mesos'), /"h1:x" is no server of ZooKeeper/);
  t.regex(said('zk://me@h1/mesos'), /no user:password/);
  t.regex(said('http://me:secret@a:5050'), /a secret stands in an address/);
  t.regex(said('a:5050'), /"a:5050" is no address of a master: expected http:/);
  t.regex(said(''), /nothing is there/);
});

test('a password is shown to nobody', t => {
  t.is(withoutPassword('zk://me:se:cret@h1:2181/mesos'), 'zk://me:...@h1:2181/mesos');
  t.is(withoutPassword('zk://h1:2181,h2:2181/mesos'), 'zk://h1:2181,h2:2181/mesos');
  t.is(withoutPassword('http://h1:5050'), 'http://h1:5050');
  const read = readMasters('zk://me:secret@h1:2181/');
  t.false(JSON.stringify(read).includes('secret'));
});

test('the lowest number leads, whatever else stands there', t => {
  t.is(
    leadingNode(['json.info_0000000003', 'log_replicas', 'json.info_0000000002', 'info_0000000001']),
    'json.info_0000000002',
  );
  t.is(leadingNode(['json.info_10000000000', 'json.info_9999999999']), 'json.info_9999999999');
  t.is(leadingNode(['log_replicas', 'json.info_', 'json.info_x']), undefined);
  t.is(leadingNode([]), undefined);
});

test("a master's node says where it listens: by its number, or by its name where a certificate must hold it", t => {
  // As it was recorded from a real master.
  const recorded =
    '{"address":{"hostname":"127.0.0.1","ip":"127.0.0.1","port":5058},"capabilities":[{"type":"AGENT_UPDATE"},{"type":"AGENT_DRAINING"},{"type":"QUOTA_V2"}],"hostname":"127.0.0.1","id":"afd24abb-556c-4603-b503-66063edd074a","ip":16777343,"pid":"master@127.0.0.1:5058","port":5058,"version":"1.12.0"}';
  t.deepEqual(leaderIn('n', bytes(recorded), 'http'), {
    url: 'http://127.0.0.1:5058',
    id: 'afd24abb-556c-4603-b503-66063edd074a',
    version: '1.12.0',
  });
  const named = bytes('{"address":{"hostname":"m1.example","ip":"10.0.0.1","port":5050}}');
  t.like(leaderIn('n', named, 'http'), { url: 'http://10.0.0.1:5050' });
  t.like(leaderIn('n', named, 'https'), { url: 'https://m1.example:5050' });
  t.like(leaderIn('n', bytes('{"address":{"ip":"fe80::1","port":5050}}'), 'http'), { url: 'http://[fe80::1]:5050' });
  t.like(leaderIn('n', bytes('{"hostname":"old","port":5050}'), 'http'), { url: 'http://old:5050' });
});

test('a node that says nothing of use is told, with what it holds', t => {
  t.regex(String(leaderIn('/mesos/n', bytes(''), 'http')), /^\/mesos\/n holds no JSON/);
  for (const text of ['7', '[]', '{}', '{"address":{"ip":"1.2.3.4"}}', '{"address":{"ip":"1.2.3.4","port":70000}}'])
    t.regex(String(leaderIn('/mesos/n', bytes(text), 'http')), /does not say where its master listens/, text);
  t.regex(String(leaderIn('/mesos/n', bytes('{"address":{"ip":"a b","port":1}}'), 'http')), /no address/);
});

function watched(path = '/mesos') {
  const tree = nodes();
  const found: string[] = [];
  const said: string[] = [];
  const clock = simulatedClock(0);
  const tell = (level: string) => (_: object, message: string) => void said.push(`${level}: ${message}`);
  const watch = watchLeader({
    connect: tree.connect,
    path,
    scheme: 'http',
    clock,
    log: { info: tell('info'), warn: tell('warn'), error: tell('error') },
    found: leader => void found.push(leader.url),
  });
  return {
    tree,
    found,
    said,
    clock,
    watch,
    leads: (url: string) => until(`${url} leads`, () => found.at(-1) === url),
    says: (pattern: RegExp) => until(`${pattern}`, () => said.some(line => pattern.test(line))),
  };
}

test('a path that is not there is told with its name, and waited for; so is one where nobody stands', async t => {
  const { tree, says, leads, said, found } = watched();
  await says(/^warn: there is no \/mesos in zookeeper/);
  tree.put('/mesos', '');
  await says(/^warn: no master stands in \/mesos/);
  t.deepEqual(found, []);
  tree.put('/mesos/log_replicas', '');
  tree.put('/mesos/json.info_0000000007', masterInfo(5050));
  await leads('http://127.0.0.1:5050');
  t.is(said.filter(line => line.startsWith('warn')).length, 2, said.join('\n'));
});

test('leaders are followed as they change, and each is told once', async t => {
  const { tree, leads, found, watch } = watched();
  tree.put('/mesos', '');
  for (const [n, port] of [5050, 5051, 5052].entries()) tree.put(`/mesos/json.info_000000000${n}`, masterInfo(port));
  await leads('http://127.0.0.1:5050');
  tree.remove('/mesos/json.info_0000000001');
  tree.remove('/mesos/json.info_0000000000');
  await leads('http://127.0.0.1:5052');
  tree.put('/mesos/json.info_0000000003', masterInfo(5050, 'again'));
  tree.remove('/mesos/json.info_0000000002');
  await leads('http://127.0.0.1:5050');
  t.deepEqual(found, ['http://127.0.0.1:5050', 'http://127.0.0.1:5052', 'http://127.0.0.1:5050']);
  t.is(watch.leader()?.id, 'again');
  t.is(tree.watches(), 1, 'one watch waits, however often it was looked');
});

test('a leader that vanishes without another stays the leader that is known', async t => {
  const { tree, leads, says, found, watch } = watched();
  tree.put('/mesos', '');
  tree.put('/mesos/json.info_0000000000', masterInfo(5050));
  await leads('http://127.0.0.1:5050');
  tree.remove('/mesos/json.info_0000000000');
  await says(/no master stands/);
  t.is(watch.leader()?.url, 'http://127.0.0.1:5050');
  tree.put('/mesos/json.info_0000000001', masterInfo(5050, 'another'));
  await until('the other is told, at the same address', () => found.length === 2);
});

test('a connection that breaks is told once, and what changed meanwhile is seen when it is back', async t => {
  const { tree, leads, says, said, clock, found } = watched();
  tree.put('/mesos', '');
  tree.put('/mesos/json.info_0000000000', masterInfo(5050));
  await leads('http://127.0.0.1:5050');
  const session = tree.sessions[0]!;
  session.failing = lost('/mesos');
  session.tell('disconnected');
  session.tell('connecting');
  tree.put('/mesos/json.info_0000000001', masterInfo(5051));
  tree.remove('/mesos/json.info_0000000000');
  await says(/zookeeper is away/);
  clock.advanceTo(5_000);
  t.deepEqual(found, ['http://127.0.0.1:5050']);
  session.failing = undefined;
  session.tell('connected');
  await leads('http://127.0.0.1:5051');
  t.is(said.filter(line => line.includes('away')).length, 1);
});

test('a session that has expired is followed by another', async t => {
  const { tree, leads, watch } = watched();
  tree.put('/mesos', '');
  tree.put('/mesos/json.info_0000000000', masterInfo(5050));
  await leads('http://127.0.0.1:5050');
  tree.remove('/mesos/json.info_0000000000');
  tree.put('/mesos/json.info_0000000001', masterInfo(5051));
  tree.sessions[0]!.failing = lost('/mesos');
  tree.sessions[0]!.tell('expired');
  t.true(tree.sessions[0]!.closed);
  t.is(tree.sessions.length, 2);
  await leads('http://127.0.0.1:5051');
  tree.sessions[0]!.tell('disconnected');
  await watch.close();
  t.true(tree.sessions[1]!.closed);
});

test('a node that cannot be understood is told, and the next one is taken when it goes', async t => {
  const { tree, leads, says, found } = watched();
  tree.put('/mesos', '');
  tree.put('/mesos/json.info_0000000000', 'garbage');
  tree.put('/mesos/json.info_0000000001', masterInfo(5051));
  await says(/^error: \/mesos\/json.info_0000000000 holds no JSON/);
  t.deepEqual(found, []);
  tree.remove('/mesos/json.info_0000000000');
  await leads('http://127.0.0.1:5051');
});
