// full-disk.test.ts: the disk under the sandboxes is full, through the whole program: who says what, and who lives on.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { may_mount, testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { runsOf, startHorae } from './horae.ts';

testWith(may_mount)(
  'on a full disk under the sandboxes each task says so by name, those that run live on, and with room all goes on',
  async t => {
    const folder = await tempDir(t);
    const agent = join(folder, 'data', 'agent');
    mkdirSync(agent, { recursive: true });
    t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', agent]).status, 0);
    t.teardown(() => void spawnSync('umount', ['--lazy', agent]));
    writeFileSync(join(folder, 'file'), Buffer.alloc(1 << 20, 'f'));
    const resources = 'cpus:16;mem:8000;disk:4000';
    const { api } = await startHorae(t, join(folder, 'data'), ['--agent-resources', resources, '--limits', 'off']);
    const submit = async (name: string, document: object) => {
      const job = { role: 'me', environment: 'test', name, mem: 32, cpus: 0.1, ...document };
      const { status, text } = await api.request('POST', '/api/v1/jobs', job);
      t.is(status, 201, text);
    };
    const runIn = (name: string, state: string) =>
      until(`${name} to be ${state}`, async () =>
        (await runsOf(api, `me/test/${name}`)).find(run => [run.state, run.instances[0]?.state].includes(state)),
      );
    await submit('steady', { service: true, command: 'sleep 1000' });
    await runIn('steady', 'running');
    const fill = join(folder, 'filled');
    await submit('fills', { command: `dd if=/dev/zero of=big bs=64k; echo $? > ${fill}; sleep 1000` });
    await until('the disk to be full', () => existsSync(fill));

    await submit('late', { command: 'true' });
    await submit('fetches', { command: 'true', fetch: [{ uri: join(folder, 'file') }] });
    for (const name of ['late', 'fetches']) {
      const { instances } = await runIn(name, 'failed');
      t.is(instances[0]!.reason!.code, 'launch-failed', name);
      t.regex(JSON.stringify(instances[0]!.reason), /ENOSPC|no space left|nothing can be written/, name);
    }
    t.like((await runIn('steady', 'running')).instances[0], { state: 'running', attempt: 1 });
    const { run } = await runIn('fills', 'running');
    const said = await api.request('GET', `/api/v1/jobs/me/test/fills/runs/${run}/instances/0/files`);
    t.regex(said.text, /"name":"big"/, 'its files can be looked at all the same');

    const of_fills = JSON.parse(said.text) as { entries: { name: string; size: number }[] };
    t.true(of_fills.entries.find(({ name }) => name === 'big')!.size > 2 << 20);
    spawnSync('find', [agent, '-name', 'big', '-delete']);
    await submit('again', { command: 'test $(wc -c < file) = 1048576', fetch: [{ uri: join(folder, 'file') }] });
    await runIn('again', 'succeeded');
    t.is((await api.request('POST', '/api/v1/jobs/me/test/fills/kill')).status < 300, true);
    await runIn('fills', 'killed');
    rmSync(fill);
  },
);
