// doctor.test.ts: what a doctor finds in a Mesos that is well, and in those that are not; and that the visit leaves no trace.

import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcp } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import {
  archiveFinding,
  clockFinding,
  type Finding,
  isHealthy,
  leaderFinding,
  reportText,
} from '../../mesos/doctor.ts';
import { type VisitOptions, visit, visitZooKeeper } from '../../mesos/doctor-visit.ts';
import { type LocalMesosOptions, startLocalMesos } from '../../mesos/local/index.ts';
import { systemClock } from '../../schedules/clock.ts';
import { readDoctor } from '../../transport/cli/doctor.ts';
import { ZooKeeperError } from '../../transport/zookeeper/zookeeper.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { answer, eventChunk, last_chunk, scriptedMaster, stream_head, subscribed } from './support/scripted-master.ts';
import { masterInfo, nodes } from './support/zookeeper.ts';

const clock = systemClock();
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} };
const looked = (urls: readonly string[], given: Partial<VisitOptions> = {}) =>
  visit({
    urls,
    clock,
    framework: { user: 'root', roles: ['*'], capabilities: [{ type: 'MULTI_ROLE' }] },
    // Far beyond anything healthy: a machine that stands still for a while is no fault of the Mesos.
    answer_ms_max: 120_000,
    offers_ms_max: 120_000,
    ...given,
  });
const states = (findings: readonly Finding[]) => findings.map(({ check, state }) => `${check} ${state}`);
const of = (findings: readonly Finding[], check: Finding['check']) => findings.find(each => each.check === check)!;

async function localMesos(t: ExecutionContext, given: Partial<LocalMesosOptions> = {}) {
  const mesos = await startLocalMesos({
    work_dir: await tempDir(t),
    clock,
    log: silent,
    credentials: 'open',
    agents: { real: false, simulated: 3 },
    ...given,
  });
  t.teardown(() => mesos.close());
  return mesos;
}

/** Some HTTP server, which may be no master at all. */
async function serving(t: ExecutionContext, handle: RequestListener): Promise<string> {
  const server = createServer(handle);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a Mesos that is well is found well, and after the visit everything is as it was', async t => {
  const mesos = await localMesos(t);
  for (const visit of [1, 2]) {
    const findings = await looked([mesos.url]);
    t.true(isHealthy(findings), reportText(findings));
    t.deepEqual(
      // An answer that was long on its way tells no time.
      states(findings).filter(each => !each.endsWith(' ok') && each !== 'agents unseen' && each !== 'clock unseen'),
      [],
      reportText(findings),
    );
    t.regex(of(findings, 'offers').says, /^3 of 3 agents for \*: 48 cpus/, `visit ${visit}`);
  }
  t.is(mesos.host.master.frameworks.size, 0);
});

test('a wrong secret is what is wrong, in the words of the master, and the rest is seen as far as it goes', async t => {
  const mesos = await localMesos(t, { credentials: { type: 'basic', principal: 'horae', secret: 'quiet' } });
  const credentials = { type: 'basic', principal: 'horae', secret: 'loud' } as const;
  const findings = await looked([mesos.url], { credentials, framework: { user: 'root', principal: 'horae' } });
  t.deepEqual(states(findings).slice(0, -1), [
    'master ok',
    'leader ok',
    'subscription wrong',
    'roles unseen',
    'offers unseen',
  ]);
  t.regex(of(findings, 'subscription').says, /as principal horae: .*401 Unauthorized/);
  t.regex(of(findings, 'subscription').expected!, /--mesos-secret-file/);
  t.false(reportText(findings).includes('loud'));
  const right = await looked([mesos.url], { credentials: { ...credentials, secret: 'quiet' } });
  t.true(isHealthy(right), reportText(right));
});

test('a role that the master does not allow is told in its words', async t => {
  const words = "Role 'x' is not present in the master's --roles";
  const master = await scriptedMaster(t, {
    subscribe: ({ socket }) =>
      void socket.write(stream_head + eventChunk({ type: 'ERROR', error: { message: words } }) + last_chunk),
  });
  const findings = await looked([master.url], { framework: { user: 'root', roles: ['x'] } });
  t.deepEqual([of(findings, 'subscription').state, of(findings, 'roles').state], ['ok', 'wrong']);
  t.regex(of(findings, 'roles').says, /^x: Role 'x' is not present/);
});

test('nothing that is offered is no fault, but worth a word', async t => {
  const mesos = await localMesos(t, { agents: { real: false, simulated: 0 } });
  const findings = await looked([mesos.url], { offers_ms_max: 50 });
  t.true(isHealthy(findings));
  t.is(of(findings, 'offers').state, 'doubtful');
  t.regex(of(findings, 'offers').expected!, /quota/);
});

test('a farewell that the master refuses is told, and nothing is left waiting', async t => {
  const master = await scriptedMaster(t, {
    subscribe: ({ socket }) => void socket.write(stream_head + eventChunk(subscribed)),
    call: ({ socket }) => void socket.write(answer('403 Forbidden', 'not today')),
  });
  const findings = await looked([master.url], { offers_ms_max: 20 });
  t.like(of(findings, 'farewell'), { state: 'doubtful' });
  t.regex(of(findings, 'farewell').says, /not today/);
});

test('whatever answers there, the visit ends in time and says what it met', async t => {
  const page = await serving(t, (_, response) => void response.writeHead(200).end('<html>'));
  t.regex(of(await looked([page]), 'subscription').says, /no Mesos-Stream-Id/);
  const missing = await serving(t, (_, response) => void response.writeHead(404).end('no such page'));
  t.regex(of(await looked([missing]), 'master').says, /answers 404 to \/health: no such page/);
  const mute = await serving(t, () => undefined);
  t.regex(of(await looked([mute], { answer_ms_max: 50 }), 'master').says, /no (answer|connection) within 50 ms/);
  const noise = createTcp(socket => {
    socket.on('error', () => socket.destroy());
    socket.end('SSH-2.0-nothing\r\n');
  });
  await new Promise<void>(resolve => noise.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void noise.close());
  const { port } = noise.address() as AddressInfo;
  const heard = of(await looked([`http://127.0.0.1:${port}`]), 'master');
  t.is(heard.state, 'wrong');
  const secured = of(await looked([page.replace('http:', 'https:')]), 'master');
  t.regex(secured.expected ?? secured.says, /http:\/\/ where the master speaks no TLS/);
});

test('masters in turn: one that is dead, followers that point at a leader who is, and the leader itself', async t => {
  const mesos = await localMesos(t);
  const dead = 'http://127.0.0.1:1';
  const pointing =
    (at: () => string): RequestListener =>
    (request, response) => {
      if (request.url === '/health') return void response.writeHead(200).end();
      response.writeHead(307, {
        Location: `${at().slice('http:'.length)}${request.url === '/redirect' ? '' : request.url}`,
      });
      response.end();
    };
  let leader = dead;
  const follower = await serving(
    t,
    pointing(() => leader),
  );
  const lost = await looked([follower]);
  t.regex(of(lost, 'leader').says, /127\.0\.0\.1:1 leads, they say, and is not to be reached: ECONNREFUSED/);
  t.regex(of(lost, 'subscription').says, /127\.0\.0\.1:1: ECONNREFUSED/);
  leader = mesos.url;
  const found = await looked([dead, follower]);
  t.is(of(found, 'leader').says, `${mesos.url} leads`);
  t.is(of(found, 'subscription').state, 'ok');
  t.is(of(found, 'offers').state, 'ok');
});

test('clocks apart are told with who is how far, and how bad that is', t => {
  t.is(clockFinding(new Map()).state, 'unseen');
  t.is(clockFinding(new Map([['http://m', 1_500]])).state, 'ok');
  t.like(
    clockFinding(
      new Map([
        ['http://m', 400],
        ['http://a', -9_000],
      ]),
    ),
    {
      state: 'doubtful',
      says: 'http://a is 9 s behind this machine',
    },
  );
  t.like(clockFinding(new Map([['http://m', 3_600_000]])), {
    state: 'wrong',
    says: 'http://m is 3600 s ahead of this machine',
  });
});

test('the time that a master tells is compared with ours', async t => {
  const late = await serving(t, (_, response) => {
    response.sendDate = false;
    response.writeHead(200, { Date: new Date(clock.now() - 120_000).toUTCString() }).end();
  });
  const told = await until('an answer that was not long on its way', async () => {
    const clock = of(await looked([late]), 'clock');
    return clock.state !== 'unseen' && clock;
  });
  t.is(told.state, 'wrong');
  t.regex(told.says, /127\.0\.0\.1:\d+ is 1(18|19|20|21|22) s behind this machine$/);
});

test('masters that do not agree who leads are told with who says what', t => {
  const redirect = (location: string) => ({ status: 307, body: '', location, skew_ms: 0 });
  const told = [
    { url: 'http://a', redirect: redirect('//b:5050') },
    { url: 'http://c', redirect: redirect('//c:5050') },
  ];
  t.like(leaderFinding(told, new Map()), {
    state: 'wrong',
    says: 'the masters do not agree: http://a say http://b:5050; http://c say http://c:5050',
  });
  const none = { status: 503, body: '', location: undefined, skew_ms: undefined };
  t.like(leaderFinding([{ url: 'http://a', redirect: none }], new Map()), { state: 'wrong' });
});

test('an archive must be there, under an address that agents elsewhere can use', t => {
  const there = { status: 200, body: '', location: undefined, skew_ms: undefined };
  t.is(archiveFinding('http://10.0.0.1/x', there, ['10.0.0.2']).state, 'ok');
  t.is(archiveFinding('http://127.0.0.1/x', there, ['127.0.0.1']).state, 'ok');
  t.regex(archiveFinding('http://localhost/x', there, ['10.0.0.2']).says, /agents run on 10\.0\.0\.2/);
  t.is(archiveFinding('http://10.0.0.1/x', { ...there, status: 404 }, []).state, 'wrong');
  t.is(archiveFinding('ftp://10.0.0.1/x', there, []).state, 'wrong');
  t.is(archiveFinding('http://10.0.0.1/x', { error: 'ECONNREFUSED' }, []).state, 'wrong');
});

test('zookeeper is asked who leads, and each thing that may be wrong there is told', async t => {
  const tree = nodes();
  const zookeeper = tree.connect();
  const seen = () => visitZooKeeper(zookeeper, 'h1:2181', '/mesos', 'http');
  t.regex((await seen()).finding.says, /h1:2181: there is no \/mesos/);
  tree.put('/mesos', '');
  t.regex((await seen()).finding.says, /no master stands in \/mesos/);
  tree.put('/mesos/json.info_0000000001', 'garbage');
  t.regex((await seen()).finding.says, /holds no JSON/);
  tree.put('/mesos/json.info_0000000000', masterInfo(5050));
  t.like(await seen(), { url: 'http://127.0.0.1:5050', finding: { state: 'ok' } });
  tree.sessions[0]!.failing = new ZooKeeperError('no-auth', '/mesos', 'not allowed to read /mesos');
  t.regex((await seen()).finding.expected!, /zk:\/\/user:password/);
});

test('the line of horae doctor: what is its own, and what is left for the settings', t => {
  t.deepEqual(readDoctor(['--json', '--mesos', 'http://a', '--archive=http://b/c', '--wait-ms', '20']), {
    ok: true,
    value: { json: true, archive: 'http://b/c', offers_ms_max: 20, rest: ['--mesos', 'http://a'] },
  });
  const said = (...argv: string[]) => {
    const read = readDoctor(argv);
    return read.ok ? 'taken' : read.problems.map(({ message }) => message).join('; ');
  };
  t.is(said('--archive', 'b'), '--archive is "b": expected an http or https address');
  t.is(said('--archive'), '--archive has no value: expected an http or https address');
  t.is(said('--wait-ms=x'), '--wait-ms is "x": expected a number of ms from 0 to 600000');
});
