// own-kernel.ts: runs something under a Linux of its own, where this machine's does not show what a test wants to see.
//
// User Mode Linux is a kernel that is a program. Its root file system is ours, to be read and not written; what is written
// goes into its memory, and with it. It has one processor, all controllers of control groups in one hierarchy, and no network.

import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Owner, tempDir } from './temp.ts';

/** Path of such a kernel that test/setup.sh found to start here; undefined where none does. */
export const own_kernel = process.env.HORAE_TEST_OWN_KERNEL;

const memory = '/dev/shm';

const init = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/shm
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
export TMPDIR=/dev/shm HOME=/dev/shm PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
sh "$0.line"
poweroff -f 2>/dev/null
`;

/** Resolves with what was said on its console, when the line has ended. */
export async function underOwnKernel(t: Owner, line: string): Promise<string> {
  const home = await tempDir(t);
  const path = join(home, 'init');
  writeFileSync(path, init, { mode: 0o755 });
  writeFileSync(`${path}.line`, line);
  const file_system = ['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${path}`];
  const child = spawn(own_kernel!, ['mem=768M', 'quiet', 'con=null', 'con0=fd:0,fd:1', ...file_system], {
    // A group of its own: its processes are ours, and go together.
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    // Its memory is a file without a name, best where memory is.
    env: { PATH: process.env.PATH, HOME: home, TMPDIR: existsSync(memory) ? memory : home },
  });
  t.teardown(() => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended, as it should have.
    }
  });
  return await text(child.stdout);
}
