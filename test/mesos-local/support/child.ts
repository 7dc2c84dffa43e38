// child.ts: a one-machine Mesos in a process of its own, which a test may kill -9 whenever it likes.

import { resourcesFor, startLocalMesos } from '../../../mesos/local/index.ts';
import { systemClock } from '../../../schedules/clock.ts';

const mesos = await startLocalMesos({
  work_dir: process.argv[2]!,
  clock: systemClock(),
  log: {
    info() {},
    warn() {},
    error: (fields, message) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
  },
  resources: resourcesFor({ cpus: 100, mem: 100_000, disk: 100_000 }),
  ...JSON.parse(process.argv[3] ?? '{}'),
});
process.stdout.write(`${JSON.stringify({ url: mesos.url, credentials: mesos.credentials, agent: mesos.agent?.id })}\n`);
// Nothing of the master keeps a process alive by itself but its port; the parent ends us.
