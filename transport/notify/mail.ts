// mail.ts: letters as e-mail, through one SMTP server.
//
// The same letter is the same mail: its Message-ID is made of the letter's id and its date is that of its newest notice,
// so a mail that was taken by a server which then did not live to say so comes a second time as its own copy, and readers
// and servers that compare ids show it once. What the server says decides: 4xx is for later, 5xx is for good, and whatever
// is about us rather than about the mail (a wrong password, TLS that does not come about) is for later too, since it is
// mended without the mail being touched.
//
// A password goes out only over TLS whose certificate was checked, unless the server is on this machine or somebody said
// otherwise. Without a password TLS is taken where it is offered, whoever vouches for it: the alternative is none at all.

import { createHash } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { createTransport, type NodemailerError, type SMTPPoolOptions } from 'nodemailer';
import type { Delivery } from '../../actors/model/notices.ts';
import { isMailbox } from '../../actors/model/notify.ts';
import { type Channel, delivered, failed, inLine, refused } from './channel.ts';

export type MailOptions = {
  readonly host: string;
  readonly port: number;
  readonly from: string;
  /** TLS from the first byte, rather than STARTTLS. */
  readonly ssl: boolean;
  readonly credentials?: { readonly user: string; readonly password: string } | undefined;
  /** Certificates in PEM of whoever may vouch for the server, beside those that Node knows. */
  readonly ca?: readonly string[] | undefined;
  /** Credentials may go out in the clear, and to whoever answers. */
  readonly insecure: boolean;
  readonly timeout_ms: number;
  readonly connections_max: number;
};

/** A connection that nobody uses is given back soon: servers end idle ones, and one of those would fail the next letter. */
const idle_ms = 10_000;
/** A header is one line: a line end in it would begin another, of somebody else's making. */
const subject_max = 250;

export function createMail(options: MailOptions): Channel {
  const pool = createTransport(transportOf(options));
  const id_domain = options.from.slice(options.from.lastIndexOf('@') + 1).replace(/[^A-Za-z0-9.-]/g, '');
  return {
    async deliver(letter, signal) {
      if (!isMailbox(letter.to))
        return refused(`${JSON.stringify(letter.to)} is no mail address: expected one such as ops@example.com`);
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(options.timeout_ms)]);
      if (deadline.aborted) return aborted(signal, options.timeout_ms);
      const latest = Math.max(0, ...letter.notices.map(({ at }) => at));
      try {
        await pool.sendMail({
          from: options.from,
          to: { name: '', address: letter.to },
          subject: inLine(letter.subject, subject_max),
          text: letter.text,
          messageId: `<${stableId(letter.id)}@${id_domain || 'horae'}>`,
          date: new Date(latest),
          headers: {
            'Horae-Delivery': inLine(letter.id, subject_max),
            // Nobody is to answer this with "I am on holiday".
            'Auto-Submitted': 'auto-generated',
          },
          disableFileAccess: true,
          disableUrlAccess: true,
          signal: deadline,
        });
        return delivered;
      } catch (error) {
        return deadline.aborted ? aborted(signal, options.timeout_ms) : verdictOn(error as NodemailerError);
      }
    },
    async close() {
      pool.close({ force: true });
    },
  };
}

/** Whether only this machine can hear what is said to `host`. */
const isHere = (host: string) => host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

function transportOf(options: MailOptions): SMTPPoolOptions & { pool: true } {
  const { host, port, ssl, credentials, ca, insecure, timeout_ms, connections_max } = options;
  const required = credentials !== undefined && !insecure && !isHere(host);
  return {
    pool: true,
    host,
    port,
    secure: ssl,
    requireTLS: required && !ssl,
    // A server may offer STARTTLS and have no certificate for it.
    opportunisticTLS: !required && !ssl,
    tls: {
      rejectUnauthorized: (ssl || required) && !insecure,
      ...(ca === undefined ? {} : { ca: [...rootCertificates, ...ca] }),
    },
    ...(credentials === undefined ? {} : { auth: { user: credentials.user, pass: credentials.password } }),
    maxConnections: connections_max,
    // A letter that did not go out goes back to whoever keeps the letters: one place decides what is sent again.
    maxRequeues: 0,
    idleTimeout: idle_ms,
    connectionTimeout: timeout_ms,
    greetingTimeout: timeout_ms,
    socketTimeout: timeout_ms,
    dnsTimeout: timeout_ms,
    socketCloseTimeout: 0,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** Replies that ask for a login or for TLS: a matter of our settings, not of this mail. */
const about_us: readonly number[] = [530, 534, 535, 538];

function verdictOn(error: NodemailerError): Delivery {
  const { code, responseCode, response, permanent, message } = error;
  const said =
    response !== undefined
      ? `the server answered ${response}`
      : /^Reached maximum number of retries/.test(message)
        ? 'the server ended the connection before it had taken the mail' // It speaks of retries, of which there are none.
        : message;
  const about_mail = code === 'EENVELOPE' || code === 'EMESSAGE';
  // Without a reply it is our own library that will not have the mail, and it will not change its mind.
  const for_good = responseCode === undefined ? about_mail : permanent === true && !about_us.includes(responseCode);
  return about_mail && for_good ? refused(said) : failed(said);
}

function aborted(signal: AbortSignal, timeout_ms: number): Delivery {
  return failed(signal.aborted ? 'given up by whoever sent it' : `not taken by the server within ${timeout_ms} ms`);
}

/** As the left side of an address: the id itself where it will do, so that people can find it. */
function stableId(id: string): string {
  return /^[\w-]{1,64}$/.test(id) ? id : createHash('sha256').update(id).digest('hex').slice(0, 40);
}
