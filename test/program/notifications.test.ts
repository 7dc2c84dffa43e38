// notifications.test.ts: the real program tells real servers what becomes of jobs, each event by each channel, while
// receivers and the program itself are killed and come back.
//
// What is counted is ids: a receiver that died before it could answer is told again under the same id, which is no second
// letter. So for each event and each place there is exactly one id under which it was told.

import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { NoticeEvent } from '../../actors/model/notices.ts';
import { signatureOf } from '../../transport/notify/webhook.ts';
import { httpSink, type Sink } from '../support/http-sink.ts';
import { type MailServer, mailServer } from '../support/mail-server.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, type Running, runsOf, startHorae } from './horae.ts';

/** In what is told to nobody. */
const secret = 'between-the-two-of-us';
const soon = (ms: number) => new Date(Date.now() + ms).toISOString();

const places = ['mail', 'slack', 'mattermost', 'sentry', 'chronos', 'webhook'] as const;
type PlaceName = (typeof places)[number];
/** One thing that was told to one place, under which id. */
type Told = { readonly place: PlaceName; readonly id: string; readonly text: string };

type Receivers = { readonly mail: MailServer; readonly sink: Sink };
const receivers = async (t: ExecutionContext): Promise<Receivers> => ({
  mail: await mailServer(t),
  sink: await httpSink(t),
});

/** Every place of the settings, and little patience. */
const flagsFor = ({ mail, sink }: Receivers): readonly string[] => [
  ...['--mail-server', `127.0.0.1:${mail.port}`, '--mail-from', 'horae@example.org'],
  ...['--slack-url', `${sink.url}/slack`, '--mattermost-url', `${sink.url}/mattermost`],
  ...['--raven-dsn', `http://key@127.0.0.1:${sink.port}/7`, '--http-notification-url', `${sink.url}/chronos`],
  ...['--webhook-secret', secret, '--notify-private-allowed'],
  ...[
    '--late-grace-ms',
    '100',
    '--notify-gather-ms',
    '50',
    '--notify-interval-ms',
    '50',
    '--notify-retry-ms',
    '50',
    '--notify-retry-ms-max',
    '250',
  ],
];

function toldTo({ mail, sink }: Receivers): readonly Told[] {
  const by_mail = mail.mails.map(({ id, subject, text }): Told => ({ place: 'mail', id, text: `${subject}\n${text}` }));
  const by_http = sink.requests.map(({ path, headers, body }): Told => {
    if (path === '/api/7/envelope/') {
      const [head, , event] = body.split('\n');
      return { place: 'sentry', id: (JSON.parse(head!) as { event_id: string }).event_id, text: event! };
    }
    const place = path.slice(1) as PlaceName;
    const { text, message, subject = '' } = JSON.parse(body) as { text?: string; message?: string; subject?: string };
    return { place, id: String(headers['horae-delivery']), text: `${subject}\n${text ?? message}` };
  });
  return [...by_mail, ...by_http];
}

/** What a letter says of a job, by event. */
const said: Readonly<Record<NoticeEvent, string>> = {
  failed: 'failed',
  disabled: 'is disabled',
  deleted: 'was deleted',
  exhausted: 'has nothing left to run',
  succeeded: 'succeeded',
  missed: 'missed a target',
  late: 'is late',
  'long-running': 'runs for a long time',
  'stuck-pending': 'waits for a place',
};
/** Ids under which a place was told that `name` did what the event says. */
const idsOf = (all: readonly Told[], place: PlaceName, name: string, event: NoticeEvent) => [
  ...new Set(
    all
      .filter(told => told.place === place && new RegExp(`ob 'me/test/${name}' ${said[event]}`).test(told.text))
      .map(({ id }) => id),
  ),
];

const wants = (sink: Sink, on: readonly NoticeEvent[]) => ({
  owner: 'ops@example.com',
  notify: [
    {
      on,
      to: [
        ...['mail', 'slack', 'mattermost', 'sentry', 'webhook'].map(channel => ({ channel })),
        { channel: 'webhook', to: `${sink.url}/webhook` },
      ],
    },
  ],
});
async function submit(api: Api, name: string, fields: object): Promise<void> {
  const answer = await api.request('POST', '/api/v1/jobs', { role: 'me', environment: 'test', name, ...fields });
  if (answer.status !== 201) throw new Error(`${name}: ${answer.status} ${answer.text}`);
}
const everywhere = async (to: Receivers, name: string, event: NoticeEvent) => {
  for (const place of places)
    await until(
      () =>
        `${event} of ${name} at ${place}; told: ${JSON.stringify(toldTo(to).map(one => [one.place, one.text.slice(0, 80)]))}`,
      () => idsOf(toldTo(to), place, name, event).length > 0,
      60_000,
    );
};

test.serial(
  'each event reaches each channel under one id, though receivers and the program die in between',
  async t => {
    const to = await receivers(t);
    const { mail, sink } = to;
    const data = join(await tempDir(t), 'data');
    let running: Running = await startHorae(t, data, flagsFor(to));
    const job = (event: NoticeEvent, fields: object) =>
      submit(running.api, event, { ...wants(sink, [event]), ...fields });

    // Nobody is there to be told.
    await mail.kill();
    await sink.kill();
    await job('failed', { command: 'echo "what it said last"; exit 3' });
    await job('succeeded', { command: 'true' });
    await job('long-running', { command: 'sleep 600', long_running_after_ms: 1_000 });
    await job('stuck-pending', { command: 'true', cpus: 5_000, pending_after_ms: 1_000 });
    await job('late', { command: 'true', cpus: 5_000, schedule: `R1/${soon(3_000)}/PT1H`, late_after_ms: 1_000 });
    await job('exhausted', { command: 'true', schedule: `R1/${soon(3_000)}/PT1H` });
    await job('deleted', { command: 'true', cron: '0 0 29 2 *' });
    await job('disabled', { command: 'true', cron: '0 0 29 2 *' });
    t.is((await running.api.request('DELETE', '/api/v1/jobs/me/test/deleted')).status, 204);
    const { body } = await running.api.request('GET', '/api/v1/jobs/me/test/disabled');
    const off = { ...(body() as { job: object }).job, enabled: false };
    const put = await running.api.request('PUT', '/api/v1/jobs/me/test/disabled', off, { 'if-match': '*' });
    t.is(put.status, 200, put.text);

    // They come back, take what they are told, and die before they have said so; then the program dies too.
    const taken = new Set<string>();
    const dieOnce = (key: string) => !taken.has(key) && taken.add(key).size > 0;
    mail.misbehave = stage => (stage === 'data' && dieOnce('mail') ? 'die' : undefined);
    sink.answer = ({ path }) => (dieOnce(path) ? 'die' : { status: 200 });
    await mail.start();
    await sink.start();
    await until('a letter that was taken without a word', () => taken.size > 0);
    await job('missed', { command: 'true', schedule: `R/${soon(0)}/PT1S`, catch_up: { policy: 'none' } });
    const missed_at = Date.now() + 2_500;
    await running.child.kill();
    await until('the time of a target that nobody sees', () => Date.now() > missed_at, 30_000);
    running = await startHorae(t, data, flagsFor(to));

    for (const event of Object.keys(said) as NoticeEvent[]) await everywhere(to, event, event);
    const all = toldTo(to);
    for (const event of Object.keys(said) as NoticeEvent[]) {
      if (event === 'missed') continue; // Each target that was missed is a thing of its own.
      for (const place of places) t.is(idsOf(all, place, event, event).length, 1, `${event} at ${place}`);
    }
    t.deepEqual([...taken].sort(), ['/api/7/envelope/', '/chronos', '/mattermost', '/slack', '/webhook', 'mail']);
    // The same id is the same letter, and what was taken without a word came again as what it was.
    const texts = new Map<string, string>();
    const again = new Set<PlaceName>();
    for (const { place, id, text } of all) {
      const before = texts.get(`${place} ${id}`);
      t.is(before ?? text, text);
      if (before !== undefined) again.add(place);
      texts.set(`${place} ${id}`, text);
    }
    t.deepEqual([...again].sort(), [...places].sort());
    t.regex(
      all.find(({ place, text }) => place === 'mail' && text.includes('me/test/failed'))!.text,
      /what it said last/,
    );
    for (const { path, headers, body } of sink.requests)
      if (path === '/webhook')
        t.is(headers['horae-signature'], signatureOf(body, secret, String(headers['horae-timestamp'])));
  },
);
type Page = {
  readonly notifications: readonly { readonly id: string; readonly attempts: number; readonly message?: string }[];
};

test.serial(
  'while every receiver hangs, runs begin, end and are told of later, and people can see what waits',
  async t => {
    const to = await receivers(t);
    const { mail, sink } = to;
    mail.misbehave = () => 'hang';
    sink.answer = () => 'hang';
    const { api, child } = await startHorae(t, join(await tempDir(t), 'data'), [
      ...flagsFor(to),
      '--notify-timeout-ms',
      '1000',
    ]);
    const names = Array.from({ length: 12 }, (_, n) => `job-${n}`);
    for (const name of names) await submit(api, name, { ...wants(sink, ['failed']), command: 'exit 1', cpus: 0.1 });
    const failed = async (name: string) =>
      (await runsOf(api, `me/test/${name}`)).some(({ state }) => state === 'failed');
    for (const name of names) await until(`the run of ${name}`, () => failed(name), 60_000);
    t.is(mail.mails.length, 0);
    const { notifications } = (await api.get('/api/v1/notifications?state=pending')) as Page;
    t.true(notifications.length > 0);
    await until('a reason', async () => {
      const page = (await api.get('/api/v1/notifications?state=pending')) as Page;
      return page.notifications.some(({ message }) => /within 1000 ms|Timeout|Greeting/i.test(message ?? ''));
    });
    mail.misbehave = undefined;
    sink.answer = () => ({ status: 200 });
    for (const name of names) await everywhere(to, name, 'failed');
    t.false(child.output().includes(secret));
  },
);

test.serial(
  'a job cannot have letters sent into the private network; who asks is told why, and can try again',
  async t => {
    const to = await receivers(t);
    const open = flagsFor(to).filter(flag => flag !== '--notify-private-allowed');
    const { api } = await startHorae(t, join(await tempDir(t), 'data'), open);
    const own = `http://localhost:${to.sink.port}/inside`;
    await submit(api, 'curious', {
      command: 'true',
      notify: [{ on: ['succeeded'], to: [{ channel: 'webhook', to: own }] }],
    });
    const dead = await until('a letter that was given up', async () => {
      const { notifications } = (await api.get('/api/v1/notifications?state=dead')) as Page;
      return notifications[0];
    });
    t.regex(
      dead.message ?? '',
      /is not on the public internet: expected a public address, or --notify-private-allowed/,
    );
    t.is((await api.request('POST', `/api/v1/notifications/${dead.id}/retry`)).status, 202);
    await until(
      'that it was tried',
      async () => ((await api.get('/api/v1/notifications?state=dead')) as Page).notifications.length > 0,
    );
    t.is((await api.request('DELETE', `/api/v1/notifications/${dead.id}`)).status, 204);
    t.deepEqual(to.sink.requests, []);
  },
);

test.serial(
  "Chronos's options and jobs are told of as Chronos told: to each owner by mail, and once to each channel",
  async t => {
    const to = await receivers(t);
    const { mail, sink } = to;
    const { api, child } = await startHorae(t, join(await tempDir(t), 'data'), [
      ...['--cluster_name', 'Wien', '-m', `127.0.0.1:${mail.port}`, '--mail_from', 'chronos@example.org'],
      ...['--slack_url', `${sink.url}/slack`, '--mattermost_url', `${sink.url}/mattermost`],
      ...['-r', `http://key:${secret}@127.0.0.1:${sink.port}/7`],
      ...['--http_notification_url', `${sink.url}/chronos`, '--http_notification_credentials', `user:${secret}`],
      ...['--failure_retry', '10', '--notify-gather-ms', '50'],
    ]);
    const job = {
      name: 'nightly report',
      command: 'echo to no avail; exit 7',
      owner: 'a@example.com, b@example.com,,a@example.com',
      schedule: `R1/${soon(0)}/PT1H`,
      retries: 1,
      cpus: 0.1,
      mem: 32,
    };
    const posted = await api.request('POST', '/scheduler/iso8601', job);
    t.is(posted.status, 204, posted.text);
    const chronos = await until(
      'the POST of Chronos',
      () => sink.requests.find(({ path }) => path === '/chronos'),
      60_000,
    );
    const fields = JSON.parse(chronos.body) as Record<string, string>;
    t.true(Object.values(fields).every(value => typeof value === 'string'));
    t.like(fields, {
      job: 'nightly report',
      to: job.owner,
      command: job.command,
      retries: '1',
      errorCount: '1',
      cpus: '0.1',
    });
    t.regex(fields.subject!, /^\[Wien\] \[Horae\] job 'nightly report' failed: /);
    t.regex(fields.message!, /to no avail/);
    t.is(chronos.headers.authorization, `Basic ${btoa(`user:${secret}`)}`);
    await until('both mails', () => mail.mails.length >= 2);
    for (const path of ['/slack', '/mattermost', '/api/7/envelope/'])
      await until(path, () => sink.requests.some(request => request.path === path));
    t.deepEqual(mail.mails.map(({ to: [owner] }) => owner).sort(), ['a@example.com', 'b@example.com']);
    t.is(new Set(mail.mails.map(({ id }) => id)).size, 2);
    t.is(sink.requests.filter(({ path }) => path === '/slack').length, 1, 'not one for each owner');
    t.false(child.output().includes(secret));
    const told = (await api.request('GET', '/api/v1/notifications')).text;
    t.false(told.includes(secret) || told.includes(sink.url), 'where the settings send to is told nobody');
  },
);
