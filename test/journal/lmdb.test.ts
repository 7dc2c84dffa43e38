// lmdb.test.ts: the journal in lmdb keeps the contract.

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { lmdbJournal } from '../../transport/journal/lmdb.ts';
import { contract, type Home, type HomeOptions } from './contract.ts';

const scratch = await mkdtemp(join(tmpdir(), 'horae-journal-'));
let homes = 0;
test.after.always(() => rm(scratch, { recursive: true, force: true }));

function lmdbHome(path: string, options: HomeOptions): Home {
  return {
    next: (changed = {}) =>
      lmdbJournal({ path, schemas: {}, retention: {}, now: () => 0, map_size: 2 ** 28, ...options, ...changed }),
    crashed: async () => {
      const copy = join(scratch, String(homes++));
      await cp(path, copy, { recursive: true });
      await rm(join(copy, 'instance.lock'), { force: true }); // Its holder is this process, which lives on.
      return lmdbHome(copy, options);
    },
  };
}

contract(test, 'in lmdb', async options => lmdbHome(join(scratch, String(homes++)), options), 6);
