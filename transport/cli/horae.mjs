#!/usr/bin/env node
// horae.mjs: the command `horae`, for whatever Node the machine has (20 or newer).
//
// Horae runs on the Node that its package pins. This file finds that Node and hands over to it: main.ts takes the place
// of this process where Node can do so (from 22.15 on), and is otherwise a child whose terminal, signals and end are
// passed through, at the price of some 40 MB for the one that waits. Plain JavaScript, since nothing has been checked yet.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Room for young objects, in MB, taken only when it is needed. In a storm of starts much is young and will live: the fewer
// the collections, the less is copied. Measured, a fifth of the time to start fifty thousand. package.json says it too.
const young_room = '--max-semi-space-size=128';
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const node = pinnedNode() ?? (installHere() ? pinnedNode() : undefined);
// A checkout holds TypeScript, the published package what was compiled from it.
const main = [join(root, 'main.ts'), join(root, 'main.js')].find(existsSync);
if (node === undefined) giveUp('the Node that it is pinned to is not installed', 'run npm ci');
else if (main === undefined) giveUp(`there is no main program in ${root}`, 'install the package again');
else handOver(node, [young_room, main, ...process.argv.slice(2)]);

/** The `node` package may lie in our own node_modules or, where we are a dependency ourselves, beside us. */
function pinnedNode() {
  try {
    const found = createRequire(import.meta.url).resolve('node/package.json');
    const path = join(dirname(found), 'bin', 'node');
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined; // Not installed: told apart from nothing else by resolve.
  }
}

/** In a checkout the installer of npm start is there too, so `npx horae` works in a fresh clone. Our output stays our own. */
function installHere() {
  const installer = join(root, 'test', 'install.mjs');
  return existsSync(installer) && spawnSync(process.execPath, [installer], { stdio: ['inherit', 2, 2] }).status === 0;
}

/**
 * @param {string} program
 * @param {string[]} argv
 */
function handOver(program, argv) {
  if (typeof process.execve === 'function') {
    process.removeAllListeners('warning'); // That execve is experimental is of no use to whoever typed `horae`.
    process.execve(program, [program, ...argv], process.env);
  }
  const child = spawn(program, argv, { stdio: 'inherit' });
  child.on('error', error => giveUp(`${program} could not be started: ${error.message}`, 'run npm ci'));
  // The terminal sends these to the whole group, but kill(1) only to us. A second INT means what a first one does.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'])
    process.on(signal, () => child.kill(signal));
  child.on('exit', (status, signal) => {
    if (signal === null) process.exit(status);
    // End as the child did, so that a shell or a supervisor sees the same; 128 + n where we cannot.
    process.removeAllListeners(signal);
    process.exitCode = 128 + constants.signals[signal];
    process.kill(process.pid, signal);
  });
}

function giveUp(reason, remedy) {
  console.error(`horae: ${reason}: ${remedy}`);
  process.exitCode = 1;
}
