// lan.ts: a small network of machines on this one, each a network namespace, around a router whose cables can be pulled.
//
// A wire of ours (test/chaos/wire.ts) ends connections, or swallows what passes; a kernel whose cable is out does neither: it
// keeps what it could not send, and sends it when the cable is back. So here nothing is simulated: a machine is unplugged by
// taking its link down, and what one machine says to another is lost on the router, in one direction and without a word.
//
// A namespace lives as long as a shell that holds a pipe to us, so nothing is left of it when this process dies.

import { execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { Owner } from './temp.ts';

/** Set where test/setup.sh found that namespaces can be made; needs root. */
export const may_cut = process.env.HORAE_TEST_NAMESPACES;

/** Where a program runs: under which address it is reached, and what stands before its command. */
export type Place = { readonly host: string; readonly enter: readonly string[] };
export type Machine = Place & {
  /** Its cable is out: nobody reaches it, it reaches nobody, and nobody is told. */
  unplug(): Promise<void>;
  plug(): Promise<void>;
};
export type Lan = {
  /** Our own address in it. */
  readonly host: string;
  readonly machines: readonly Machine[];
  /** What the first says to the second is lost until `mend`; the other way is another cut. */
  cut(from: Place, to: Place): Promise<void>;
  mend(from: Place, to: Place): Promise<void>;
};

const run = promisify(execFile);
/** 198.18.0.0/15 is kept for tests of networks: nobody's own addresses. */
const net = () => `198.${randomInt(18, 20)}.${randomInt(0, 256)}`;
const attempts_max = 10;

export async function startLan(t: Owner, count: number): Promise<Lan> {
  const router = await makeNamespace(t);
  await inside(router, 'ip link set lo up', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  const { prefix, host } = await join(t, router);
  const machines: Machine[] = [];
  for (let n = 1; n <= count; n++) machines.push(await makeMachine(n));

  /** Of each machine a net of four addresses: its own, and that of its gateway. */
  async function makeMachine(n: number): Promise<Machine> {
    const holder = await makeNamespace(t);
    const gateway = `${prefix}.${4 * n + 1}`;
    const own = `${prefix}.${4 * n + 2}`;
    const port = `m${n}`;
    await inside(
      router,
      `ip link add ${port} type veth peer name eth0 netns ${holder}`,
      `ip addr add ${gateway}/30 dev ${port}`,
      `ip link set ${port} up`,
    );
    await inside(
      holder,
      'ip link set lo up',
      `ip addr add ${own}/30 dev eth0`,
      'ip link set eth0 up',
      `ip route add default via ${gateway}`,
    );
    return {
      host: own,
      enter: entering(holder),
      unplug: () => inside(router, `ip link set ${port} down`),
      plug: () => inside(router, `ip link set ${port} up`),
    };
  }

  const rule = (verb: 'add' | 'del', from: Place, to: Place) =>
    inside(router, `ip rule ${verb} from ${from.host} to ${to.host} blackhole`);
  return { host, machines, cut: (from, to) => rule('add', from, to), mend: (from, to) => rule('del', from, to) };
}

/** A namespace, known by the process that holds it. */
async function makeNamespace(t: Owner): Promise<number> {
  const child = spawn('unshare', ['--net', 'sh', '-c', 'echo there; read -r _'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.on('error', () => undefined); // It may have ended before we close the pipe.
  t.teardown(() => void child.stdin.end());
  const said = once(child.stdout, 'data');
  const ended = once(child, 'exit').then(([status]) => {
    throw new Error(`a network namespace could not be made: unshare ended with ${status}`);
  });
  ended.catch(() => undefined); // When it is no longer wanted.
  await Promise.race([said, ended]);
  return child.pid!;
}

/** Ties us to the router, in a net that nobody here uses. */
async function join(t: Owner, router: number): Promise<{ readonly prefix: string; readonly host: string }> {
  for (let attempt = 1; ; attempt++) {
    const prefix = net();
    const port = `hz${randomInt(2 ** 24).toString(36)}`;
    const host = `${prefix}.2`;
    try {
      await run('ip', ['link', 'add', port, 'type', 'veth', 'peer', 'name', 'us', 'netns', String(router)]);
      // It goes with the router; this is for whoever looks before that has ended.
      t.teardown(() =>
        run('ip', ['link', 'del', port]).then(
          () => undefined,
          () => undefined,
        ),
      );
      await inside(router, `ip addr add ${prefix}.1/30 dev us`, 'ip link set us up');
      await run('ip', ['addr', 'add', `${host}/30`, 'dev', port]);
      await run('ip', ['link', 'set', port, 'up']);
      await run('ip', ['route', 'add', `${prefix}.0/24`, 'via', `${prefix}.1`]);
      return { prefix, host };
    } catch (error) {
      if (attempt === attempts_max) throw error;
      await inside(router, 'ip link del us').catch(() => undefined);
    }
  }
}

const entering = (holder: number) => ['nsenter', `--net=/proc/${holder}/ns/net`, '--'];

async function inside(holder: number, ...commands: readonly string[]): Promise<void> {
  const [program, ...argv] = entering(holder);
  await run(program!, [...argv, 'sh', '-ec', commands.join('\n')]);
}
