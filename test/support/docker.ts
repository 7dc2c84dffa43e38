// docker.ts: a real Docker engine for a test, its own from top to toe: socket, data, network, containers' namespace.
//
// The machine's firewall and its own engine, should it have one, are left alone: the engine here gets a bridge that is made
// for it and writes no rules, so published ports are reached on loopback through its proxy. A shell stands between it and us
// and holds a pipe to us: should this process die, the pipe ends, and the shell takes the engine along and clears up.
// Images are made of busybox, since no registry can be reached; what must be pulled comes from a registry in `registry.ts`.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { threadId } from 'node:worker_threads';
import { openEngine } from '../../mesos/local/docker/engine.ts';
import { isAlive, send } from './processes.ts';
import { type Owner, tempDir } from './temp.ts';
import { until } from './until.ts';

const run = promisify(execFile);

/** Path of a dockerd that test/setup.sh found to run here; undefined where none does. */
export const docker = process.env.HORAE_TEST_DOCKER;

/** By this thread. */
let started = 0;

export type TestEngine = {
  readonly socket: string;
  readonly api: ReturnType<typeof openEngine>;
  /** A tar of a root file system with busybox in it, /bin/sh and all. */
  readonly root_fs: () => Promise<Buffer>;
  /** Makes an image of busybox. `changes`: lines of a Dockerfile; `without`: programs that are not in it. */
  image(name: string, changes?: readonly string[], without?: readonly string[]): Promise<void>;
  pid(): number;
  /** SIGKILL, as a crash would. Containers are not asked. */
  kill(): Promise<void>;
  /** Starts it again on the same data. Resolves when it answers. */
  start(): Promise<void>;
};

/** Its parts' ends, and its network's. `$1`: bridge. `$2`: where it keeps things. The rest: dockerd's arguments. */
const script = `
bridge=$1 home=$2 address=$3
shift 3
ip link show "$bridge" >/dev/null 2>&1 ||
  { ip link add "$bridge" type bridge && ip addr add "$address" dev "$bridge" && ip link set "$bridge" up; } || exit 1
# A killed engine's parts stay as zombies where init is slow, and a new one would wait for them.
rm -f "$home/pid" "$home/exec/containerd/containerd.pid"
dockerd "$@" </dev/null >> "$home/log" 2>&1 & pid=$!
echo $pid
read -r word
[ "$word" = stay ] || kill -TERM $pid 2>/dev/null
wait $pid 2>/dev/null
if [ "$word" != stay ]; then
  ip link del "$bridge"
  for place in $(grep -o " $home/[^ ]*" /proc/self/mounts | sort -r); do umount -l "$place"; done
fi
`;

/** Resolves when it answers. Containers that are left are gone with it. `more`: further flags of dockerd. */
export async function startDocker(t: Owner, more: readonly string[] = []): Promise<TestEngine> {
  const home = await tempDir(t);
  const socket = join(home, 'docker.sock');
  // A net of 16 addresses of its own: engines of several test processes, and of several files in one, must not meet.
  const which = threadId * 4 + started++;
  const net = (process.pid * 16 + which) % 4096;
  const bridge = `hr${process.pid}-${which}`;
  const address = `10.213.${net >> 4}.${((net & 15) << 4) + 1}/28`;
  await writeFile(join(home, 'daemon.json'), '{}');
  const flags = [
    ...['--config-file', join(home, 'daemon.json'), '--host', `unix://${socket}`, '--pidfile', join(home, 'pid')],
    ...['--data-root', join(home, 'data'), '--exec-root', join(home, 'exec'), '--bridge', bridge],
    ...['--containerd-namespace', bridge, '--containerd-plugins-namespace', `${bridge}-plugins`],
    ...['--iptables=false', '--ip6tables=false', '--shutdown-timeout', '1'],
    ...more,
  ];
  const api = openEngine({ socketPath: socket });
  let shell: ChildProcess | undefined;
  let pid = -1;
  const answers = async () => (await api.architecture().catch(() => '')) !== '';
  const start = async () => {
    shell = spawn('sh', ['-c', script, 'sh', bridge, home, address, ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
    shell.stdin!.on('error', () => undefined); // It may have ended before we close the pipe.
    const [line] = (await once(shell.stdout!, 'data')) as [Buffer];
    pid = Number(line.toString());
    shell.stdout!.resume();
    await until('the Docker engine to answer', async () => {
      if (!isAlive(pid)) throw new Error(`dockerd ended: ${(await readFile(join(home, 'log'), 'utf8')).slice(-2000)}`);
      return answers();
    });
  };
  const end = async (word: string) => {
    if (shell === undefined) return;
    const over = once(shell, 'close');
    shell.stdin!.end(word);
    await over;
    shell = undefined;
  };
  t.teardown(async () => {
    if (await answers()) for (const { Id } of await api.list()) await api.remove(Id);
    await end('\n');
  });
  await start();

  let root_fs: Promise<Buffer> | undefined;
  const rootFs = () => {
    root_fs ??= busyboxTar(home);
    return root_fs;
  };
  return {
    socket,
    api,
    root_fs: rootFs,
    async image(name, changes = [], without = []) {
      const [repo = '', tag = 'latest'] = name.split(':');
      const query = new URLSearchParams({ fromSrc: '-', repo, tag });
      for (const change of changes) query.append('changes', change);
      let root = await rootFs();
      if (without.length > 0) {
        const lacking = join(home, 'lacking.tar');
        await writeFile(lacking, root);
        await run('tar', ['-f', lacking, '--delete', ...without.map(path => `./${path}`)]);
        root = await readFile(lacking);
      }
      const answer = await post(socket, `/images/create?${query}`, root);
      const said = await text(answer);
      if (answer.statusCode !== 200 || said.includes('"error"')) throw new Error(`no image ${name}: ${said}`);
    },
    pid: () => pid,
    async kill() {
      send(pid, 'SIGKILL');
      await until('the end of dockerd', () => !isAlive(pid));
      await end('stay\n');
    },
    start,
  };
}

async function busyboxTar(home: string): Promise<Buffer> {
  const root = join(home, 'root');
  for (const folder of ['bin', 'tmp', 'etc', 'www']) await mkdir(join(root, folder), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin', 'busybox'));
  const applets = (await run('/bin/busybox', ['--list'])).stdout.trim().split('\n');
  for (const applet of applets) if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet));
  await writeFile(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  await run('tar', ['-C', root, '-cf', join(home, 'root.tar'), '.']);
  return readFile(join(home, 'root.tar'));
}

async function post(socketPath: string, path: string, body: Buffer): Promise<IncomingMessage> {
  const asked = request({ socketPath, method: 'POST', path, headers: { 'content-type': 'application/x-tar' } });
  const answered = once(asked, 'response') as Promise<[IncomingMessage]>;
  const [answer] = await Promise.all([answered, pipeline(Readable.from([body]), asked).catch(() => undefined)]);
  return answer[0];
}
