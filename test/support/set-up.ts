// set-up.ts: what `npm test` tells every test, for programs started by themselves: imported first, it asks test/setup.sh.
//
// Where the real parts are (the servers of ZooKeeper, whether cables can be pulled) is found out once, by the script that
// knows how to install them too. Whoever reads HORAE_TEST_... reads it after this.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

if (process.env.HORAE_TEST_ZOOKEEPER === undefined) {
  const said = spawnSync('sh', [join(import.meta.dirname, '..', 'setup.sh')], { encoding: 'utf8' }).stdout;
  for (const [, name, value] of said.matchAll(/^(HORAE_TEST_\w+)=(.+)$/gm)) process.env[name!] = value;
  if (process.env.HORAE_TEST_ZOOKEEPER === undefined) {
    console.error(`needs the servers of ZooKeeper: ${/^missing: ZooKeeper: .*$/m.exec(said)?.[0] ?? said}`);
    process.exit(1);
  }
}
