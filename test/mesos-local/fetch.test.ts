// fetch.test.ts: what is brought into a sandbox and unpacked there, and what is kept of it for the next.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type FetchTerms, fetch_defaults, fetchAll } from '../../mesos/local/fetch/fetcher.ts';
import { systemClock } from '../../schedules/clock.ts';
import { type Owner, tempDir } from '../support/temp.ts';

/** An archive with one file, and sandboxes into which it is fetched. */
async function stage(t: Owner, name: string, words: readonly string[], terms: Partial<FetchTerms> = {}) {
  const folder = await tempDir(t);
  mkdirSync(join(folder, 'in'));
  writeFileSync(join(folder, 'in', 'word'), 'hello');
  const archive = join(folder, name);
  execFileSync('/bin/tar', [...words, archive, '-C', join(folder, 'in'), 'word']);
  const cache = join(folder, 'cache');
  const said: string[] = [];
  return {
    archive,
    cache,
    said,
    async fetch(into: string): Promise<string> {
      const sandbox = join(folder, into);
      mkdirSync(sandbox);
      const say = (line: string) => void said.push(line);
      const now = systemClock().now();
      await fetchAll([{ value: archive, cache: true, extract: true }], {
        ...{ sandbox, cache, now, say, terms: { ...fetch_defaults, ...terms } },
        signal: new AbortController().signal,
      });
      return readFileSync(join(sandbox, 'word'), 'utf8');
    },
  };
}

// One by one: who stands in line is counted for the whole program.
test.serial('as many fetch at a time as may, and the others stand in line', async t => {
  const { fetch, said } = await stage(t, 'words.tar', ['-cf'], { at_once_max: 1 });
  await Promise.all(['a', 'b', 'c'].map(fetch));
  const words = said.map(line => line.split(' ')[0]).filter(word => word?.startsWith('Fetch'));
  t.deepEqual(words, Array(3).fill(['Fetching', 'Fetched']).flat());
});

test('a cached archive is inflated once, for however many want it at a time, and unpacked for each', async t => {
  const { fetch, cache } = await stage(t, 'words.tar.gz', ['-czf']);
  t.deepEqual(await Promise.all(['a', 'b', 'c'].map(fetch)), ['hello', 'hello', 'hello']);
  const kept = readdirSync(cache).sort();
  t.is(kept.length, 2);
  t.is(kept[1], `${kept[0]}.tar`);
  // What was compressed is not read again.
  writeFileSync(join(cache, kept[0]!), 'spoilt');
  t.is(await fetch('d'), 'hello');
});

test('an archive that is not compressed as its name says is unpacked all the same', async t => {
  const { fetch, said, cache } = await stage(t, 'words.tgz', ['-cf']);
  t.is(await fetch('a'), 'hello');
  t.true(said.some(line => line.startsWith('Not kept unpacked: ')));
  t.is(readdirSync(cache).length, 1, 'half of it is not left lying');
});

test('an archive that was cut short fails, and leaves nothing of itself in the cache but itself', async t => {
  const { fetch, archive, cache } = await stage(t, 'words.tar.gz', ['-czf']);
  writeFileSync(archive, readFileSync(archive).subarray(0, 60));
  await t.throwsAsync(fetch('a'), { message: /^the archive cannot be read: unexpected end of file/ });
  t.is(readdirSync(cache).length, 1);
});
