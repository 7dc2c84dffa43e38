// exec.test.ts: `horae task exec` against the real program and real tasks: who one is in there, bytes, ends, terminals, records.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import test from 'ava';
import { WebSocket } from 'ws';
import { isGone } from '../../mesos/local/processes.ts';
import { as_root, may_group, serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, runsOf, startHorae } from './horae.ts';

const root = join(import.meta.dirname, '..', '..');
const owner = fileOwner();
let api: Api;
let data_dir: string;
test.before(async () => {
  data_dir = await tempDir(owner);
  const flags = ['--session-idle-ms', '3000', '--sessions-max', '2', '--usage-interval-ms', '50'];
  ({ api } = await startHorae(owner, data_dir, flags));
  await begin('live', 'echo $$ > pid; export BORN=late; sleep 1000');
});
test.after.always(owner.clean);

const begin = async (name: string, command: string, more: object = {}) => {
  const job = { role: 'me', environment: 'test', name, command, mem: 64, disk: 50, ...more };
  const { status, text } = await api.request('POST', '/api/v1/jobs', job);
  if (status !== 201) throw new Error(`${status} ${text}`);
  return until(`${name} to run`, async () =>
    (await runsOf(api, `me/test/${name}`)).find(({ instances }) => instances[0]?.state === 'running'),
  );
};

type Typed = { readonly input?: string | Uint8Array; readonly env?: Record<string, string> };
const launch = (argv: readonly string[], env: Record<string, string> = {}) =>
  spawn(process.execPath, [join(root, 'main.ts'), 'task', 'exec', '--url', api.url, ...argv], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
const exec = async (argv: readonly string[], { input = '', env }: Typed = {}) => {
  const child = launch(argv, env);
  // A command that does not read is gone before it has all.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const ended = new Promise<number | null>(resolve => child.on('close', resolve));
  const [out, err] = await Promise.all([buffer(child.stdout), text(child.stderr)]);
  return { code: await ended, out, said: out.toString(), err };
};
/** So long does nobody else sleep here. */
const sleep_s = (nth: number) => 10_000_000 + process.pid * 10 + nth;
const sleeps = (seconds: number) =>
  readdirSync('/proc').some(pid => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `sleep\0${seconds}\0`;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  });
const audited = async () =>
  ((await api.get('/api/v1/audit?limit=1000')) as { audit: Record<string, string>[] }).audit.filter(({ command }) =>
    command?.endsWith('-session'),
  );

test.serial('a command has the sandbox, user and environment of its task, and ends with its own code', async t => {
  const script = 'pwd; id -u; echo "$HORAE_JOB $MESOS_TASK_ID $BORN"; cat pid; echo bad >&2; exit 4';
  const { code, said, err } = await exec(['me/test/live/0', '--', 'sh', '-c', script]);
  const [sandbox, user, who, pid] = said.split('\n');
  const task = /me:test:live:\S+:0:1$/.exec(sandbox!)?.[0];
  t.is(user, String(process.getuid!()));
  t.is(who, `me/test/live ${task} `, 'what its command has set since is its own');
  t.is(pid, readFileSync(join(sandbox!, 'pid'), 'utf8').trim());
  t.deepEqual({ code, err }, { code: 4, err: 'bad\n' });
  t.is((await exec(['me/test/live', '--', 'sh', '-c', 'kill -9 $$'])).code, 137);
  t.is((await exec(['me/test/live', '--', 'no-such-program'])).code, 127);
});

test.serial('any bytes go in and come out as they are', async t => {
  const given = randomBytes(3_000_001);
  const { code, out } = await exec(['me/test/live', '-T', '--', 'cat'], { input: given });
  t.is(code, 0);
  t.true(out.equals(given), `${out.length} bytes came back`);
});

test.serial('with a terminal: a prompt, a size that follows, Ctrl-C for the command alone, and its code', async t => {
  const child = launch(['-t', 'me/test/live', '--', 'sh'], { TERM: 'vt100' });
  let seen = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    seen += piece;
  });
  const closed = new Promise<number | null>(resolve => child.on('close', resolve));
  const shows = (what: RegExp) =>
    until(
      () => `${what} in ${JSON.stringify(seen)}`,
      () => what.exec(seen) ?? undefined,
    );
  child.stdin.write('echo "<$TERM $(stty size)>"; tty\n');
  await shows(/<vt100 24 80>\r\n\/dev\/pts\/\d+\r\n/);
  child.stdin.write(`sleep ${sleep_s(0)}; echo "then $?"\n`);
  await until('the command to run', () => sleeps(sleep_s(0)));
  child.stdin.write('\x03');
  child.stdin.write('echo "still $((40 + 2))"; exit 9\n');
  await shows(/still 42\r\n/);
  t.is(await closed, 9);
});

test.serial('what is run is on record with who ran it, where, and how it ended', async t => {
  await exec(['me/test/live', '--', 'sh', '-c', 'exit 3']);
  const [ended, began] = await audited();
  t.like(began, { principal: 'local', command: 'begin-session', result: 'began', detail: '["sh","-c","exit 3"]' });
  t.like(ended, { command: 'end-session', result: 'ended', detail: '["sh","-c","exit 3"]: exited with 3' });
  t.regex(began!.target!, /^me\/test\/live\/[^/]+\/0$/);
});

test.serial(
  'nobody of a session stays: neither when its user goes away, nor when it is silent for too long',
  async t => {
    const line = (seconds: number) => ['sh', '-c', `setsid sleep ${seconds} & echo ready; exec sleep ${seconds}`];
    const child = launch(['me/test/live', '-T', '--', ...line(sleep_s(1))]);
    await new Promise(resolve => child.stdout.once('data', resolve));
    await until('it to sleep', () => sleeps(sleep_s(1)));
    child.kill('SIGKILL');
    await until('its company to be gone', () => !sleeps(sleep_s(1)));
    const { code, err } = await exec(['me/test/live', '-T', '--', ...line(sleep_s(2))]);
    t.is(code, 255);
    t.is(err, 'horae: ended after 3000 ms without a byte\n');
    t.false(sleeps(sleep_s(2)));
    const rows = await audited();
    t.true(rows.some(({ detail }) => detail?.endsWith('its user went away')));
    t.true(rows.some(({ detail }) => detail?.endsWith('ended after 3000 ms without a byte')));
  },
);

test.serial('where no command can be run, it is said why', async t => {
  const refused = async (...argv: string[]) => {
    const { code, err } = await exec([...argv, '--', 'true']);
    return `${code} ${err}`;
  };
  t.is(await refused('me/test/none'), '255 horae: the scheduler answered 404: there is no job me/test/none\n');
  t.regex(
    await refused('me/test/live/7'),
    /^255 .*409: instance 7 of job me\/test\/live does not run: its active runs/,
  );
  const waits = { role: 'me', environment: 'test', name: 'waits', command: 'true', cpus: 1_000 };
  await api.request('POST', '/api/v1/jobs', waits);
  t.regex(
    await refused('me/test/waits'),
    /^255 .*409: instance me\/test\/waits\/\S+ does not run: it waits for an offer/,
  );
  const { run } = await begin('short', 'exec sleep 1000');
  await api.request('POST', '/api/v1/jobs/me/test/short/kill');
  await until('its end', async () => (await runsOf(api, 'me/test/short'))[0]?.state === 'killed');
  t.regex(await refused('me/test/short'), /^255 .*409: job me\/test\/short does not run: no run of it is active/);
  t.regex(await refused('me/test/short', '--run', run), /^255 .*409: no run \S+ of job me\/test\/short is active/);
  const open = [launch(['me/test/live', '-T', '--', 'cat']), launch(['me/test/live', '-T', '--', 'cat'])];
  for (const child of open) child.stdin.write('x');
  await Promise.all(open.map(child => new Promise(resolve => child.stdout.once('data', resolve))));
  t.regex(await refused('me/test/live'), /^255 .*503: 2 commands are being run in tasks: the limit is 2/);
  for (const child of open) child.stdin.end();
  await Promise.all(open.map(child => new Promise(resolve => child.on('close', resolve))));
});

test.serial("a page of another site, and a name that is not this server's, open no session", async t => {
  const path = '/api/v1/jobs/me/test/live/session';
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
  const key = { 'sec-websocket-key': randomBytes(16).toString('base64') };
  const { request } = await import('node:http');
  const status = (headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const asked = request(`${api.url}${path}`, { headers: { ...upgrade, ...key, ...headers } });
      asked.on('response', answer => resolve(answer.resume().statusCode)).on('error', reject);
      asked.on('upgrade', (answer, socket) => {
        socket.destroy();
        resolve(answer.statusCode);
      });
      asked.end();
    });
  t.is(await status({ origin: 'https://evil.example' }), 403);
  t.is(await status({ host: 'evil.example' }), 403);
  t.is(await status({ origin: api.url }), 101);
});

test.serial('whoever does not begin as one begins is told so, and nothing is begun', async t => {
  const rows = (await audited()).length;
  const first = (word: string | Buffer) =>
    new Promise<string>((resolve, reject) => {
      const ws = new WebSocket(`${api.url.replace('http', 'ws')}/api/v1/jobs/me/test/live/session`);
      ws.on('open', () => ws.send(word)).on('error', reject);
      ws.on('close', (code, why) => resolve(`${code} ${why.toString()}`));
    });
  const size = { rows: 24, columns: 80 };
  for (const word of [
    'begin',
    '{"type":"eof"}',
    '{"type":"begin","command":[]}',
    '{"type":"begin","command":["a\\u0000b"]}',
    JSON.stringify({ type: 'begin', command: ['x'.repeat(65_537)] }),
    JSON.stringify({ type: 'begin', terminal: { ...size, rows: 0 } }),
    JSON.stringify({ type: 'begin', terminal: { ...size, term: 'x; rm -rf /' } }),
    Buffer.from('{"type":"begin"}'),
  ])
    t.is(await first(word), '1007 expected {"type":"begin"} first', String(word).slice(0, 100));
  t.is((await audited()).length, rows);
});

test.serial('what runs beside a task is held by its limits, and ends with it', async t => {
  await begin('ends', 'sleep 1000');
  const child = launch(['me/test/ends', '-T', '--', 'sh', '-c', 'cat /proc/self/cgroup; echo; exec sleep 613']);
  const closed = new Promise<number | null>(resolve => child.on('close', resolve));
  let groups = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    groups += piece;
  });
  await until('its groups', () => groups.endsWith('\n\n'));
  if (may_group !== undefined) t.regex(groups, /\/horae\//, 'in the control groups of the task');
  await api.request('POST', '/api/v1/jobs/me/test/ends/kill');
  t.is(await closed, 137);
});

serialWith(as_root)(
  "as root: beside a task of another user one is that user, and its environment stands in nobody's arguments",
  async t => {
    const { chmodSync } = await import('node:fs');
    chmodSync(data_dir, 0o711);
    await begin('nobody', 'echo "$HUSH" > /dev/null; exec sleep 1000', {
      user: 'nobody',
      env: { HUSH: "it's a secret\nof two lines", LD_PRELOAD: './none.so' },
    });
    const script = 'id -un; echo "$HUSH"; tr "\\0" " " < /proc/$PPID/cmdline; touch mine && stat -c %U mine';
    const { said, code } = await exec(['me/test/nobody', '--', 'sh', '-c', script]);
    t.is(code, 0);
    t.true(said.startsWith("nobody\nit's a secret\nof two lines\n"), said);
    t.true(said.endsWith('nobody\n'));
    t.false(said.slice(40).includes('secret'));
    const shown = await exec(['-t', 'me/test/nobody', '--', 'sh', '-c', 'exec 9<>$(tty) && echo "own it"']);
    t.regex(shown.said, /own it\r\n$/);
  },
);
