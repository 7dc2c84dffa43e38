// notify.ts: what a job says of who is to be told what, and after how long something is worth telling.
//
// A job that says nothing is told of as the server's settings have it: its owners by mail, and the channels that the
// settings name, of the events that they name. A job with `notify` is told of exactly as that says; an empty list silences it.

import { z } from 'zod';
import type { Problem } from '../../schedules/problem.ts';
import { isPlaceholder, namesIn, placeholders, placeholders_max } from './letter-template.ts';
import { type ChannelName, channel_names, type NoticeEvent, notice_events, type Words } from './notices.ts';

const template = z.string().min(1);
const thresholds = z.int().min(1_000).max(31_622_400_000).optional();

const notify = z.strictObject({
  on: z.array(z.enum(notice_events)).min(1).max(notice_events.length).describe('Events that it is for.'),
  to: z
    .array(
      z.strictObject({
        channel: z.enum(channel_names),
        to: z
          .string()
          .min(1)
          .max(600)
          .optional()
          .describe(
            "mail: one address; the job's owners when left out. webhook, slack, mattermost: a URL; the one of the server's settings when left out.",
          ),
      }),
    )
    .min(1)
    .max(20),
  subject: template.max(512).optional().describe('Template of the subject, with names such as `{{job}}`.'),
  text: template.max(8192).optional().describe('Template of the text, with names such as `{{reason}}`, `{{log}}`.'),
});

export const notify_fields = {
  notify: z
    .array(notify)
    .max(10)
    .optional()
    .describe(
      "Who is told what becomes of the job; as the server's settings say when left out, nobody when it is an empty list.",
    ),
  late_after_ms: thresholds.describe('A run that has not begun so long after its target is told of as `late`.'),
  long_running_after_ms: thresholds.describe('A run that goes on for so long is told of as `long-running`.'),
  pending_after_ms: thresholds.describe('An instance that waits for a place so long is told of as `stuck-pending`.'),
};

export type Notify = {
  readonly on: readonly NoticeEvent[];
  /** Without `to`: the owners by mail, or the place that the settings name. */
  readonly to: readonly { readonly channel: ChannelName; readonly to?: string }[];
} & Words;
export type NotifyFields = {
  readonly notify?: readonly Notify[];
  readonly late_after_ms?: number;
  readonly long_running_after_ms?: number;
  readonly pending_after_ms?: number;
};
type Given = { readonly [K in keyof typeof notify_fields]?: z.infer<(typeof notify_fields)[K]> };

export function readNotify(
  given: Given,
  job: { readonly service?: boolean | undefined },
): { readonly fields: NotifyFields; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const wrong = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place, value, message, expected });
  for (const [n, { to, subject, text }] of (given.notify ?? []).entries()) {
    for (const [m, one] of to.entries()) {
      const place = `/notify/${n}/to/${m}/to`;
      if (one.to === undefined) continue;
      if (one.channel === 'mail') {
        if (!isMailbox(one.to))
          wrong(place, one.to, `"${one.to}" is no mail address`, 'an address such as ops@example.com');
      } else if (one.channel === 'sentry')
        wrong(place, one.to, "sentry's project is named by the server's settings", 'no "to" beside "sentry"');
      else if (webAddress(one.to) === undefined)
        wrong(place, '...', `this is no address of a ${one.channel}`, 'a URL with http or https, and no user in it');
    }
    for (const [field, words] of [
      ['subject', subject],
      ['text', text],
    ] as const) {
      const place = `/notify/${n}/${field}`;
      const names = namesIn(words ?? '');
      if (names.length > placeholders_max)
        wrong(place, names.length, `there are ${names.length} names in a template`, `at most ${placeholders_max}`);
      for (const name of new Set(names.slice(0, placeholders_max)))
        if (!isPlaceholder(name))
          wrong(
            place,
            `{{${name}}}`,
            `there is no {{${name.slice(0, 80)}}} in a template`,
            `one of ${Object.keys(placeholders).join(', ')}`,
          );
    }
  }
  for (const field of ['late_after_ms', 'long_running_after_ms'] as const)
    if (job.service === true && given[field] !== undefined)
      wrong(`/${field}`, given[field], 'a service has no target and no end', `no ${field} beside "service": true`);
  const { notify: wishes, late_after_ms, long_running_after_ms, pending_after_ms } = given;
  const fields = {
    ...(wishes === undefined ? {} : { notify: wishes.map(tidied) }),
    ...(late_after_ms === undefined ? {} : { late_after_ms }),
    ...(long_running_after_ms === undefined ? {} : { long_running_after_ms }),
    ...(pending_after_ms === undefined ? {} : { pending_after_ms }),
  };
  return { fields, problems };
}

/** Places that nobody here could write to. `standing`: channels for which the settings name a place; `mail`: a server. */
export const unreachable = ({ notify = [] }: NotifyFields, standing: readonly ChannelName[]): readonly Problem[] =>
  notify.flatMap(({ to }, n) =>
    to.flatMap(({ channel, to: address }, m): Problem[] => {
      if (standing.includes(channel) || (address !== undefined && channel !== 'mail')) return [];
      const own = channel === 'mail' || channel === 'sentry' ? '' : ', or a "to" here';
      const expected = `${flags[channel]} on the server${own}`;
      const message = `nobody can be told by ${channel}: the settings of this server say nothing of it`;
      return [{ place: `/notify/${n}/to/${m}/channel`, value: channel, message, expected }];
    }),
  );
const flags: Readonly<Record<ChannelName, string>> = {
  mail: '--mail-server',
  slack: '--slack-url',
  mattermost: '--mattermost-url',
  sentry: '--raven-dsn',
  webhook: '--http-notification-url',
};

/** Without the keys whose value is undefined, and each event once. */
const tidied = ({ on, to, subject, text }: z.infer<typeof notify>): Notify => ({
  on: [...new Set(on)],
  to: to.map(one => (one.to === undefined ? { channel: one.channel } : { channel: one.channel, to: one.to })),
  ...(subject === undefined ? {} : { subject }),
  ...(text === undefined ? {} : { text }),
});

/** One mailbox, without a name beside it: nothing in it could end a header or begin another address. */
export const isMailbox = (text: string): boolean =>
  text.length <= 254 && /^[^\s@<>,;:"()[\]\\\p{Cc}]{1,64}@[^\s@<>,;:"()[\]\\\p{Cc}]+$/u.test(text);

/** The address of a webhook; undefined where the text is none. */
export function webAddress(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // A password in an address would be in every list of jobs; and fetchers of the web will not have it either.
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
    ? url
    : undefined;
}

/** The distinct mailboxes of an owner field, in their order; whatever is none of them is left out. */
export const ownersOf = (owner: string | undefined): readonly string[] => [
  ...new Set(
    (owner ?? '')
      .split(',')
      .map(one => one.trim())
      .filter(isMailbox),
  ),
];
