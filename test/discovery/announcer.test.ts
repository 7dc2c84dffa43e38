// announcer.test.ts: ServerSets in a real ZooKeeper, as the records want them, whatever happens to it and to us.

import test from 'ava';
import { readJob } from '../../actors/model/job.ts';
import type { InstanceRecord, JobRecord, RunRecord } from '../../actors/model/records.ts';
import { systemClock } from '../../schedules/clock.ts';
import {
  type Announcer,
  type AnnouncerOptions,
  openAnnouncer,
  type Withdrawal,
} from '../../transport/discovery/announcer.ts';
import { claimPath } from '../../transport/discovery/claim.ts';
import { visitServersets } from '../../transport/discovery/visit.ts';
import { createProjection } from '../../transport/projection.ts';
import { connectZooKeeper, type ZooKeeper, type ZooKeeperError } from '../../transport/zookeeper/client.ts';
import { testWith } from '../support/needs.ts';
import { fileOwner, type Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Cable, operationOf, operations, startProxy, startZooKeeper, zookeeper } from '../support/zookeeper.ts';
import { observe } from './support.ts';

const testZooKeeper = testWith(zookeeper);
const owner = fileOwner();
const ensemble = zookeeper === undefined ? undefined : await startZooKeeper(owner);
test.after.always(owner.clean);
const servers = ensemble?.servers ?? '';
const clock = systemClock();
const no_history = { page: () => ({ rows: [] }) } as never;
let roots = 0;

type Stage = {
  readonly root: string;
  /** Another session, as somebody has who looks for a service. */
  readonly watcher: ZooKeeper;
  /** What the records say from now on. */
  readonly job: (name: string, more?: object) => void;
  readonly forget: (name: string) => void;
  readonly instance: (
    name: string,
    index: number,
    record: Partial<InstanceRecord> & { readonly status: string },
  ) => void;
  readonly open: (more?: Partial<AnnouncerOptions>) => Announcer & { readonly sessions: ZooKeeper[] };
  readonly withdrawals: Withdrawal[];
  /** Hosts in a list, in order. */
  readonly hosts: (name: string) => Promise<readonly string[]>;
};

function stage(t: Owner): Stage {
  const root = `/announcer-${roots++}`;
  const projection = createProjection({ history: no_history });
  let position = 0;
  const commit = (kind: string, key: string, body: unknown) => projection.commit([{ kind, key, body }], ++position);
  const watcher = connectZooKeeper({ servers, session_timeout_ms: 60_000, clock });
  t.teardown(() => watcher.close());
  const withdrawals: Withdrawal[] = [];
  return {
    root,
    watcher,
    withdrawals,
    job(name, more = {}) {
      const read = readJob({
        ...{ role: 'www', environment: 'prod', name, command: 'serve', service: true, instances: 4 },
        ...{ announce: {}, ...more },
      });
      if (!read.ok) throw new Error(read.problems[0]!.message);
      const body: JobRecord = { job: read.value, incarnation: 1, version: 1, created_at: 0, updated_at: 0 };
      commit('job', `www/prod/${name}`, body);
      const run: RunRecord = { run: '1.service', cause: { type: 'service' }, instances: 4, created_at: 0 };
      commit('run', `www/prod/${name}/1.service`, run);
    },
    forget(name) {
      for (let index = 0; index < 4; index++) commit('instance', `www/prod/${name}/1.service/${index}`, undefined);
      commit('run', `www/prod/${name}/1.service`, undefined);
      commit('job', `www/prod/${name}`, undefined);
    },
    instance(name, index, record) {
      const base = {
        attempt: 1,
        failures: 0,
        since: 1,
        agent_id: 'S0',
        hostname: `h${index}`,
        version: 1,
        started_at: 2,
      };
      const body = { ...base, ports: { http: 31_000 + index }, ...record };
      commit('instance', `www/prod/${name}/1.service/${index}`, body);
    },
    open(more = {}) {
      const sessions: ZooKeeper[] = [];
      const announcer = openAnnouncer({
        connect() {
          const session = connectZooKeeper({ servers, session_timeout_ms: 4_000, call_timeout_ms: 4_000, clock });
          sessions.push(session);
          return session;
        },
        root,
        owner: { id: 'us', epoch: 1 },
        views: projection,
        caught_up: Promise.resolve(),
        withdraw_wait_ms: 20_000,
        check_ms: 60_000,
        clock,
        log: { info: () => undefined, warn: () => undefined, error: () => undefined },
        wrote: () => undefined,
        withdrew: how => void withdrawals.push(how),
        ...more,
      });
      t.teardown(() => announcer.close());
      return { ...announcer, sessions };
    },
    hosts: name => hostsIn(watcher, `${root}/www/prod/${name}`),
  };
}

async function hostsIn(zk: ZooKeeper, list: string): Promise<readonly string[]> {
  const names = ((await zk.children(list)) ?? []).filter(name => name.startsWith('member_'));
  const found = await Promise.all(names.map(name => zk.get(`${list}/${name}`)));
  return found
    .flatMap(node => (node === undefined ? [] : [JSON.parse(Buffer.from(node.data).toString()).serviceEndpoint.host]))
    .sort();
}
const become = (hosts: () => Promise<readonly string[]>, expected: readonly string[]) =>
  until(`the list to be ${expected}`, async () => (await hosts()).join() === expected.join());

testZooKeeper(
  'members come when they run and go when they do not, in one list for each job that is announced',
  async t => {
    const { job, instance, open, hosts, watcher, root, forget } = stage(t);
    job('web');
    job('quiet', { announce: undefined });
    instance('web', 0, { status: 'running' });
    instance('quiet', 0, { status: 'running' });
    const announcer = open();
    const web = () => hosts('web');
    await become(web, ['h0']);
    instance('web', 1, { status: 'starting' });
    instance('web', 2, { status: 'running' });
    await become(web, ['h0', 'h2']);
    instance('web', 1, { status: 'running' });
    instance('web', 0, { status: 'running', unhealthy: true });
    await become(web, ['h1', 'h2']);
    instance('web', 0, { status: 'running' });
    await become(web, ['h0', 'h1', 'h2']);
    const [name] = (await watcher.children(`${root}/www/prod/web`))!;
    t.regex(name!, /^member_\d{10}$/);
    t.is(await watcher.children(`${root}/www/prod/quiet`), undefined);
    t.is(announcer.state().status, 'ok');
    t.is(announcer.state().members, 3);
    forget('web');
    await until(
      'the list to go with its job',
      async () => (await watcher.children(`${root}/www/prod/web`)) === undefined,
    );
  },
);

testZooKeeper('members outlive the scheduler, and the next one only changes what is other by then', async t => {
  const { job, instance, open, hosts, watcher, root, forget } = stage(t);
  job('web');
  job('gone');
  for (const index of [0, 1, 2]) instance('web', index, { status: 'running' });
  instance('gone', 3, { status: 'running' });
  const first = open();
  await become(() => hosts('web'), ['h0', 'h1', 'h2']);
  await become(() => hosts('gone'), ['h3']);
  const before = new Set(await watcher.children(`${root}/www/prod/web`));
  await first.close();
  t.deepEqual(await hosts('web'), ['h0', 'h1', 'h2'], 'nobody is there to say otherwise');
  instance('web', 1, { status: 'killing', by: 'ann', replace: false });
  instance('web', 3, { status: 'running' });
  forget('gone');
  open({ owner: { id: 'us', epoch: 2 } });
  await become(() => hosts('web'), ['h0', 'h2', 'h3']);
  const after = (await watcher.children(`${root}/www/prod/web`))!;
  t.is(after.filter(name => before.has(name)).length, 2, 'those that were right are the same nodes');
  await until(
    'what is left of a job that is gone',
    async () => (await watcher.children(`${root}/www/prod/gone`)) === undefined,
  );
});

testZooKeeper(
  'a task is off its list when its withdrawal is told, though its record still says that it runs',
  async t => {
    const { job, instance, open, hosts, withdrawals } = stage(t);
    job('web');
    for (const index of [0, 1]) instance('web', index, { status: 'running' });
    const announcer = open();
    await become(() => hosts('web'), ['h0', 'h1']);
    await announcer.withdraw('www:prod:web:1.service:0:1');
    t.deepEqual(await hosts('web'), ['h1']);
    t.deepEqual(withdrawals, ['gone']);
    // Whatever else happens to the job, it stays off; its next attempt is another member.
    instance('web', 2, { status: 'running' });
    await become(() => hosts('web'), ['h1', 'h2']);
    instance('web', 0, { status: 'running', attempt: 2, hostname: 'h9' } as never);
    await become(() => hosts('web'), ['h1', 'h2', 'h9']);
    await announcer.withdraw('www:prod:nobody:1.service:0:1');
    await announcer.withdraw('none of ours');
    t.deepEqual(withdrawals, ['gone'], 'who is on no list is not waited for');
  },
);

testZooKeeper(
  'while ZooKeeper is away wishes are folded, ends are not held back for ever, and all is made good after',
  async t => {
    const { job, instance, open, hosts, withdrawals } = stage(t);
    const cable: Cable = await startProxy(t, ensemble!.members[0]!.port);
    job('web');
    for (const index of [0, 1, 2]) instance('web', index, { status: 'running' });
    const announcer = open({
      connect: () =>
        connectZooKeeper({ servers: cable.address, session_timeout_ms: 60_000, call_timeout_ms: 500, clock }),
      withdraw_wait_ms: 300,
    });
    await become(() => hosts('web'), ['h0', 'h1', 'h2']);
    cable.cut();
    await announcer.withdraw('www:prod:web:1.service:0:1');
    t.deepEqual(withdrawals, ['late']);
    for (let round = 0; round < 50; round++)
      instance('web', 1, { status: 'running', ...(round % 2 === 0 ? { unhealthy: true } : {}) });
    instance('web', 0, { status: 'over', outcome: 'killed', reason: { code: 'killed', by: 'ann' } } as never);
    instance('web', 3, { status: 'running' });
    await until('it to be said', () => announcer.state().status === 'away' && announcer.state().waiting === 1);
    t.deepEqual(await hosts('web'), ['h0', 'h1', 'h2'], 'and those who look for it find whom they found');
    cable.mend();
    await become(() => hosts('web'), ['h1', 'h2', 'h3']);
    await until('it to be said', () => announcer.state().status === 'ok' && announcer.state().waiting === 0);
  },
);

testZooKeeper('an answer that was lost doubles nobody', async t => {
  const { job, instance, open, hosts, watcher, root } = stage(t);
  const cable = await startProxy(t, ensemble!.members[0]!.port);
  job('web');
  instance('web', 0, { status: 'running' });
  open({
    connect: () =>
      connectZooKeeper({ servers: cable.address, session_timeout_ms: 60_000, call_timeout_ms: 2_000, clock }),
  });
  await become(() => hosts('web'), ['h0']);
  let lost = 0;
  const multi = new Set<number>();
  // The answer to a transaction goes astray: it was carried out, and nobody has heard it.
  cable.judge = (frame, direction) => {
    if (direction === 'to-server' && operationOf(frame) === operations.multi) multi.add(frame.readInt32BE(4));
    if (direction === 'to-client' && lost < 2 && multi.has(frame.readInt32BE(4))) {
      lost++;
      return 'lose';
    }
    return 'pass';
  };
  instance('web', 1, { status: 'running' });
  await become(() => hosts('web'), ['h0', 'h1']);
  instance('web', 0, { status: 'killing', by: 'ann', replace: false });
  instance('web', 2, { status: 'running' });
  await become(() => hosts('web'), ['h1', 'h2']);
  t.is(lost, 2);
  t.is((await watcher.children(`${root}/www/prod/web`))!.length, 2);
});

testZooKeeper('a session that is lost empties no list, and what was missed is written under the next one', async t => {
  const { job, instance, open, hosts, watcher, root } = stage(t);
  job('web');
  for (const index of [0, 1]) instance('web', index, { status: 'running' });
  const announcer = open();
  await become(() => hosts('web'), ['h0', 'h1']);
  const { fewest, looks } = observe(t, watcher, `${root}/www/prod/web`);
  // To ZooKeeper this is the end of the session, as an expiry is; our side finds out by itself.
  await announcer.sessions[0]!.close();
  instance('web', 2, { status: 'running' });
  await become(() => hosts('web'), ['h0', 'h1', 'h2']);
  t.is(announcer.sessions.length, 2);
  await until('it to be seen', () => looks() > 1);
  t.is(fewest(), 2);
});

testZooKeeper('what others do to our members is mended, and members that others announce are left alone', async t => {
  const { job, instance, open, hosts, watcher, root } = stage(t);
  job('web');
  for (const index of [0, 1]) instance('web', index, { status: 'running' });
  open({ check_ms: 200 });
  await become(() => hosts('web'), ['h0', 'h1']);
  const list = `${root}/www/prod/web`;
  const theirs = JSON.stringify({
    serviceEndpoint: { host: 'aurora', port: 1 },
    additionalEndpoints: {},
    status: 'ALIVE',
  });
  await watcher.create(`${list}/member_`, Buffer.from(theirs), { ephemeral: true, sequential: true });
  const names = [...(await watcher.children(list))!].sort();
  await watcher.delete(`${list}/${names[0]}`);
  await become(() => hosts('web'), ['aurora', 'h0', 'h1']);
  instance('web', 0, { status: 'over', outcome: 'killed', reason: { code: 'killed', by: 'ann' } } as never);
  instance('web', 1, { status: 'over', outcome: 'killed', reason: { code: 'killed', by: 'ann' } } as never);
  await become(() => hosts('web'), ['aurora']);
  t.is((await watcher.children(list))!.length, 1);
});

testZooKeeper('a leader that was deposed writes nothing more, however late it wakes', async t => {
  const { job, instance, open, hosts, root, watcher } = stage(t);
  job('web');
  instance('web', 0, { status: 'running' });
  const old = open();
  await become(() => hosts('web'), ['h0']);
  const successor = open({ owner: { id: 'us', epoch: 2 } });
  await until('the successor to have claimed it', async () => {
    const found = await watcher.get(claimPath(root));
    return JSON.parse(Buffer.from(found!.data).toString()).epoch === 2;
  });
  // Both are told; only one can write. The old one finds out by trying.
  instance('web', 1, { status: 'running' });
  await until('the old one to know', () => old.state().status === 'deposed' || old.state().waiting === 0);
  instance('web', 2, { status: 'running' });
  await until('the old one to know', () => old.state().status === 'deposed');
  await become(() => hosts('web'), ['h0', 'h1', 'h2']);
  await until('the successor to be done', () => successor.state().status === 'ok');
  await old.withdraw('www:prod:web:1.service:0:1');
  t.deepEqual(await hosts('web'), ['h0', 'h1', 'h2']);
});

testZooKeeper('two schedulers that are given one path by mistake do not undo each other', async t => {
  const [one, other] = [stage(t), stage(t)];
  one.job('web');
  one.instance('web', 0, { status: 'running' });
  one.open();
  await become(() => one.hosts('web'), ['h0']);
  const late = other.open({ root: one.root, owner: { id: 'others' } });
  await until('it to be said', () => late.state().status === 'foreign');
  t.regex(late.state().why!, /\.horae names another scheduler \(us\): expected a path of our own/);
  t.deepEqual(await one.hosts('web'), ['h0']);
});

testZooKeeper('whoever asks the doctor hears whether the lists can be kept there, and by whom they are', async t => {
  const { root, watcher, open, job, instance, hosts } = stage(t);
  const visit = (at = root) => visitServersets(watcher, at, `zk${at}`);
  t.deepEqual(await visit(), { state: 'ok', says: `zk${root}: not there yet, and can be made` });
  t.deepEqual(await visit(`${root}/far/below`), {
    state: 'ok',
    says: `zk${root}/far/below: not there yet, and can be made`,
  });
  job('web');
  instance('web', 0, { status: 'running' });
  open();
  await become(() => hosts('web'), ['h0']);
  const children = await watcher.children(root);
  t.deepEqual(await visit(), { state: 'ok', says: `zk${root}: kept by the scheduler us, in its reign 1` });
  t.deepEqual(await watcher.children(root), children, 'nothing is left of the visit');
  await watcher.set(claimPath(root), Buffer.from('what is this?'));
  t.like(await visit(), { state: 'wrong', expected: 'a path that no other program writes to' });
});

testZooKeeper('with a password only we may write, and everybody may read', async t => {
  const { root, watcher, open, job, instance, hosts } = stage(t);
  job('web');
  instance('web', 0, { status: 'running' });
  const auth = { scheme: 'digest', id: 'horae:secret' } as const;
  open({
    connect: () => connectZooKeeper({ servers, session_timeout_ms: 60_000, auth, acl: 'readable', clock }),
  });
  await become(() => hosts('web'), ['h0']);
  const refused = await t.throwsAsync(
    watcher.create(`${root}/www/prod/web/member_`, Buffer.from('{}'), { sequential: true }),
  );
  t.is((refused as ZooKeeperError).code, 'no-auth');
  t.like(await visitServersets(watcher, root, 'zk'), {
    state: 'wrong',
    expected: 'a --serversets-zk-auth-file with a user who may write there',
  });
  const stranger = open({ owner: { id: 'us', epoch: 2 } });
  await until('it to be said', () => stranger.state().status === 'refused');
  t.regex(stranger.state().why ?? '', /no-auth/);
});

testZooKeeper('a list of many members with many ports is written in pieces that ZooKeeper takes', async t => {
  const { job, instance, open, watcher, root } = stage(t);
  job('web');
  const ports = Object.fromEntries([
    ['http', 1],
    ...Array.from({ length: 99 }, (_, n) => [`port_with_a_long_name_${n}`, 2 + n]),
  ]);
  for (let index = 0; index < 450; index++) instance('web', index, { status: 'running', ports } as never);
  open();
  const count = async () => (await watcher.children(`${root}/www/prod/web`))?.length;
  await until('all to be there', async () => (await count()) === 450);
  for (let index = 0; index < 450; index++)
    instance('web', index, { status: 'killing', by: 'ann', replace: false, ports } as never);
  await until('all to be gone', async () => (await count()) === 0);
  t.pass();
});
