// zookeeper.ts: real ZooKeeper servers for a test, alone or as an ensemble, and what may go wrong between them and us.
//
// Each member is a Java process with a small heap on loopback ports, its data in a directory of the test. A shell stands
// between it and us and holds a pipe to us: should this process die, the pipe ends and the shell takes the server with
// it. A proxy stands where a cable would: it knows the protocol's frames, and can lose, hold and cut them one by one.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import type { Place } from './lan.ts';
import { isAlive, send } from './processes.ts';
import { type Owner, tempDir } from './temp.ts';
import { until } from './until.ts';

/** The jar of its servers, as test/setup.sh found it; undefined where there is none. */
export const zookeeper = process.env.HORAE_TEST_ZOOKEEPER;

export type EnsembleOptions = {
  readonly members?: 1 | 3;
  readonly tick_ms?: number;
  /** Longest packet; left out, ZooKeeper's own default of 1,048,575. */
  readonly jute_maxbuffer?: number;
  /** Waits for the device at each write, as ZooKeeper does unless told; left out, tests do not. */
  readonly sync?: boolean;
  readonly heap_mb?: number;
  /** Further lines of zoo.cfg. */
  readonly config?: readonly string[];
  /** Where the data of member n lie; left out, in a directory of the test. */
  readonly data_dir?: (id: number) => string;
  /** The machine of each member; left out, all are on this one. */
  readonly places?: readonly Place[];
};
export type Member = {
  readonly port: number;
  readonly address: string;
  pid(): number;
  /** SIGKILL, as a power cut would. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again with the data it had. Resolves when it is a process; `serving` says when it is more. */
  start(): Promise<void>;
  /** SIGSTOP: connections stay open, nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** `leader`, `follower`, `standalone`; undefined while it does not serve. */
  mode(): Promise<string | undefined>;
  serving(): Promise<void>;
};
export type Ensemble = {
  readonly members: readonly Member[];
  /** `127.0.0.1:1234,...` */
  readonly servers: string;
};

const attempts_max = 5;
const here: Place = { host: '127.0.0.1', enter: [] };

/** Resolves when every member serves. */
export async function startZooKeeper(t: Owner, options: EnsembleOptions = {}): Promise<Ensemble> {
  const directory = await tempDir(t);
  const count = options.members ?? 1;
  const places = Array.from({ length: count }, (_, n) => options.places?.[n] ?? here);
  for (let attempt = 1; ; attempt++) {
    const ports = await Promise.all(Array.from({ length: count * 3 }, freePort));
    const peers = Array.from(
      { length: count },
      (_, n) => `server.${n + 1}=${places[n]!.host}:${ports[count + 2 * n]}:${ports[count + 2 * n + 1]}`,
    );
    const members = await Promise.all(
      Array.from({ length: count }, (_, n) =>
        makeMember(
          t,
          n + 1,
          places[n]!,
          ports[n]!,
          join(directory, `${attempt}-${n + 1}`),
          count === 1 ? [] : peers,
          options,
        ),
      ),
    );
    try {
      await Promise.all(members.map(member => member.serving()));
      return { members, servers: members.map(member => member.address).join(',') };
    } catch (error) {
      // Somebody else may have taken one of the ports.
      await Promise.all(members.map(member => member.kill()));
      if (attempt === attempts_max) throw error;
    }
  }
}

async function makeMember(
  t: Owner,
  id: number,
  { host, enter }: Place,
  port: number,
  directory: string,
  peers: readonly string[],
  { tick_ms = 100, jute_maxbuffer, sync = false, heap_mb = 128, config = [], data_dir }: EnsembleOptions,
): Promise<Member> {
  const data = data_dir?.(id) ?? join(directory, 'data');
  await mkdir(data, { recursive: true });
  await mkdir(directory, { recursive: true });
  await writeFile(join(data, 'myid'), `${id}\n`);
  const file = join(directory, 'zoo.cfg');
  const lines = [
    `tickTime=${tick_ms}`,
    'initLimit=100',
    'syncLimit=25',
    `dataDir=${data}`,
    `clientPort=${port}`,
    `clientPortAddress=${host}`,
    'minSessionTimeout=500',
    'maxSessionTimeout=600000',
    'maxClientCnxns=0',
    'admin.enableServer=false',
    '4lw.commands.whitelist=*',
    ...peers,
    ...config,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const java = [
    `-Xmx${heap_mb}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-XX:+ExitOnOutOfMemoryError',
    `-Dzookeeper.forceSync=${sync ? 'yes' : 'no'}`,
    '-Dzookeeper.preAllocSize=1024',
    '-Dzookeeper.cnxTimeout=1000',
    '-Dzookeeper.fastleader.maxNotificationInterval=500',
    ...(jute_maxbuffer === undefined ? [] : [`-Djute.maxbuffer=${jute_maxbuffer}`]),
    '-cp',
    zookeeper!,
    'org.apache.zookeeper.server.quorum.QuorumPeerMain',
    file,
  ];
  let shell: ChildProcess | undefined;
  let pid = -1;
  const start = async () => {
    const script = 'java "$@" </dev/null & echo $!; read -r _; kill -9 $! 2>/dev/null';
    const [program, ...argv] = [...enter, 'sh', '-c', script, 'sh', ...java] as [string, ...string[]];
    shell = spawn(program, argv, { cwd: directory, stdio: ['pipe', 'pipe', 'ignore'] });
    shell.stdin!.on('error', () => undefined); // It may have ended before we close the pipe.
    const [line] = (await once(shell.stdout!, 'data')) as [Buffer];
    pid = Number(line.toString());
    shell.stdout!.resume();
  };
  const kill = async () => {
    if (pid < 0) return;
    send(pid, 'SIGKILL');
    shell?.stdin?.end();
    await until(`the end of ZooKeeper member ${id}`, () => !isAlive(pid));
  };
  t.teardown(kill);
  await start();
  const mode = async () => /^Mode: (\w+)/m.exec(await fourLetters(host, port, 'srvr'))?.[1];
  return {
    port,
    address: `${host}:${port}`,
    pid: () => pid,
    kill,
    start,
    freeze: () => send(pid, 'SIGSTOP'),
    thaw: () => send(pid, 'SIGCONT'),
    mode,
    async serving() {
      await until(`ZooKeeper member ${id} on port ${port} to serve`, async () => {
        if (!isAlive(pid)) throw new Error(`ZooKeeper member ${id} ended before it served`);
        return (await mode()) !== undefined;
      });
    },
  };
}

/** Asks a server one of its four-letter words; an empty answer when it gives none. */
function fourLetters(host: string, port: number, word: string): Promise<string> {
  return new Promise(resolve => {
    let said = '';
    const socket = connect(port, host, () => socket.write(word));
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('data', data => {
      said += data.toString();
    });
    socket.on('error', () => undefined); // No server yet; 'close' follows.
    socket.on('close', () => resolve(said));
  });
}

// --- the cable --------------------------------------------------------------------------------------------------------

export type Direction = 'to-server' | 'to-client';
/** `lose`: the frame and the connection with it. `half`, `cut`: half of it, or all of it, passes, then the connection goes. */
export type Verdict = 'pass' | 'lose' | 'half' | 'cut';
export type Cable = {
  readonly port: number;
  readonly address: string;
  /** Judges each frame as it comes; left out, all pass. */
  judge: ((frame: Buffer, direction: Direction) => Verdict) | undefined;
  /** Breaks the connections there are. */
  breakAll(): void;
  /** Breaks them, and refuses new ones until `mend`. */
  cut(): void;
  /**
   * Nothing passes any more, in either direction or in this one; connections stay open, and new ones are taken: a cable
   * pulled out.
   */
  stall(direction?: Direction): void;
  mend(): void;
  readonly connections: () => number;
};

/** `host`: where it listens. */
export async function startProxy(t: Owner, target_port: number, host = '127.0.0.1'): Promise<Cable> {
  const pairs = new Set<{ readonly client: Socket; readonly server: Socket }>();
  let mode: 'open' | 'cut' | 'stalled' | Direction = 'open';
  const destroyAll = () => {
    for (const { client, server } of pairs) {
      client.destroy();
      server.destroy();
    }
  };
  const listener = createServer(client => {
    if (mode === 'cut') return void client.destroy();
    const server = connect(target_port, '127.0.0.1');
    const pair = { client, server };
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.setNoDelay();
      socket.on('error', () => undefined); // 'close' follows.
      socket.on('close', end);
    }
    const forward = (from: Socket, to: Socket, direction: Direction) => {
      let rest = Buffer.alloc(0);
      from.on('data', data => {
        // What falls out of a cable is gone; whoever mends it gets new connections.
        if (mode === 'stalled' || mode === direction) return;
        rest = Buffer.concat([rest, data]);
        while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
          const frame = rest.subarray(0, 4 + rest.readInt32BE(0));
          rest = rest.subarray(frame.length);
          const verdict = proxy.judge?.(frame, direction) ?? 'pass';
          if (verdict === 'lose') return end();
          if (verdict === 'pass') to.write(frame);
          else return void to.end(verdict === 'half' ? frame.subarray(0, frame.length >> 1) : frame, end);
        }
      });
    };
    forward(client, server, 'to-server');
    forward(server, client, 'to-client');
  });
  listener.listen(0, host);
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  t.teardown(async () => {
    destroyAll();
    listener.close();
  });
  const proxy: Cable = {
    port,
    address: `${host}:${port}`,
    judge: undefined,
    breakAll: destroyAll,
    cut() {
      mode = 'cut';
      destroyAll();
    },
    stall(direction) {
      mode = direction ?? 'stalled';
    },
    mend() {
      if (mode !== 'open') destroyAll();
      mode = 'open';
    },
    connections: () => pairs.size,
  };
  return proxy;
}

/** What a request is: the operation's number, in a frame that goes to the server and is not the first of its connection. */
export const operationOf = (frame: Buffer): number => (frame.length < 12 ? 0 : frame.readInt32BE(8));
export const operations = { create: 1, exists: 3, get: 4, multi: 14 } as const;
