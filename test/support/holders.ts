// holders.ts: who holds what nobody should: files below a folder, and command lines, in which a text stands.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, isGone } from '../../mesos/local/processes.ts';

/** Regular files below a folder in which one of the texts stands. Folders called `rootfs` are containers' own. */
export function filesWith(folder: string, ...texts: readonly string[]): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name);
    try {
      if (entry.isDirectory()) return entry.name === 'rootfs' ? [] : filesWith(path, ...texts);
      // What has no size may be a file of the kernel's.
      const bytes = entry.isFile() && statSync(path).size > 0 ? readFileSync(path) : Buffer.alloc(0);
      return texts.some(text => bytes.includes(text)) ? [path] : [];
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return []; // It went meanwhile.
      throw error;
    }
  });
}

/** Processes of others whose command line holds the text. */
export const commandLinesWith = (text: string): readonly string[] =>
  readdirSync('/proc').filter(entry => {
    if (!/^\d+$/.test(entry) || entry === String(process.pid)) return false;
    try {
      return readFileSync(`/proc/${entry}/cmdline`).includes(text);
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  });
