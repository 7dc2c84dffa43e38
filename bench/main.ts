// main.ts: `npm run bench`: all benchmarks, or the one that is named, with what is given to it.
//
//   npm run bench                                        every benchmark in its usual size
//   npm run bench -- offers --agents 1000 --json         one, sized, as a line of JSON
//   npm run bench -- --check                             all, held against their floors
//
// A benchmark is a program, bench/NAME.ts, which can also be run by itself. Each runs in a process of its own, so that
// none measures another's garbage.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { nearest } from '../schedules/nearest.ts';

const here = import.meta.dirname;
/** Files that benchmarks share, or run. */
const parts = ['main.ts', 'report.ts', 'engine.ts', 'instances.ts', 'restoring.ts', 'listed.ts', 'program.ts'];
const names = readdirSync(here)
  .filter(file => file.endsWith('.ts') && !parts.includes(file))
  .map(file => basename(file, '.ts'))
  .sort();

const [first, ...rest] = process.argv.slice(2);
const named = first !== undefined && !first.startsWith('-');
if (named && !names.includes(first)) {
  const near = nearest(first, names);
  const hint = near === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${near}?`;
  console.error(`bench: there is no benchmark "${first}": ${hint}`);
  process.exitCode = 2;
} else {
  for (const name of named ? [first] : names) {
    const ended = await run(join(here, `${name}.ts`), named ? rest : process.argv.slice(2));
    if (ended === 0) continue;
    console.error(`bench: ${name} ended with ${ended}`);
    process.exitCode = 1;
  }
}

/** Runs one with the options of this Node (`--expose-gc`), and tells its status or the signal that ended it. */
function run(file: string, argv: readonly string[]): Promise<number | string> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [...process.execArgv, file, ...argv], { stdio: 'inherit' });
    child.once('error', error => resolve(error.message));
    child.once('exit', (status, signal) => resolve(status ?? signal ?? 'no status'));
  });
}
