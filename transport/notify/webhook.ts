// webhook.ts: letters as JSON, to an address that a job names, or to the one that Chronos was told of.
//
// A receiver must be able to know that a letter is ours, that it was meant for him, that it is no old one sent again by
// somebody else, and that it is the one he has already had. So every POST carries the letter's id, which stays the same
// however often it is sent, and the time of sending with a signature over time and body under a secret that both sides have;
// and the body says to whom it goes, since whoever may submit a job may have letters of his own words signed.
// The form of Chronos has none of it: strings alone, one job, and a password where there is one.

import { createHmac } from 'node:crypto';
import type { Letter, Notice } from '../../actors/model/notices.ts';
import { webAddress } from '../../actors/model/notify.ts';
import { bad, good, type Result } from '../../schedules/problem.ts';
import { type Channel, refused } from './channel.ts';
import type { Post } from './post.ts';

export type WebhookOptions = {
  readonly post: Post;
  readonly now: () => number;
  readonly secrets?: WebhookSecrets | undefined;
  /** Where letters go that are for nobody's address in particular, in the form of Chronos. */
  readonly chronos?: { readonly url: string; readonly credentials?: string | undefined } | undefined;
};

export function createWebhook({ post, now, secrets, chronos }: WebhookOptions): Channel {
  return {
    async deliver(letter, signal) {
      const to_chronos = letter.to === '' ? chronos : undefined;
      const url = webAddress(to_chronos?.url ?? letter.to);
      if (url === undefined)
        return letter.to === ''
          ? refused('nobody says where to: expected --http-notification-url')
          : refused('the address is none: expected one such as https://example.com/horae');
      const body = JSON.stringify(to_chronos === undefined ? document(letter) : chronosDocument(letter));
      const headers = {
        'Content-Type': 'application/json',
        'Horae-Delivery': inHeader(letter.id),
        ...(to_chronos === undefined ? signed(body, secretFor(url, secrets), now()) : basic(to_chronos.credentials)),
      };
      return post({ url, headers, body, trusted: to_chronos !== undefined }, signal);
    },
    close: async () => {},
  };
}

/** What letters are signed with: by what their addresses begin with, '' being all others. */
export type WebhookSecrets = ReadonlyMap<string, string>;

/**
 * Either one line, the secret of all receivers, or several: `ADDRESS SECRET` for addresses that begin so, and a secret
 * alone for all others. Who has the secret of one receiver cannot pass for us before another.
 */
export function readWebhookSecrets(text: string): Result<WebhookSecrets> {
  const secrets = new Map<string, string>();
  const expected =
    'a secret of at least 8 characters, or an address, a blank and its secret, each on a line of its own';
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const [, address, addressed] = /^(https?:\/\/\S*)\s+(\S.*)$/.exec(line) ?? [];
    const [beginning, secret] = addressed === undefined ? ['', line] : [webAddress(address!)?.href, addressed];
    // The line is not shown: it is a secret, or has one in it.
    const wrong = (what: string) =>
      bad({ place: `${index + 1}`, message: `line ${index + 1} ${what}: expected ${expected}`, expected });
    if (beginning === undefined) return wrong('begins with what is no address');
    if (/^https?:\/\/\S*$/.test(line)) return wrong('has an address and no secret');
    if (secret.length < 8) return wrong('is too short for a secret');
    if (secrets.has(beginning)) return wrong('is a second one for the same addresses');
    secrets.set(beginning, secret);
  }
  return secrets.size === 0
    ? bad({ place: '', message: `there is no secret in it: expected ${expected}`, expected })
    : good(secrets);
}

/** The longest beginning counts. An address without a path ends with a slash, so no other host begins with it. */
function secretFor({ href }: URL, secrets: WebhookSecrets = new Map()): string | undefined {
  const beginnings = [...secrets.keys()].filter(beginning => href.startsWith(beginning));
  return secrets.get(beginnings.reduce((longest, one) => (one.length > longest.length ? one : longest), ''));
}

/** What a receiver computes to know that a letter is ours: see docs/notifications.md. */
export function signatureOf(body: string, secret: string, timestamp: string): string {
  return `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;
}

function signed(body: string, secret: string | undefined, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / 1_000));
  return {
    'Horae-Timestamp': timestamp,
    ...(secret === undefined ? {} : { 'Horae-Signature': signatureOf(body, secret, timestamp) }),
  };
}

function basic(credentials: string | undefined): Record<string, string> {
  return credentials === undefined ? {} : { Authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
}

/** A header holds ASCII alone. */
const inHeader = (id: string) => (/^[ -~]+$/.test(id) ? id : encodeURI(id.toWellFormed()));

const document = ({ id, to, subject, text, notices, more }: Letter) => ({ id, to, subject, text, notices, more });

/** Names that Chronos gave, each with a string. */
const chronos_facts = [
  'cpus',
  'softError',
  'errorCount',
  'errorsSinceLastSuccess',
  'executor',
  'executorFlags',
  'lastError',
  'lastSuccess',
  'mem',
  'retries',
  'successCount',
  'uris',
  'async',
  'epsilon',
] as const;

function chronosDocument({ subject, text, notices }: Letter): Readonly<Record<string, string>> {
  const notice: Notice | undefined = notices[0];
  const facts = Object.fromEntries(chronos_facts.map(name => [name, notice?.facts?.[name] ?? '']));
  return {
    subject,
    message: text,
    to: notice?.owner ?? '',
    job: notice?.name ?? notice?.job ?? '',
    command: notice?.command ?? '',
    ...facts,
  };
}
