// open.ts: the channels that the settings make.
//
// Every channel that can reach somebody is there: mail where there is a server for it, Sentry where there is a project,
// and what speaks HTTP always, since jobs may name addresses of their own. Those that have a place of the settings
// (letters to '') are told apart, so that nobody writes letters that could go nowhere.

import type { ChannelName } from '../../actors/model/notices.ts';
import { webAddress } from '../../actors/model/notify.ts';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import type { Settings } from '../../settings.ts';
import type { Channel } from './channel.ts';
import { createChat } from './chat.ts';
import { createMail } from './mail.ts';
import { createPost } from './post.ts';
import { createSentry, parseDsn } from './sentry.ts';
import { createWebhook, readWebhookSecrets } from './webhook.ts';

/** What files hold that settings name. */
export type ChannelSecrets = {
  readonly mail_password?: string | undefined;
  readonly http_notification_credentials?: string | undefined;
  /** Of one line or several. */
  readonly webhook_secrets?: string | undefined;
  /** Certificates in PEM. */
  readonly ca?: string | undefined;
};
export type Channels = {
  readonly get: (name: ChannelName) => Channel | undefined;
  /** Those with a place of the settings: a letter to '' arrives there. */
  readonly standing: readonly ChannelName[];
  readonly close: () => Promise<void>;
};

/** Connects to nobody: that is done for the first letter. */
export function channelsOf(
  settings: Settings,
  secrets: ChannelSecrets,
  { version, now }: { readonly version: string; readonly now: () => number },
): Result<Channels> {
  const problems: Problem[] = [];
  for (const [flag, url] of [
    ['--slack-url', settings.slack_url],
    ['--mattermost-url', settings.mattermost_url],
    ['--http-notification-url', settings.http_notification_url],
  ] as const)
    if (url !== undefined && webAddress(url) === undefined) {
      const expected = 'an http or https address, without a user in it';
      problems.push({
        place: flag,
        message: `${flag} (its value is secret) is no address: expected ${expected}`,
        expected,
      });
    }
  const dsn = settings.raven_dsn === undefined ? undefined : parseDsn(settings.raven_dsn);
  const of = (flag: string) => (problem: Problem) => ({
    ...problem,
    place: flag,
    message: `${flag}: ${problem.message}`,
  });
  if (dsn?.ok === false) problems.push(...dsn.problems.map(of('--raven-dsn')));
  const webhook_text = settings.webhook_secret ?? secrets.webhook_secrets;
  const webhook_secrets = webhook_text === undefined ? undefined : readWebhookSecrets(webhook_text);
  if (webhook_secrets?.ok === false) problems.push(...webhook_secrets.problems.map(of('--webhook-secret-file')));
  if (problems.length > 0) return bad(...problems);

  const ca = secrets.ca === undefined ? undefined : [secrets.ca];
  const timeout_ms = settings.notify_timeout_ms;
  const post = createPost({
    version,
    timeout_ms,
    answer_bytes_max: settings.notify_answer_bytes_max,
    private_allowed: settings.notify_private_allowed,
    ca,
    now,
  });
  const chat = (url: string | undefined, flag: string) =>
    createChat({ post, url, flag, characters_max: settings.notify_chat_characters_max });
  const url = settings.http_notification_url;
  const credentials = settings.http_notification_credentials ?? secrets.http_notification_credentials;
  const channels = new Map<ChannelName, Channel>([
    ['slack', chat(settings.slack_url, '--slack-url')],
    ['mattermost', chat(settings.mattermost_url, '--mattermost-url')],
    [
      'webhook',
      createWebhook({
        post,
        now,
        secrets: webhook_secrets?.ok ? webhook_secrets.value : undefined,
        chronos: url === undefined ? undefined : { url, credentials },
      }),
    ],
  ]);
  if (dsn?.ok) channels.set('sentry', createSentry({ post, dsn: dsn.value, version }));
  const mail = mailOf(settings, secrets.mail_password);
  if (mail !== undefined) channels.set('mail', createMail({ ...mail, ca, timeout_ms }));

  const standing: readonly (readonly [ChannelName, unknown])[] = [
    ['slack', settings.slack_url],
    ['mattermost', settings.mattermost_url],
    ['sentry', settings.raven_dsn],
    ['webhook', url],
  ];
  return good({
    get: name => channels.get(name),
    standing: standing.flatMap(([name, place]) => (place === undefined ? [] : [name])),
    async close() {
      await Promise.all([...channels.values()].map(channel => channel.close()));
    },
  });
}

function mailOf(settings: Settings, password_of_file: string | undefined) {
  const { mail_server, mail_from, mail_user, mail_ssl, mail_insecure, mail_connections_max } = settings;
  const password = settings.mail_password ?? password_of_file;
  if (mail_server === undefined || mail_from === undefined) return undefined;
  const colon = mail_server.lastIndexOf(':');
  return {
    host: mail_server.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: Number(mail_server.slice(colon + 1)),
    from: mail_from,
    ssl: mail_ssl,
    credentials: mail_user === undefined || password === undefined ? undefined : { user: mail_user, password },
    insecure: mail_insecure,
    connections_max: mail_connections_max,
  };
}
