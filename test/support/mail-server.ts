// mail-server.ts: a real SMTP server on the loopback address, for tests: keeps what it was sent, and can misbehave.
//
// Kept is what was acknowledged, and what was taken without a word said about it (`die`): a client cannot tell the two
// apart, which is what tests about "once" are about.

import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { Owner } from './temp.ts';

export type ReceivedMail = {
  readonly from: string;
  readonly to: readonly string[];
  /** By name in small letters, unfolded and decoded. */
  readonly headers: ReadonlyMap<string, string>;
  readonly subject: string;
  /** `Message-ID` without its brackets. */
  readonly id: string;
  readonly text: string;
  readonly raw: string;
  readonly tls: boolean;
  readonly user: string | undefined;
};
/**
 * What it does where it would say yes: another reply (`451 later`), no reply at all, or cutting the line. A mail that is
 * to `die` is kept first.
 */
export type Misdeed = { readonly reply: string } | 'hang' | 'die';
export type Stage = 'connect' | 'from' | 'to' | 'data';

export type MailServerOptions = {
  readonly tls?: { readonly cert: string; readonly key: string };
  /** TLS from the first byte; otherwise STARTTLS is offered where there is a certificate. */
  readonly ssl?: boolean;
  /** Who may send; without this anybody. */
  readonly account?: { readonly user: string; readonly password: string };
  /** Where it listens; this machine's loopback without. */
  readonly host?: string;
};
export type MailServer = {
  readonly port: number;
  readonly mails: readonly ReceivedMail[];
  /** From now on, at every such step that is about `about` (an address, or a mail's whole text), unless undefined. */
  misbehave: ((stage: Stage, about: string) => Misdeed | undefined) | undefined;
  /** Connections there have been. */
  readonly connections: () => number;
  /** Passwords that it was told, right or wrong. */
  readonly passwords: readonly string[];
  /** Gone, with whoever was connected, as after kill -9. */
  readonly kill: () => Promise<void>;
  /** Again, on the same port. */
  readonly start: () => Promise<void>;
};

export async function mailServer(t: Owner, options: MailServerOptions = {}): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const passwords: string[] = [];
  let connections = 0;
  let port = 0;
  let running: { server: SMTPServer; sockets: Set<Socket> } | undefined;

  const wrong = (reply: string) =>
    Object.assign(new Error(reply.slice(4)), { responseCode: Number(reply.slice(0, 3)) });
  const step = (stage: Stage, about: string, done: (error?: Error | null) => void, cut: () => void) => {
    const misdeed = self.misbehave?.(stage, about);
    if (misdeed === undefined) done();
    else if (misdeed === 'die') cut();
    else if (misdeed !== 'hang') done(wrong(misdeed.reply));
  };

  const open = async () => {
    const sockets = new Set<Socket>();
    const cutAll = () => {
      for (const socket of sockets) socket.destroy();
    };
    const { tls, ssl = false, account } = options;
    const server = new SMTPServer({
      ...(tls ?? {}),
      secure: ssl,
      disabledCommands: [...(account === undefined ? ['AUTH'] : []), ...(tls === undefined ? ['STARTTLS'] : [])],
      // Whether a password may go out in the clear is for the client under test to decide.
      allowInsecureAuth: true,
      disableReverseLookup: true,
      closeTimeout: 1,
      onAuth({ username, password }, _session, done) {
        passwords.push(password ?? '');
        if (username === account?.user && password === account?.password) done(null, { user: username });
        else done(new Error('no such user, or a wrong password'));
      },
      onConnect(_session, done) {
        connections++;
        step('connect', '', done, cutAll);
      },
      onMailFrom({ address }, _session, done) {
        step('from', address, done, cutAll);
      },
      onRcptTo({ address }, _session, done) {
        step('to', address, done, cutAll);
      },
      onData(stream, { envelope, secure, user }, done) {
        const pieces: Buffer[] = [];
        stream.on('data', (piece: Buffer) => pieces.push(piece));
        stream.on('end', () => {
          const raw = Buffer.concat(pieces).toString('utf8');
          const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
          const to = envelope.rcptTo.map(({ address }) => address);
          const keep = () => void mails.push({ from, to, ...parsed(raw), raw, tls: secure, user });
          step(
            'data',
            raw,
            error => {
              if (error == null) keep();
              done(error);
            },
            () => {
              keep();
              cutAll();
            },
          );
        });
      },
    });
    // A client that goes away in the middle is part of what is tested.
    server.on('error', () => undefined);
    const listener = server.listen(port, options.host ?? '127.0.0.1');
    listener.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    await once(listener, 'listening');
    port = (listener.address() as AddressInfo).port;
    running = { server, sockets };
  };
  const kill = async () => {
    if (running === undefined) return;
    const { server, sockets } = running;
    running = undefined;
    const closed = new Promise<void>(resolve => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const self: MailServer = {
    get port() {
      return port;
    },
    mails,
    misbehave: undefined,
    connections: () => connections,
    passwords,
    kill,
    start: open,
  };
  await open();
  t.teardown(kill);
  return self;
}

function parsed(raw: string): Pick<ReceivedMail, 'headers' | 'subject' | 'id' | 'text'> {
  const end = raw.indexOf('\r\n\r\n');
  const unfolded = raw.slice(0, end).replace(/\r\n[ \t]+/g, ' ');
  const headers = new Map<string, string>();
  for (const line of unfolded.split('\r\n')) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), words(line.slice(colon + 1).trim()));
  }
  const encoding = headers.get('content-transfer-encoding')?.toLowerCase();
  const body = raw.slice(end + 4);
  const text =
    encoding === 'base64'
      ? Buffer.from(body, 'base64').toString('utf8')
      : encoding === 'quoted-printable'
        ? qp(body)
        : body;
  return {
    headers,
    subject: headers.get('subject') ?? '',
    id: (headers.get('message-id') ?? '').replace(/^<|>$/g, ''),
    text: text.replaceAll('\r\n', '\n').trimEnd(),
  };
}

/** Encoded words of RFC 2047; what is between two of them is none of the text. */
function words(text: string): string {
  return text
    .replace(/(=\?[^?]+\?[BQbq]\?[^?]*\?=)\s+(?==\?)/g, '$1')
    .replace(/=\?[^?]+\?([BQbq])\?([^?]*)\?=/g, (_all, how: string, coded: string) =>
      how.toUpperCase() === 'B' ? Buffer.from(coded, 'base64').toString('utf8') : qp(coded.replaceAll('_', ' ')),
    );
}

function qp(text: string): string {
  const plain = text.replace(/=\r?\n/g, '');
  const bytes = plain.replace(/=([0-9A-Fa-f]{2})/g, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
