// sshd.ts: a real sshd of a test's own: its port, its keys, its one user; and a cable to it that can be cut.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../../support/child.ts';
import { freePort } from '../../support/free-port.ts';
import { type Owner, tempDir } from '../../support/temp.ts';

export type Sshd = {
  /** Flags for `horae remote-run`: where it is, and who we are. */
  readonly flags: readonly string[];
  /** Where its keys are. */
  readonly folder: string;
  readonly port: number;
};

export async function startSshd(t: Owner, program: string): Promise<Sshd> {
  const folder = await tempDir(t);
  const key = (name: string) => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(folder, name)]);
    return readFileSync(join(folder, `${name}.pub`), 'utf8');
  };
  const host_key = key('host');
  await writeFile(join(folder, 'authorized'), key('user'), { mode: 0o600 });
  const port = await freePort();
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host')}`,
    `AuthorizedKeysFile ${join(folder, 'authorized')}`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin yes',
    'MaxStartups 100',
    'PidFile none',
  ];
  await writeFile(join(folder, 'config'), `${lines.join('\n')}\n`);
  const server = startChild(t, { command: program, argv: ['-D', '-e', '-f', join(folder, 'config')], cwd: folder });
  await server.line(/Server listening on 127\.0\.0\.1/);
  const known_hosts = join(folder, 'known');
  await writeFile(known_hosts, `* ${host_key}`);
  const flags = ['--host', '127.0.0.1', '--user', userInfo().username, '--ssh-config', '/dev/null'];
  return {
    folder,
    port,
    flags: [...flags, '--identity', join(folder, 'user'), '--known-hosts', known_hosts],
  };
}

/** A way to a port that can be cut: everything on it ends, and nobody gets through until it is mended. */
export type Cable = {
  readonly port: number;
  readonly cut: () => void;
  readonly mend: () => void;
  /** Cuts what is open, once, when so many bytes have gone to the other side; what comes afterwards gets through. */
  readonly snapAfter: (bytes: number) => void;
};

export async function layCable(t: Owner, port: number): Promise<Cable> {
  const open = new Set<Socket>();
  let whole = true;
  let left = Number.POSITIVE_INFINITY;
  const server = createServer(here => {
    if (!whole) return void here.destroy();
    const there = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [here, there],
      [there, here],
    ] as const) {
      open.add(one);
      one.on('error', () => undefined); // Cut while it was carrying something: that is what the test is about.
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
    here.on('data', piece => {
      left -= piece.length;
      if (left > 0) return;
      left = Number.POSITIVE_INFINITY;
      drop();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const drop = () => {
    for (const socket of open) socket.destroy();
  };
  t.teardown(() => {
    drop();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      whole = false;
      drop();
    },
    mend: () => {
      whole = true;
    },
    snapAfter: bytes => {
      left = bytes;
    },
  };
}
