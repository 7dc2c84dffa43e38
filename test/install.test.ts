// install.test.ts: when npm start and npm test install first, and when they do not.

import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { startChild } from './support/child.ts';
import { type Owner, tempDir } from './support/temp.ts';

// Plain JavaScript, which the compiler does not look into: by address, with the type told.
const installer = new URL('./install.mjs', import.meta.url);
const { whyInstall }: { whyInstall: (root: string) => string | undefined } = await import(installer.href);

type Packages = Record<string, { version?: string; integrity?: string; optional?: boolean }>;
const one = { version: '1.0.0', integrity: 'sha512-1' };

/** A checkout whose lock file asks for some packages and whose node_modules hold some. */
async function checkout(t: Owner, asked: Packages, installed?: Packages): Promise<string> {
  const directory = await tempDir(t);
  const write = (path: string, packages: Packages) => writeFile(join(directory, path), JSON.stringify({ packages }));
  await write('package-lock.json', { '': {}, ...asked });
  if (installed === undefined) return directory;
  await mkdir(join(directory, 'node_modules'));
  await write('node_modules/.package-lock.json', installed);
  return directory;
}

test('nothing is installed when everything asked for is there', async t => {
  const optional = { ...one, optional: true };
  t.is(whyInstall(await checkout(t, { a: one, b: one }, { a: one, b: one })), undefined);
  t.is(whyInstall(await checkout(t, { a: one, other_platform: optional }, { a: one })), undefined);
});

test('a fresh clone is installed', async t => {
  t.is(whyInstall(await checkout(t, { a: one })), 'node_modules is not there');
});

test('what differs from the lock file is installed anew, whichever way it differs', async t => {
  const two = { version: '2.0.0', integrity: 'sha512-2' };
  const why = async (asked: Packages, installed: Packages) => whyInstall(await checkout(t, asked, installed));
  t.is(await why({ a: two }, { a: one }), 'package-lock.json asks for a 2.0.0, there is 1.0.0');
  t.is(await why({ a: one, b: two }, { a: one }), 'package-lock.json asks for b, which is not there');
  t.is(await why({}, { a: one }), 'a is there, package-lock.json does not ask for it');
  t.is(await why({ a: { ...one, integrity: 'x' } }, { a: one }), 'package-lock.json asks for a 1.0.0, there is 1.0.0');
});

test('an installation that was cut short is done again', async t => {
  const directory = await checkout(t, { a: one }, { a: one });
  await rm(join(directory, 'node_modules/.package-lock.json'));
  t.is(whyInstall(directory), 'node_modules was not finished by npm');
  const pinned = await checkout(t, { 'node_modules/node': one }, { 'node_modules/node': one });
  t.is(whyInstall(pinned), 'the pinned Node, node_modules/node/bin/node, is not there');
});

test('an installation that fails says so, and stops what follows', async t => {
  const directory = await checkout(t, { 'node_modules/a': one });
  await mkdir(join(directory, 'test'));
  await cp(fileURLToPath(installer), join(directory, 'test/install.mjs'));
  await mkdir(join(directory, 'bin'));
  await writeFile(join(directory, 'bin/npm'), '#!/bin/sh\necho "asked: $*"; exit 7\n', { mode: 0o755 });
  const child = startChild(t, {
    command: process.execPath,
    argv: [join(directory, 'test/install.mjs')],
    env: { PATH: `${join(directory, 'bin')}:/usr/bin:/bin` },
  });
  t.deepEqual(await child.ended, { status: 1, signal: null });
  const output = child.output();
  t.true(output.includes('horae: node_modules is not there: running npm ci, once'));
  t.true(output.includes('asked: ci --include=dev --include=optional'));
  t.true(output.includes('horae: cannot install: npm ci failed with status 7, for the reason above it'));
});
