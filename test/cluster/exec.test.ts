// exec.test.ts: commands in tasks by way of a node that does not lead: it asks the agent itself, and the leader for the record.

import { runsOf } from '../program/horae.ts';
import { sitDown } from '../program/terminal.ts';
import { serialWith } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { zookeeper } from '../support/zookeeper.ts';
import { startNodes } from './nodes.ts';

const key = 'me/test/stays';

serialWith(zookeeper)(
  'a standby opens a session, which outlives the leader; without a leader none is begun, since none is on record',
  async t => {
    t.timeout(10 * 60_000);
    const cluster = await startNodes(t, { count: 2 });
    const leader = await cluster.leader();
    const standby = cluster.nodes.find(node => node !== leader)!;
    const job = {
      role: 'me',
      environment: 'test',
      name: 'stays',
      service: true,
      mem: 64,
      disk: 50,
      command: 'sleep 1000',
    };
    t.is((await standby.api.request('POST', '/api/v1/jobs', job)).status, 201);
    await until('it to run', async () => (await runsOf(standby.api, key))[0]?.instances[0]?.state === 'running');

    // Nor has it ever seen an offer of the agent.
    const { run } = (await runsOf(standby.api, key))[0]!;
    const files = await standby.api.request('GET', `/api/v1/jobs/${key}/runs/${run}/instances/0/files`);
    t.regex(files.text, /"name":"stdout"/);

    const place = sitDown(standby.api, key, { command: ['sh', '-c', 'echo ready; exec cat'] });
    await place.shows(/^ready\n/);
    await leader.kill();
    place.type('still here\n');
    await place.shows(/^still here\n/m);
    const outcome = await sitDown(standby.api, key, { command: ['true'] }).ended;
    // Whoever is elected meanwhile may do it; before that nobody can write it down.
    if (outcome.type === 'refused') t.regex(outcome.message, /leads|leader/);
    else t.like(outcome, { type: 'end', code: 0 });
    await cluster.leader([standby]);
    place.endOfInput();
    t.like(await place.ended, { type: 'end', code: 0 });
    const { audit } = (await standby.api.get('/api/v1/audit')) as { audit: Record<string, string>[] };
    const of = (command: string) => audit.filter(row => row.command === command && row.detail?.includes('exec cat'));
    t.like(of('begin-session')[0], { result: 'began' });
    t.like(of('end-session')[0], { result: 'ended', detail: '["sh","-c","echo ready; exec cat"]: exited with 0' });
  },
);
