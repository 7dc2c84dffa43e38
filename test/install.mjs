// install.mjs: what npm start and npm test need, installed first when it is missing.
//
// Runs before both, with whatever Node the machine has (20 or newer), so it is plain JavaScript and uses nothing but
// Node. npm leaves in node_modules/.package-lock.json what it really installed; when that differs from what
// package-lock.json asks for, `npm ci` makes them equal. Contents are compared rather than times: a checkout of another
// branch may leave an old lock file with a new time, and the other way round.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const node_major_min = 20;

/**
 * Why `npm ci` must run in `root`, in one line; undefined when everything asked for is there.
 * @param {string} root
 * @returns {string | undefined}
 */
export function whyInstall(root) {
  const asked = packagesIn(join(root, 'package-lock.json'));
  if (asked === undefined)
    throw new Error(`${join(root, 'package-lock.json')} is missing or not JSON: expected npm's lock file`);
  if (!existsSync(join(root, 'node_modules'))) return 'node_modules is not there';
  const installed = packagesIn(join(root, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return 'node_modules was not finished by npm';
  for (const [place, wanted] of Object.entries(asked)) {
    if (place === '') continue; // The project itself.
    const present = installed[place];
    // What is optional and not there is for another platform.
    if (present === undefined && (wanted.optional || wanted.devOptional)) continue;
    if (present === undefined) return `package-lock.json asks for ${place}, which is not there`;
    if (present.version !== wanted.version || present.integrity !== wanted.integrity)
      return `package-lock.json asks for ${place} ${wanted.version}, there is ${present.version}`;
  }
  const extra = Object.keys(installed).find(place => asked[place] === undefined);
  if (extra !== undefined) return `${extra} is there, package-lock.json does not ask for it`;
  // The pinned Node is fetched by its package's own script, of which npm keeps no record.
  if (asked['node_modules/node'] !== undefined && !existsSync(join(root, 'node_modules', 'node', 'bin', 'node')))
    return 'the pinned Node, node_modules/node/bin/node, is not there';
  return undefined;
}

/** @param {string} path */
function packagesIn(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined; // Absent or cut short: either way npm has to write it anew.
  }
}

/**
 * npm puts node_modules/.bin first on the PATH of scripts, and so our own Node: the one that `npm ci` is about to remove.
 * @param {string} path
 */
function withoutScripts(path) {
  const own = directory =>
    directory.endsWith(`${sep}node_modules${sep}.bin`) || directory.endsWith(`${sep}node-gyp-bin`);
  return path
    .split(delimiter)
    .filter(directory => !own(directory))
    .join(delimiter);
}

function main() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < node_major_min)
    return fail(`this is Node ${process.versions.node}: expected Node ${node_major_min} or newer`);
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const why = whyInstall(root);
  if (why === undefined) return;
  console.log(`horae: ${why}: running npm ci, once`);
  const env = { ...process.env, PATH: withoutScripts(process.env.PATH ?? '') };
  // Tests need the development packages too, whatever NODE_ENV says.
  const done = spawnSync('npm', ['ci', '--include=dev', '--include=optional'], { cwd: root, env, stdio: 'inherit' });
  if (done.error) return fail(`npm could not be started (${done.error.message}): expected npm on the PATH`);
  if (done.status !== 0)
    return fail(`npm ci failed with ${done.signal ?? `status ${done.status}`}, for the reason above it`);
  const still = whyInstall(root);
  if (still !== undefined) return fail(`npm ci ended well, and yet ${still}: does npm run with --ignore-scripts?`);
}

function fail(reason) {
  console.error(`horae: cannot install: ${reason}`);
  process.exitCode = 1;
}

if (process.argv[1] && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(import.meta.url))) main();
