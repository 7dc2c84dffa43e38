// mesos.test.ts: `horae mesos` as a person starts it: a master and agents in a process of its own.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { isLoopback } from '../../settings.ts';
import { readCredentials, readMesos } from '../../transport/cli/mesos.ts';
import { command, type Json, post, subscribe } from '../mesos-local/support/client.ts';
import { type Child, endOf, startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { type Owner, tempDir } from '../support/temp.ts';

const main = join(import.meta.dirname, '..', '..', 'main.ts');

async function startMesos(t: Owner, flags: readonly string[]): Promise<{ child: Child; url: string }> {
  const child = startChild(t, { command: process.execPath, argv: [main, 'mesos', ...flags] });
  const [, url] = await child.line(/^Mesos on (\S+) with \d+ (?:real|simulated) agents?\.$/, 60_000);
  return { child, url: url! };
}

const cpusOf = (offer: Json): number => offer.resources.find(({ name }: Json) => name === 'cpus').scalar.value;

test('two agents, each with a share of the machine and a folder of its own; a signal ends it in good order', async t => {
  const work_dir = await tempDir(t);
  const { child, url } = await startMesos(t, [
    ...['--agents', '2', '--listen', '127.0.0.1:0', '--work-dir', work_dir, '--allocation-interval-ms', '0'],
    ...['--agent-attributes', 'rack:a|rack:b', '--agent-resources', 'cpus:3;mem:256;ports:[31000-31009]'],
  ]);
  const scheduler = await subscribe({ url, credentials: undefined });
  await scheduler.until(events => events.flatMap(event => event.offers?.offers ?? []).length === 2);
  const offers = scheduler.events.flatMap(event => event.offers?.offers ?? []);
  t.deepEqual(
    offers.map(({ hostname, attributes, resources }: Json) => [
      hostname,
      attributes[0].text.value,
      cpusOf({ resources }),
    ]),
    [
      ['agent-1', 'a', 3],
      ['agent-2', 'b', 3],
    ],
  );
  for (const [index, offer] of offers.entries())
    await scheduler.accept(offer, [
      {
        type: 'LAUNCH',
        launch: { task_infos: [{ ...command(`t-${index}`, `echo ${index}`), agent_id: offer.agent_id }] },
      },
    ]);
  for (const index of [0, 1]) {
    await scheduler.reached(`t-${index}`, 'TASK_FINISHED');
    const sandbox = join(work_dir, `agent-${index + 1}`, 'sandboxes', offers[index].agent_id.value, `t-${index}`);
    t.is(readFileSync(join(sandbox, 'stdout'), 'utf8'), `${index}\n`);
  }
  child.send('SIGTERM');
  t.deepEqual(await endOf(child), { status: 0, signal: null });
  await scheduler.until(() => scheduler.isEnded());
});

test('after kill -9 the next start adopts what runs and tells what ended, and no task runs twice', async t => {
  const work_dir = await tempDir(t);
  const port = await freePort();
  const flags = ['--agents', '2', '--listen', `127.0.0.1:${port}`, '--work-dir', work_dir];
  const first = await startMesos(t, [...flags, '--allocation-interval-ms', '0']);
  const scheduler = await subscribe({ url: first.url, credentials: undefined });
  const gate = join(work_dir, 'gate');
  const begun = (id: string) => join(work_dir, `begun-${id}`);
  const script = (id: string, wait: string) => `echo x >> ${begun(id)}; ${wait}; exit 7`;
  const waiting = `until [ -e ${gate} ]; do sleep 0.05; done`;
  await scheduler.until(events => events.flatMap(event => event.offers?.offers ?? []).length === 2);
  for (const [index, offer] of scheduler.events.flatMap(event => event.offers?.offers ?? []).entries())
    await scheduler.accept(offer, [
      {
        type: 'LAUNCH',
        launch: {
          task_infos: [
            { ...command(`long-${index}`, script(`long-${index}`, waiting)), agent_id: offer.agent_id },
            { ...command(`short-${index}`, script(`short-${index}`, waiting)), agent_id: offer.agent_id },
          ],
        },
      },
    ]);
  const all = ['long-0', 'short-0', 'long-1', 'short-1'];
  for (const id of all) await scheduler.reached(id, 'TASK_RUNNING');
  // Only the program itself: its tasks are not its children in any sense that matters to them.
  first.child.send('SIGKILL');
  await first.child.ended;
  writeFileSync(gate, '');
  const second = await startMesos(t, flags);
  const again = await subscribe({ url: second.url, credentials: undefined }, scheduler.framework_id().value);
  for (const id of all) {
    const status = await again.reached(id, 'TASK_FAILED');
    t.is(status.message, 'Command exited with status 7', id);
    t.is(readFileSync(begun(id), 'utf8'), 'x\n', id);
  }
  second.child.send('SIGINT');
  t.deepEqual(await endOf(second.child), { status: 0, signal: null });
  const fewer = await startMesos(t, ['--agents', '1', '--listen', '127.0.0.1:0', '--work-dir', work_dir]);
  await fewer.child.line(/"left":\["agent-2"\]/);
});

test('simulated agents run nothing: a command that sleeps and exits is as long and ends as it says', async t => {
  const work_dir = join(await tempDir(t), 'untouched');
  const { url } = await startMesos(t, [
    '--agents',
    '50',
    '--simulated',
    '--listen',
    '127.0.0.1:0',
    '--work-dir',
    work_dir,
  ]);
  const scheduler = await subscribe({ url, credentials: undefined });
  await scheduler.until(events => events.flatMap(event => event.offers?.offers ?? []).length === 50);
  const marker = join(work_dir, 'never');
  await scheduler.launch([command('one', `touch ${marker}; sleep 0.2; exit 3`), command('two', 'sleep infinity')]);
  t.is((await scheduler.reached('one', 'TASK_FAILED')).message, 'Command exited with status 3');
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'two' } } });
  t.is((await scheduler.reached('two', 'TASK_KILLED')).message, 'Command terminated with signal Terminated');
  t.false(existsSync(marker));
});

test('its agents take the flags that the agent of horae dev takes', async t => {
  const work_dir = await tempDir(t);
  const large = join(work_dir, 'large');
  writeFileSync(large, Buffer.alloc(2 ** 20 + 1));
  const { url } = await startMesos(t, [
    ...['--listen', '127.0.0.1:0', '--work-dir', join(work_dir, 'mesos'), '--agent-resources', 'cpus:3;mem:256'],
    ...['--fetch-mb-max', '1', '--sandboxes-max', '0', '--swept-max', '5', '--docker-keep-minutes', '1'],
  ]);
  const scheduler = await subscribe({ url, credentials: undefined });
  const task = command('greedy', 'true');
  await scheduler.launch([{ ...task, command: { ...task.command, uris: [{ value: `file://${large}` }] } }]);
  t.regex((await scheduler.reached('greedy', 'TASK_FAILED')).message, /larger than 1048576 bytes/);
});

test('with a credentials file only those in it may subscribe, each under his own principal', async t => {
  const dir = await tempDir(t);
  const file = join(dir, 'credentials');
  writeFileSync(file, 'fw s3cret\nops other\n');
  const { url } = await startMesos(t, ['--agents', '0', '--listen', '127.0.0.1:0', '--credentials', file]);
  const info = { user: 'root', name: 'x', capabilities: [{ type: 'MULTI_ROLE' }] };
  const body = (principal: string) => ({ type: 'SUBSCRIBE', subscribe: { framework_info: { ...info, principal } } });
  t.is((await post({ url, credentials: undefined }, body('fw'))).status, 401);
  t.is((await post({ url, credentials: { principal: 'fw', secret: 'other' } }, body('fw'))).status, 401);
  const fw = { url, credentials: { principal: 'fw', secret: 's3cret' } };
  t.like(await post(fw, body('ops')), {
    status: 400,
    text: "Failed to validate scheduler::Call: Authenticated principal 'fw' does not match principal 'ops' set in `FrameworkInfo`",
  });
  const scheduler = await subscribe(fw, undefined, { principal: 'fw' });
  const ops = { url, credentials: { principal: 'ops', secret: 'other' } };
  const revive = { type: 'REVIVE', framework_id: scheduler.framework_id() };
  t.like(await post(ops, revive, { 'Mesos-Stream-Id': scheduler.stream }), {
    status: 400,
    text: "Authenticated principal 'ops' does not match principal 'fw' set in `FrameworkInfo`",
  });
  t.is((await scheduler.call({ type: 'REVIVE' })).status, 202);
  // Through a tunnel the address has another name. Without credentials that would be a page in somebody's browser.
  const renamed = { Host: 'mesos.example:5050' };
  t.is((await post(fw, body('fw'), { ...renamed, Authorization: undefined })).status, 401);
  t.is((await post(fw, 'no JSON', renamed)).status, 400);
  const open = await startMesos(t, ['--agents', '0', '--listen', '127.0.0.1:0']);
  t.is((await post({ url: open.url, credentials: undefined }, 'no JSON', renamed)).status, 403);
});

test('a port that is taken, and a work directory in use, are refused in a line', async t => {
  const work_dir = await tempDir(t);
  const { url } = await startMesos(t, ['--agents', '1', '--listen', '127.0.0.1:0', '--work-dir', work_dir]);
  const { port } = new URL(url);
  const start = (flags: readonly string[]) =>
    startChild(t, { command: process.execPath, argv: [main, 'mesos', ...flags] });
  const taken = start(['--simulated', '--listen', `127.0.0.1:${port}`]);
  t.is((await endOf(taken)).status, 1);
  t.regex(taken.output(), /^horae: cannot listen on --listen 127\.0\.0\.1:\d+: the port is in use/);
  const second = start(['--agents', '1', '--listen', '127.0.0.1:0', '--work-dir', work_dir]);
  t.is((await endOf(second)).status, 1);
  t.regex(second.output(), /^horae: cannot run agents in \S+: \S+agent-1 is in use by process \d+/);
});

test('what cannot be is said before anything starts', t => {
  const messages = (...argv: string[]) => {
    const read = readMesos(argv, isLoopback);
    return read.ok ? [] : read.problems.map(({ message }) => message);
  };
  t.deepEqual(messages('--agents', '65'), ['--agents is 65: expected at most 64 real agents, or --simulated']);
  t.deepEqual(messages('--agents', '65', '--simulated'), []);
  t.regex(messages('--listen', '0.0.0.0:5050')[0]!, /expected a loopback address, or --credentials FILE$/);
  t.deepEqual(messages('--listen', '0.0.0.0:5050', '--credentials', '/x'), []);
  t.is(messages('--agent-attributes', 'rack').length, 1);
});

test('credentials are read as Mesos reads them, and a wrong line is named without its secret', t => {
  const one = [{ principal: 'fw', secret: 's' }];
  t.deepEqual(readCredentials('fw s'), { ok: true, value: one });
  t.deepEqual(readCredentials('\nfw\ts \r\n'), { ok: true, value: one });
  t.deepEqual(readCredentials('{"credentials": [{"principal": "fw", "secret": "s"}]}'), { ok: true, value: one });
  for (const text of ['', 'fw', 'fw s hidden', '{', '{"credentials": [{"principal": "hidden"}]}', '{}']) {
    const read = readCredentials(text);
    t.false(read.ok, text);
    if (!read.ok) t.false(read.problems[0]!.message.includes('hidden'), text);
  }
});
