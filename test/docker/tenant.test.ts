// tenant.test.ts: whose a container's sandbox is, where the engine and the image are what they say of themselves.

import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { handIn } from '../../mesos/local/docker/tenant.ts';
import { as_root, testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';

const passwd = 'root:x:0:0:root:/:/bin/sh\nwww:x:33:34:www:/:/bin/sh\n';
const engineThat = (remaps: boolean) => ({
  file: async (_: string, path: string) => (path === '/etc/passwd' ? Buffer.from(passwd) : undefined),
  remaps: async () => remaps,
});

testWith(as_root)(
  'a sandbox goes to whomever its image runs as, and stays where that number is another outside',
  async t => {
    const folder = await tempDir(t);
    const given = async (name: string, user: string, remaps: boolean) => {
      const sandbox = join(folder, name);
      mkdirSync(join(sandbox, 'fetched'), { recursive: true });
      const why = await handIn(engineThat(remaps), 'c', user, sandbox);
      return [why, statSync(join(sandbox, 'fetched')).uid] as const;
    };
    t.deepEqual(await given('www', 'www', false), [undefined, 33]);
    t.deepEqual(await given('root', '', false), [undefined, 0]);
    t.deepEqual(await given('nobody-known', 'nobody-known', false), [undefined, 0]);
    const [why, uid] = await given('remapped', 'www', true);
    t.regex(why ?? '', /runs as user 33, and its sandbox stays ours: its engine gives users other numbers/);
    t.is(uid, 0);
  },
);
