// tasks.test.ts: tasks in containers of a real Docker engine: what they find in there, and how their ends are told.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { docker, startDocker, type TestEngine } from '../support/docker.ts';
import { freePort } from '../support/free-port.ts';
import { may_mount, serialWith } from '../support/needs.ts';
import { fileOwner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { contained, folderIn, isEmpty, openWard, param, terminal } from './ward.ts';

const owner = fileOwner();
let engine: TestEngine;
let ward: Awaited<ReturnType<typeof openWard>>;
test.before(async () => {
  if (docker === undefined) return;
  engine = await startDocker(owner);
  await engine.image('busybox:1');
  ward = await openWard(owner, { socket: engine.socket });
});
test.after.always(owner.clean);
const real = serialWith(docker);
const dataOf = (status: { data: string }) => JSON.parse(Buffer.from(status.data, 'base64').toString());

real('a shell line runs in the image, and its exit code is the one that is told', async t => {
  const done = await ward.outcome(
    contained('exit-3', 'echo "in $MESOS_TASK_ID"; echo oops >&2; ls /bin/busybox; exit 3'),
  );
  t.like(done, { state: 'TASK_FAILED', message: 'Container exited with status 3', source: 'SOURCE_EXECUTOR' });
  t.like(dataOf(done), { exit_code: 3 });
  t.is(ward.output('exit-3'), 'in exit-3\n/bin/busybox\n');
  t.is(ward.output('exit-3', 'stderr'), 'oops\n');
  t.deepEqual(ward.scheduler.states('exit-3'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED']);
  const running = await ward.scheduler.reached('exit-3', 'TASK_RUNNING');
  t.regex(running.container_status.container_id.value, /^[0-9a-f]{64}$/);
  t.is((await ward.outcome(contained('exit-0', 'true'))).state, 'TASK_FINISHED');
  await until('the containers to be removed', () => isEmpty(engine));
});

real('output is carried byte by byte: binary, and a last line that does not end', async t => {
  const line = `i=0; while [ $i -lt 2000 ]; do printf '\\377\\000\\r\\n%s' $i; printf '\\200%s' $i >&2; i=$((i+1)); done`;
  await ward.outcome(contained('bytes', line));
  const numbers = Array.from({ length: 2000 }, (_, i) => Buffer.from(String(i)));
  const out = Buffer.concat(numbers.flatMap(i => [Buffer.from([0xff, 0, 13, 10]), i]));
  const err = Buffer.concat(numbers.flatMap(i => [Buffer.from([0x80]), i]));
  t.true(readFileSync(ward.sandbox('bytes', 'stdout')).equals(out));
  t.true(readFileSync(ward.sandbox('bytes', 'stderr')).equals(err));
});

real(
  "without a shell, command and arguments are words for the image's entrypoint, or its own command runs",
  async t => {
    await engine.image('entry:1', ['ENTRYPOINT ["/bin/echo", "entry"]', 'CMD ["own"]']);
    const image = 'entry:1';
    const words = { command: { shell: false, arguments: ['a b', '$HOME'] } };
    await ward.outcome(contained('words', undefined, { image }, { command: { ...words.command, value: 'first' } }));
    t.is(ward.output('words'), 'entry first a b $HOME\n');
    await ward.outcome(contained('own', undefined, { image }));
    t.is(ward.output('own'), 'entry own\n');
    await ward.outcome(contained('sh', 'echo shell', { image }));
    t.is(ward.output('sh'), 'shell\n');
    await ward.outcome(
      contained('other', undefined, { image, parameters: [param('entrypoint', '/bin/printf')] }, words),
    );
    t.is(ward.output('other'), 'a b');
  },
);

real(
  'environment, user, working directory and labels are those that were asked for, and the sandbox is in there',
  async t => {
    const parameters = [
      param('user', 'nobody'),
      param('workdir', '/tmp'),
      param('hostname', 'box'),
      param('env', 'P=1'),
    ];
    const environment = { variables: [{ name: 'MINE', value: 'a=b c' }] };
    const line = 'id -u; pwd; hostname; echo "$MINE $P"; ls -d $MESOS_SANDBOX; env | grep ^HORAE_';
    await ward.outcome(contained('inside', line, { network: 'BRIDGE', parameters }, { command: { environment } }));
    t.is(
      ward.output('inside'),
      '65534\n/tmp\nbox\na=b c 1\n/mnt/mesos/sandbox\nHORAE_RESULT=/mnt/mesos/sandbox/horae.result\n',
    );
  },
);

real('a volume is read and written where it may be, and only read where it may not', async t => {
  const there = folderIn(ward.work_dir, 'there');
  writeFileSync(join(there, 'given'), 'from outside\n');
  const volumes = [
    { container_path: '/rw', host_path: there, mode: 'RW' },
    { container_path: '/ro', host_path: there, mode: 'RO' },
    { container_path: 'box', host_path: 'made-here', mode: 'RW' },
  ];
  const line = 'cat /ro/given; echo inside > /rw/made; echo x > /mnt/mesos/sandbox/box/y; echo no > /ro/made';
  const done = await ward.outcome(contained('volumes', line, {}, { container: { volumes } }));
  t.is(done.message, 'Container exited with status 1');
  t.is(ward.output('volumes'), 'from outside\n');
  t.regex(ward.output('volumes', 'stderr'), /Read-only file system/);
  t.is(readFileSync(join(there, 'made'), 'utf8'), 'inside\n');
  t.is(readFileSync(ward.sandbox('volumes', 'made-here/y'), 'utf8'), 'x\n');
});

real('what is fetched lies in the sandbox in there, and is whose the container is', async t => {
  const from = folderIn(ward.work_dir, 'from');
  mkdirSync(join(from, 'app'));
  writeFileSync(join(from, 'app', 'word'), 'packed\n');
  execFileSync('tar', ['-czf', 'app.tgz', 'app'], { cwd: from });
  writeFileSync(join(from, 'run'), '#!/bin/sh\necho "run by $(id -u)"\n');
  const uris = [{ value: join(from, 'app.tgz') }, { value: `file://${from}/run`, executable: true, output_file: 'go' }];
  const line =
    'cd $MESOS_SANDBOX; ./go; cat app/word; echo more >> app/word; stat -c %u . go app app/word; echo note > $HORAE_RESULT';
  const nobody = { parameters: [param('user', 'nobody')] };
  for (const [id, docker, uid] of [
    ['fetched', {}, 0],
    ['fetched-by-nobody', nobody, 65_534],
  ] as const) {
    t.is((await ward.outcome(contained(id, line, docker, { command: { uris } }))).state, 'TASK_FINISHED');
    const owners = `${uid}\n`.repeat(4);
    t.is(ward.output(id), `run by ${uid}\npacked\n${owners}`);
    t.is(readFileSync(ward.sandbox(id, 'app/word'), 'utf8'), 'packed\nmore\n');
    t.is(statSync(ward.sandbox(id, 'horae.result')).uid, uid);
  }
  const missing = contained('not-fetched', 'true', {}, { command: { uris: [{ value: join(from, 'nothing') }] } });
  const done = await ward.outcome(missing);
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
  t.regex(done.message, /Failed to fetch all URIs .*ENOENT/);
  t.true(await isEmpty(engine), 'no container was made');
});

real('a web server in a bridge is reached through the port of the host that is mapped to it', async t => {
  const host_port = await freePort();
  const port_mappings = [{ host_port, container_port: 8080, protocol: 'tcp' }];
  const line = 'echo hello from the bridge > /www/index.html; exec httpd -f -p 8080 -h /www';
  await ward.scheduler.launch([contained('web', line, { network: 'BRIDGE', port_mappings })]);
  const running = await ward.scheduler.reached('web', 'TASK_RUNNING');
  t.regex(running.container_status.network_infos[0].ip_addresses[0].ip_address, /^10\.213\./);
  const page = await until('the page', () =>
    fetch(`http://127.0.0.1:${host_port}/`).then(
      answer => (answer.ok ? answer.text() : undefined),
      () => undefined,
    ),
  );
  t.is(page, 'hello from the bridge\n');
  await ward.kill('web');
  t.is((await ward.scheduler.reached('web', 'TASK_KILLED')).state, 'TASK_KILLED');
});

real('memory is a wall: whoever runs into it is killed, with the reason', async t => {
  const done = await ward.outcome(contained('hungry', 'dd if=/dev/zero of=/dev/null bs=200M count=1', {}, { mem: 32 }));
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LIMITATION_MEMORY' });
  t.regex(done.message, /^Memory limit exceeded: Container exited with status (137|1)/);
});

real('what a container uses is counted with it, and a sandbox that it fills beyond its quota ends it', async t => {
  const own = await openWard(t, { socket: engine.socket, limits: { limits: 'auto', usage_ms: 100, disk_ms: 100 } });
  await own.scheduler.launch([contained('busy', 'i=0; while :; do i=$((i+1)); done', {}, { mem: 100 })]);
  await own.scheduler.reached('busy', 'TASK_RUNNING');
  const usage = await until('two seconds of CPU to be counted', () => {
    const points = own.agent.usage('busy')?.points ?? [];
    return points.find(({ cpu_s }) => cpu_s > 2);
  });
  t.true(usage.rss_bytes > 0);
  await own.kill('busy', 0);
  const fills = contained('fills', 'dd if=/dev/zero of=$MESOS_SANDBOX/big bs=1M count=30; sleep 1000');
  fills.resources.push({ name: 'disk', type: 'SCALAR', scalar: { value: 10 } });
  const done = await own.outcome(fills);
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LIMITATION_DISK' });
  await until('its container to be removed', () => isEmpty(engine));
});

serialWith(docker && may_mount)(
  'on a full disk a container loses output and says so, never its end; tasks beside it are unharmed',
  async t => {
    const small = folderIn(ward.work_dir, 'small');
    t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small]).status, 0);
    t.teardown(() => void spawnSync('umount', ['--lazy', small]));
    const own = await openWard(t, { socket: engine.socket }, join(small, 'work'));
    const until_go = 'cd $MESOS_SANDBOX; until [ -e go ]; do sleep 0.05; done; ';
    await own.scheduler.launch([
      { ...contained('beside', `${until_go}exit 3`), container: undefined },
      contained('loud', `echo up; ${until_go}head -c 300000 /dev/zero; exit 5`),
    ]);
    await until('both to run', () => ['beside', 'loud'].every(id => own.scheduler.states(id).includes('TASK_RUNNING')));
    const ballast = join(small, 'ballast');
    t.throws(() => writeFileSync(ballast, Buffer.alloc(8 << 20)), { code: 'ENOSPC' });
    const refused = await own.outcome(contained('late', 'true'));
    t.like(refused, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
    for (const id of ['beside', 'loud']) writeFileSync(own.sandbox(id, 'go'), '');
    // What it wrote goes into its container's pipe, and from there nowhere.
    await until('its end', async () => (await engine.api.list()).every(({ State }) => State !== 'running'));
    rmSync(ballast);
    t.like(await own.scheduler.reached('loud', ...terminal), {
      state: 'TASK_FAILED',
      message: 'Container exited with status 5',
    });
    t.regex(own.output('loud', 'stderr'), /\d+ bytes of its output found no room/);
    t.is((await own.scheduler.reached('beside', ...terminal)).message, 'Command exited with status 3');
    await until('its container to go', () => isEmpty(engine));
  },
);

real('an end by request is TASK_KILLED: by the stop signal, and by SIGKILL when the grace is over', async t => {
  const trap = "trap 'echo got it; exit 7' INT; echo up; while :; do sleep 0.1; done";
  await ward.scheduler.launch([
    contained('heeds', trap, { parameters: [param('stop-signal', 'SIGINT')] }),
    contained('ignores', "trap '' TERM; echo up; while :; do sleep 0.1; done"),
  ]);
  for (const task of ['heeds', 'ignores'])
    await until(`${task} to speak`, async () => {
      await ward.scheduler.reached(task, 'TASK_RUNNING');
      return ward.output(task).includes('up');
    });
  await ward.kill('heeds', 60_000);
  t.like(await ward.scheduler.reached('heeds', 'TASK_KILLED'), { message: 'Container exited with status 7' });
  t.is(ward.output('heeds'), 'up\ngot it\n');
  await ward.kill('ignores', 300);
  t.like(await ward.scheduler.reached('ignores', 'TASK_KILLED'), { message: 'Container exited with status 137' });
  await until('the containers to be removed', () => isEmpty(engine));
});

real('what runs longer than it may is ended as that', async t => {
  const limit = { max_completion_time: { nanoseconds: 1e9 }, kill_policy: { grace_period: { nanoseconds: 0 } } };
  const done = await ward.outcome(contained('long', 'sleep 1000', {}, limit));
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_MAX_COMPLETION_TIME_REACHED' });
});

const refused: readonly [string, object, object, RegExp][] = [
  [
    'an image that is not there',
    { image: '127.0.0.1:1/nowhere:1' },
    {},
    /the image 127\.0\.0\.1:1\/nowhere:1 cannot be had: .*(refused|connect)/,
  ],
  [
    'a user that is not there',
    { parameters: [param('user', 'nobody-at-all')] },
    {},
    /unable to find user nobody-at-all/,
  ],
  [
    'an option that nobody knows',
    { parameters: [param('colour', 'blue')] },
    {},
    /option colour of docker run is not known: expected one of/,
  ],
  [
    'an option that is ours',
    { parameters: [param('restart', 'always')] },
    {},
    /option restart of docker run cannot be given/,
  ],
  [
    'a network that is not there',
    { network: 'USER' },
    { container: { network_infos: [{ name: 'blue' }] } },
    /network blue not found/,
  ],
  [
    'an entrypoint that is not there',
    { parameters: [param('entrypoint', '/no')] },
    { command: { shell: false } },
    /no.*no such file/,
  ],
];
for (const [index, [what, asked, more, words]] of refused.entries())
  real(`${what}: the task fails with the reason, in the words of who said no`, async t => {
    const line = 'command' in more ? undefined : 'true';
    const done = await ward.outcome(contained(`refused-${index}`, line, asked, more));
    t.like(done, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
    t.regex(done.message, words);
    t.false(ward.scheduler.states(`refused-${index}`).includes('TASK_RUNNING'));
    await until('nothing to be left', () => isEmpty(engine));
  });

test('where there is no engine a task in a container says so, and others run', async t => {
  const bare = await openWard(t, { socket: '/nowhere/docker.sock' });
  const done = await bare.outcome(contained('none', 'true'));
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
  t.regex(done.message, /no Docker engine answers at \/nowhere\/docker\.sock: there is no such socket/);
  const plain = { ...contained('plain', 'true'), container: undefined };
  t.is((await bare.outcome(plain)).state, 'TASK_FINISHED');
});
