// exec.test.ts: a command in a task that a real Docker engine runs: its bytes, its code, its terminal, and its end.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { isGone } from '../../mesos/local/processes.ts';
import { type Api, runsOf, startHorae } from '../program/horae.ts';
import { sitDown } from '../program/terminal.ts';
import { docker, startDocker } from '../support/docker.ts';
import { serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';

const owner = fileOwner();
let api: Api;
test.before(async () => {
  if (docker === undefined) return;
  const engine = await startDocker(owner);
  await engine.image('busybox:1');
  ({ api } = await startHorae(owner, join(await tempDir(owner), 'data'), ['--docker', engine.socket]));
  const job = {
    role: 'me',
    environment: 'test',
    name: 'boxed',
    mem: 64,
    command: 'sleep 1000',
    env: { WHO: 'the box' },
  };
  await api.request('POST', '/api/v1/jobs', { ...job, container: { image: 'busybox:1' } });
  await until('it to run', async () =>
    (await runsOf(api, 'me/test/boxed')).find(({ instances }) => instances[0]?.state === 'running'),
  );
});
test.after.always(owner.clean);
const real = serialWith(docker);

const main = join(import.meta.dirname, '..', '..', 'main.ts');
const launch = (...argv: readonly string[]) =>
  spawn(process.execPath, [main, 'task', 'exec', '--url', api.url, 'me/test/boxed', ...argv], {
    env: { PATH: process.env.PATH },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
const exec = async (input: string, ...argv: readonly string[]) => {
  const child = launch(...argv);
  child.stdin.end(input);
  const ended = new Promise<number | null>(resolve => child.on('close', resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, out, err };
};

real('a command runs in the container of its task, with its variables, and ends with its own code', async t => {
  const script = 'echo "$WHO"; cat /proc/1/cmdline | tr "\\0" " "; cat; echo bad >&2; exit 4';
  const { code, out, err } = await exec('typed\n', '-T', '--', 'sh', '-c', script);
  t.regex(out, /^the box\n.*sleep 1000.*typed\n$/s);
  t.deepEqual({ code, err }, { code: 4, err: 'bad\n' });
  const shown = await exec('until stty size 2>/dev/null; do :; done; exit 5\n', '-t', '--', 'sh');
  t.regex(shown.out, /\r\n24 80\r\n/);
  t.is(shown.code, 5);
});

real('in a container too nobody of a session stays when its user goes away', async t => {
  const seconds = 20_000_000 + process.pid;
  const child = launch('-T', '--', 'sh', '-c', `echo ready; exec sleep ${seconds}`);
  await new Promise(resolve => child.stdout.once('data', resolve));
  const sleeps = () =>
    readdirSync('/proc').some(pid => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `sleep\0${seconds}\0`;
      } catch (error) {
        if (isGone(error)) return false;
        throw error;
      }
    });
  await until('it to sleep', sleeps);
  child.kill('SIGKILL');
  await until('it to be gone', () => !sleeps());
  t.pass();
});

real('a terminal in a container that is made larger is larger for what runs in it', async t => {
  const place = sitDown(api, 'me/test/boxed', { command: ['sh'], terminal: { rows: 24, columns: 80, term: 'vt100' } });
  place.type('until stty size | grep "^24 80"; do :; done\n');
  await place.shows(/24 80\r\n/);
  (await place.ready)({ rows: 50, columns: 132 });
  place.type('until stty size | grep "^50 132"; do sleep 0.1; done; exit 3\n');
  await place.shows(/50 132\r\n/);
  t.like(await place.ended, { type: 'end', code: 3 });
});
