// sentry.ts: letters as events of Sentry (Raven, as its clients were called when Chronos had one).
//
// An event goes out in an envelope, as Sentry takes it since 20.6 and sentry.io always. Its id is made of the letter's, so
// a letter that is sent again is the same event, which Sentry keeps once. Like events belong together by job and by what
// happened rather than by their words, which differ with every run.

import { createHash } from 'node:crypto';
import type { Letter, Notice, NoticeEvent } from '../../actors/model/notices.ts';
import { bad, good, type Result } from '../../schedules/problem.ts';
import { type Channel, inLine, refused } from './channel.ts';
import type { Post } from './post.ts';

/** What a data source name says. The secret is of old clients; newer servers want none. */
export type Dsn = { readonly endpoint: URL; readonly key: string; readonly secret?: string };

export type SentryOptions = { readonly post: Post; readonly dsn?: Dsn | undefined; readonly version: string };

export function createSentry({ post, dsn, version }: SentryOptions): Channel {
  return {
    async deliver(letter, signal) {
      if (dsn === undefined) return refused('nobody says where to: expected --raven-dsn');
      if (letter.to !== '') return refused('a letter to Sentry goes where --raven-dsn says: expected no other address');
      const headers = {
        'Content-Type': 'application/x-sentry-envelope',
        'X-Sentry-Auth': authOf(dsn, version),
      };
      return post({ url: dsn.endpoint, headers, body: envelopeOf(letter), trusted: true }, signal);
    },
    close: async () => {},
  };
}

/** `https://KEY@HOST/PROJECT`, or with a secret and a path: `https://KEY:SECRET@HOST:PORT/PATH/PROJECT`. */
export function parseDsn(text: string): Result<Dsn> {
  const expected = 'a data source name such as https://KEY@sentry.example.com/42';
  // The text is not shown: it lets whoever has it write there.
  const wrong = (why: string) => bad({ place: '', message: `${why}: expected ${expected}`, expected });
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return wrong('it is no address of http or https');
  if (!/^[\w.-]+$/.test(url.username)) return wrong('there is no key before the host');
  if (!/^[\w.-]*$/.test(url.password)) return wrong('the secret before the host is none');
  const [, path = '', project] = /^(\/.*?)?\/(\d{1,20})\/?$/.exec(url.pathname) ?? [];
  if (project === undefined) return wrong('its path does not end with the number of a project');
  if (url.search !== '' || url.hash !== '') return wrong('there is something behind the project');
  const endpoint = new URL(`${url.protocol}//${url.host}${path}/api/${project}/envelope/`);
  return good({ endpoint, key: url.username, ...(url.password === '' ? {} : { secret: url.password }) });
}

function authOf({ key, secret }: Dsn, version: string): string {
  const fields = ['sentry_version=7', `sentry_client=horae/${version}`, `sentry_key=${key}`];
  return `Sentry ${[...fields, ...(secret === undefined ? [] : [`sentry_secret=${secret}`])].join(', ')}`;
}

/** Limits of Sentry's own: a longer value is cut there, or the event turned away. */
const tag_max = 200;
const message_max = 8_192;
const extra_max = 4_096;

function envelopeOf(letter: Letter): string {
  const { id, subject, text, notices, more } = letter;
  const event_id = createHash('sha256').update(id).digest('hex').slice(0, 32);
  const [first] = notices;
  /** What all of them have, where there are several. */
  const common = (read: (notice: Notice) => string | undefined, characters_max = tag_max) => {
    const value = first === undefined ? undefined : read(first);
    return value !== undefined && notices.every(notice => read(notice) === value)
      ? inLine(value, characters_max)
      : undefined;
  };
  const job = common(notice => notice.name ?? notice.job);
  const event = common(notice => notice.event);
  const payload = JSON.stringify({
    event_id,
    timestamp: Math.max(0, ...notices.map(({ at }) => at)) / 1_000,
    platform: 'other',
    logger: 'horae',
    level: levelOf(notices.map(notice => notice.event)),
    logentry: { formatted: inLine(subject, message_max) },
    ...(job === undefined ? {} : { transaction: job }),
    ...(common(({ host }) => host) === undefined ? {} : { server_name: common(({ host }) => host) }),
    fingerprint: ['horae', event ?? 'several', job ?? 'several'],
    tags: present({
      event,
      job,
      owner: common(({ owner }) => owner),
      command: common(({ command }) => command),
      host: common(({ host }) => host),
    }),
    extra: present({
      text: cut(text, extra_max),
      ...(more === 0 ? {} : { more: String(more) }),
      run: common(({ run }) => run),
      task: common(({ task }) => task),
      attempt: common(({ attempt, attempts }) =>
        attempt === undefined ? undefined : `${attempt}${attempts === undefined ? '' : ` of ${attempts}`}`,
      ),
      command: common(({ command }) => command, extra_max),
      reason: common(({ reason }) => reason, extra_max),
    }),
  });
  const item = JSON.stringify({ type: 'event', content_type: 'application/json', length: Buffer.byteLength(payload) });
  return `${JSON.stringify({ event_id })}\n${item}\n${payload}\n`;
}

const levels = { info: 0, warning: 1, error: 2 };
type Level = keyof typeof levels;
const level_of: Readonly<Record<NoticeEvent, Level>> = {
  failed: 'error',
  disabled: 'error',
  exhausted: 'warning',
  missed: 'error',
  late: 'warning',
  'long-running': 'warning',
  'stuck-pending': 'warning',
  deleted: 'info',
  succeeded: 'info',
};

/** The worst of them. */
function levelOf(events: readonly NoticeEvent[]): Level {
  return events
    .map(event => level_of[event])
    .reduce((worst, level) => (levels[level] > levels[worst] ? level : worst), 'info');
}

/** A text keeps its lines, and its end goes. */
function cut(text: string, characters_max: number): string {
  return text.length > characters_max ? `${text.slice(0, characters_max - 3).toWellFormed()}...` : text;
}

/** Without what is absent: Sentry shows an empty tag as one. */
function present(fields: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, string] => (field[1] ?? '') !== ''),
  );
}
