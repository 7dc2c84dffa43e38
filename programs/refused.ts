// refused.ts: how a program says no before it has begun: one line that names the setting, the value, and what would be right.
//
// What a person can mend is told without a stack; whatever else goes wrong at the start is a fault of ours, and has one.

import { readFileSync } from 'node:fs';
import type { Problem } from '../schedules/problem.ts';
import { JournalError } from '../transport/journal/journal.ts';

/** Something that a person can mend: said in one line, without a stack. */
export class Refused extends Error {}

/** Every problem on a line of its own, and the door. */
export function fail(problems: readonly Problem[]): never {
  for (const problem of problems) console.error(`horae: ${problem.message}`);
  process.exit(2);
}

/** The end of a program that could not start. */
export function cannotStart(error: unknown): never {
  if (error instanceof Refused || error instanceof JournalError) console.error(`horae: ${error.message}`);
  else console.error('horae: cannot start:', error);
  process.exit(1);
}

/** What a setting names is made or read; where the system will not, the setting is named with the reason. */
export function named<T>(flag: string, path: string, take: () => T): T {
  try {
    return take();
  } catch (error) {
    throw new Refused(`${flag} is ${path}: ${sayFile(error)}`);
  }
}

/** What a file of one line holds, less the newline that editors put at its end. */
export function oneLine(flag: string, path: string, note?: (flag: string) => void): string {
  const text = named(flag, path, () => readFileSync(path, 'utf8'));
  const line = text.replace(/\r?\n$/, '');
  if (line === '' || /[\r\n]/.test(line))
    throw new Refused(`${flag} is ${path}: expected one line that is not empty, and nothing else`);
  if (line !== text) note?.(flag);
  return line;
}

function sayFile(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EEXIST':
    case 'ENOTDIR':
      return 'there is a file where a directory is expected; choose another place';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'not permitted; choose another place, or start as somebody who may';
    case 'ENOSPC':
      return 'the device is full; free some space there';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

export function sayListen(error: unknown): string {
  const code = (error as { code?: string }).code;
  if (code === 'EADDRINUSE')
    return 'the port is in use; choose another with --http HOST:PORT, or port 0 for any free one';
  if (code === 'EACCES') return 'not permitted; choose a port above 1023';
  return error instanceof Error ? error.message : String(error);
}
