// unified.test.ts: limits in control groups of version 2, as a kernel keeps them that has no other.
//
// A machine gives each controller to one version alone, and this one's may be the first. So the tests of limits.test.ts that
// are about groups are played again under a kernel of its own.

import { join } from 'node:path';
import { testWith } from '../support/needs.ts';
import { own_kernel, underOwnKernel } from '../support/own-kernel.ts';
import { tapReader } from '../support/tap.ts';

const titles = [
  'a task that takes more memory than it was given is ended by its group, and says so; others live',
  'memory of a process that got away by setsid counts',
  'nobody of a task survives it in its group, and the group is gone with it',
  'an executor and its tasks share one limit, which is the sum of theirs',
  'CPU time is shared out by what was given; under a hard limit nobody gets more',
  'an agent that comes back knows what its tasks may use, and why one ended meanwhile',
];

testWith(own_kernel)('in control groups of version 2 limits hold as in those of version 1', async t => {
  const root = join(import.meta.dirname, '..', '..');
  const words = ['--tap', 'test/mesos-local/limits.test.ts', ...titles.flatMap(title => ['--match', `'${title}'`])];
  const lines = [
    'set -e',
    'grep -qw memory /sys/fs/cgroup/cgroup.controllers',
    '! grep -q "cgroup " /proc/self/mounts',
    `cd ${root}`,
    `HORAE_TEST_CGROUPS=1 ${process.execPath} node_modules/ava/entrypoints/cli.mjs ${words.join(' ')}`,
  ];
  const said = await underOwnKernel(t, lines.join('\n'));
  const passed: string[] = [];
  const read = tapReader();
  for (const line of said.split(/\r?\n/)) {
    const event = read(line);
    if (event?.type === 'test' && event.verdict === 'passed') passed.push(event.title);
  }
  t.deepEqual(passed.sort(), [...titles].sort(), said);
});
