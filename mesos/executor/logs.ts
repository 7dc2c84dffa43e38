// logs.ts: what a process writes, on its way from a pipe into files that never grow beyond their size.
//
// A secretary with a shredder: writes down everything, begins a new sheet when one is full, keeps so many old ones and
// destroys the oldest. A process that writes faster than the disk can take waits at the pipe; nobody else notices. When the
// disk is full what comes is thrown away and counted, because a process that waits for a reader who has given up is dead.

import { closeSync, constants, fstatSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { hasCode, isGone } from '../local/processes.ts';

export type LogTarget = {
  readonly path: string;
  /** Absent: it grows. */
  readonly rotate?: { readonly size_bytes: number; readonly backups: number };
  /** Written to as well. */
  readonly console?: number;
};
export type LogStream = {
  /** Takes what is still in the pipe, and closes it. */
  readonly finish: () => void;
  readonly lost_bytes: () => number;
};

const buffer_bytes = 64 * 1024;

/** Reads a pipe with a name until it is finished. What the file holds already stays. */
export function openLog(pipe: string, target: LogTarget, report: (message: string) => void): LogStream {
  // Open for writing too: the end of the last writer is not the end of the pipe, the process decides that.
  const mode = constants.O_RDWR | constants.O_NONBLOCK;
  const rest = openSync(pipe, mode);
  const sheet = openSheet(target, report);
  const buffer = Buffer.allocUnsafe(buffer_bytes);
  const socket = new Socket({
    fd: openSync(pipe, mode),
    readable: true,
    writable: false,
    onread: {
      buffer,
      callback: (length, bytes) => {
        sheet.write(bytes as Buffer, length);
        return true;
      },
    },
  });
  socket.on('error', error => report(`cannot read ${pipe}: ${error.message}`));
  socket.resume();
  return {
    finish() {
      socket.destroy();
      // A stray may go on writing for ever; what a pipe holds at once is what was written before the end.
      for (let turns = 0; turns < 64; turns++) {
        const length = readSome(rest, buffer);
        if (length === 0) break;
        sheet.write(buffer, length);
      }
      closeSync(rest);
      sheet.close();
    },
    lost_bytes: sheet.lost_bytes,
  };
}

/** 0 when there is nothing to be read at present. */
function readSome(file: number, buffer: Buffer): number {
  try {
    return readSync(file, buffer);
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return 0;
    throw error;
  }
}

type Sheet = {
  readonly write: (bytes: Buffer, length: number) => void;
  readonly close: () => void;
  readonly lost_bytes: () => number;
};

export function openSheet({ path, rotate, console }: LogTarget, report: (message: string) => void): Sheet {
  let file = openSync(path, 'a');
  let size = fstatSync(file).size;
  let lost = 0;

  const writeAll = (to: number, bytes: Buffer, from: number, length: number): boolean => {
    try {
      for (let done = 0; done < length; ) done += writeSync(to, bytes, from + done, length - done);
      return true;
    } catch (error) {
      if (!['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO'].some(code => hasCode(error, code))) throw error;
      if (lost === 0) report(`${path}: ${(error as Error).message}: from here on output is lost`);
      lost += length;
      return false;
    }
  };
  const turnOver = (limit: NonNullable<LogTarget['rotate']>) => {
    closeSync(file);
    for (let old = limit.backups; old > 0; old--) move(old === 1 ? path : `${path}.${old - 1}`, `${path}.${old}`);
    if (limit.backups === 0) rmSync(path, { force: true });
    file = openSync(path, 'a');
    size = 0;
  };
  return {
    write(bytes, length) {
      if (console !== undefined) writeAll(console, bytes, 0, length);
      for (let done = 0; done < length; ) {
        if (rotate !== undefined && size >= rotate.size_bytes) turnOver(rotate);
        const count = Math.min(length - done, rotate === undefined ? length : rotate.size_bytes - size);
        if (writeAll(file, bytes, done, count)) size += count;
        done += count;
      }
    },
    close: () => closeSync(file),
    lost_bytes: () => lost,
  };
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}
