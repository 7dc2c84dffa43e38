// notices.test.ts: the leader of a cluster dies while people are being told: the next one sends the very same letters.

import { mailServer } from '../support/mail-server.ts';
import { serialWith } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { zookeeper } from '../support/zookeeper.ts';
import { said, startNodes } from './nodes.ts';

const testCluster = serialWith(zookeeper);

type Letter = { readonly id: string; readonly subject: string; readonly text: string; readonly attempts: number };

testCluster(
  'a letter that a leader could not deliver, or not hear of, is sent by the next one under the same id',
  async t => {
    t.timeout(5 * 60_000);
    const mail = await mailServer(t);
    const flags = [
      ...['--mail-server', `127.0.0.1:${mail.port}`, '--mail-from', 'horae@example.com'],
      ...[
        '--notify-gather-ms',
        '100',
        '--notify-interval-ms',
        '100',
        '--notify-retry-ms',
        '200',
        '--notify-retry-ms-max',
        '500',
      ],
    ];
    const cluster = await startNodes(t, { count: 2, flags });
    const first = await cluster.leader();
    // One mailbox is not served for now; to the other the server says nothing when it has taken the letter.
    mail.misbehave = (stage, about) => {
      if (stage === 'to' && about.includes('later@')) return { reply: '451 not now' };
      return stage === 'data' ? 'die' : undefined;
    };
    const job = { role: 'me', environment: 'test', command: 'echo "it was me" >&2; exit 3', cpus: 0.1, mem: 16 };
    for (const [name, owner] of [
      ['one', 'later@example.com'],
      ['two', 'once@example.com'],
    ]) {
      const created = await first.api.request('POST', '/api/v1/jobs', { ...job, name, owner });
      t.is(created.status, 201, created.text);
    }
    const [follower] = cluster.nodes.filter(node => node !== first);
    const letters = async (state: string) =>
      ((await follower!.api.get(`/api/v1/notifications?state=${state}`)) as { notifications: Letter[] }).notifications;
    // Seen on a node that follows: they are in the cluster's journal.
    const before = await until('both to be tried', async () => {
      const pending = await letters('pending');
      return pending.length === 2 && pending.every(one => one.attempts > 1) && pending;
    });
    t.true(
      before.every(one => one.text.includes('it was me')),
      JSON.stringify(before),
    );
    // A person's wish goes to the leader, whichever node hears it.
    const wished = await follower!.api.request('POST', `/api/v1/notifications/${before[0]!.id}/retry`);
    t.is(wished.status, 202, wished.text);
    await first.kill();
    mail.misbehave = undefined;
    await cluster.leader([follower!]);

    const delivered = await until(
      () => `both to be delivered\n${said(cluster.nodes)}`,
      async () => {
        const found = await letters('delivered');
        return found.length === 2 && found;
      },
    );
    const words = (all: readonly Letter[]) =>
      all.map(({ id, subject, text }) => ({ id, subject, text })).sort((a, b) => (a.id < b.id ? -1 : 1));
    t.deepEqual(words(delivered), words(before));
    t.deepEqual(await letters('pending'), []);
    const ids = (to: string) => mail.mails.filter(one => one.to.includes(to)).map(one => one.id);
    t.is(ids('later@example.com').length, 1);
    // Whoever heard nothing asks again: the mailbox has it twice or more, as one message.
    t.true(ids('once@example.com').length > 1);
    t.is(new Set(ids('once@example.com')).size, 1);
  },
);
