// dress.test.ts: variables for a task of another user: told whole, by a file that nobody else can open, or not at all.

import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dressed } from '../../mesos/local/dress.ts';
import { may_mount, testWith } from '../support/needs.ts';

const folder = (t: ExecutionContext) => {
  const path = mkdtempSync(join(tmpdir(), 'horae-dress-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
};
const somebody = { user: { name: 'nobody', uid: 65_534, gid: 65_534 }, rlimits: [] };

test('variables lie in a file without a name, and a shell reads them as they were', t => {
  const path = folder(t);
  const words = `it's "so" $HOME \`x\` \\ ü\n\nend`;
  const { argv, env, wardrobe } = dressed(['/usr/bin/env', '-0'], { WORDS: words }, somebody, path);
  t.deepEqual(readdirSync(path), []);
  t.false(JSON.stringify([argv, env]).includes('WORDS'));
  const shell = argv.slice(argv.indexOf('/bin/sh'));
  const { stdout } = spawnSync(shell[0]!, shell.slice(1), { env, stdio: ['ignore', 'pipe', 'inherit', wardrobe!] });
  closeSync(wardrobe!);
  t.true(stdout.toString().split('\0').includes(`WORDS=${words}`));
});

test('a variable that no shell can have is refused with its name', t => {
  t.throws(() => dressed(['/bin/true'], { 'a-b': 'x' }, somebody, folder(t)), { message: /"a-b" .*expected letters/ });
});

testWith(may_mount)('where the disk takes only a part of the variables the task is refused, and nothing stays', t => {
  const path = folder(t);
  t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', path]).status, 0);
  t.teardown(() => spawnSync('umount', [path]));
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  t.throws(() => dressed(['/bin/true'], { LONG: 'x'.repeat(20_000) }, somebody, path), { code: 'ENOSPC' });
  t.deepEqual([readdirSync(path), open()], [[], before]);
});
