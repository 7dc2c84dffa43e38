// guard.ts: who is let in at the door, before anything is done for them.
//
// The server runs commands for whoever reaches it, and on a laptop it has no password. What protects it there is that
// only this machine's programs can connect; but a browser is such a program, and shows pages from everywhere. So the
// Host header must be a name of ours (a foreign one is a page whose name was pointed at 127.0.0.1), and whatever writes
// or opens a WebSocket must come from our own page or from no page at all.

import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { type Authenticated, type Credentials, local, permits, type Role } from '../credentials.ts';
import { Refused } from './problems.ts';

export type GuardRules = {
  /** The address that the server was asked to listen on. */
  readonly host: string;
  /** The port that it got. */
  readonly port: number;
  readonly secure: boolean;
  readonly allow_hosts: readonly string[];
  readonly allow_origins: readonly string[];
};

/** Whether only programs of this machine can reach a server that listens on `host`. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);

/** Refuses a request that speaks to a server of another name. */
export function checkHost(request: IncomingMessage, rules: GuardRules): void {
  const given = request.headers.host ?? '';
  const [, name = '', port = ''] = /^(\[[0-9A-Fa-f:.]+\]|[^:]+)(?::(\d+))?$/.exec(given.toLowerCase()) ?? [];
  if (rules.allow_hosts.some(each => each.toLowerCase() === name)) return;
  const ports = rules.secure ? '443' : '80';
  if (isLoopback(rules.host) && isLoopback(name) && Number(port === '' ? ports : port) === rules.port) return;
  // Beyond loopback there may be a forwarded port before us; an address cannot be pointed elsewhere as a name can.
  const literal = isIP(name.replace(/^\[|\]$/g, '')) !== 0;
  if (!isLoopback(rules.host) && (literal || name === 'localhost' || name === rules.host.toLowerCase())) return;
  throw new Refused(
    'foreign-host',
    `the Host header says "${given.slice(0, 100)}": expected ${rules.host}:${rules.port} or a name given by --allow-host`,
  );
}

const safe_methods = ['GET', 'HEAD', 'OPTIONS'];

/** The origin of the page that sends this, when it is one of `allow_origins`: the answer may be read there. */
export function allowedOrigin(request: IncomingMessage, rules: GuardRules): string | undefined {
  const { origin } = request.headers;
  return origin !== undefined && rules.allow_origins.includes(origin) ? origin : undefined;
}

/** Refuses what another site's page does in the name of its reader. `strict` for a WebSocket, which is a GET. */
export function checkOrigin(request: IncomingMessage, rules: GuardRules, strict = false): void {
  if (!strict && safe_methods.includes(request.method ?? '')) return;
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  if (origin === undefined) {
    // Programs send neither header. A browser that leaves out Origin still says when the page is a stranger.
    if (site === undefined || site === 'same-origin' || site === 'none') return;
  } else if (origin === `${rules.secure ? 'https' : 'http'}://${host}` || allowedOrigin(request, rules) !== undefined)
    return;
  throw new Refused(
    'foreign-origin',
    `a page of ${(origin ?? 'another site').slice(0, 100)} may not do this: expected this server's own page, or an origin given by --allow-origin`,
  );
}

/** Who sends this. Throws Refused when nobody is known by these credentials. */
export async function authenticate(
  request: IncomingMessage,
  credentials: Credentials | undefined,
): Promise<Authenticated> {
  if (credentials === undefined) return local;
  const verdict = await credentials.authenticate(request.headers.authorization);
  if (verdict.type === 'known') return verdict.who;
  if (verdict.type === 'busy')
    throw new Refused('too-many', 'too many passwords are being checked at once', [], { 'retry-after': '1' });
  const given = request.headers.authorization !== undefined;
  throw new Refused(
    'not-authenticated',
    given ? 'these credentials are not known here' : 'this server wants credentials: expected Basic or Bearer',
    [],
    { 'www-authenticate': 'Basic realm="Horae", charset="UTF-8", Bearer realm="Horae"' },
  );
}

/** Refuses somebody who lacks `role` for the jobs of `scope` (`*` all of them, undefined any). */
export function authorize(who: Authenticated, role: Role, scope: string | undefined): void {
  if (permits(who, role, scope)) return;
  const jobs = scope === undefined ? 'any job' : scope === '*' ? 'every job' : `jobs of role "${scope}"`;
  throw new Refused('not-permitted', `"${who.name}" lacks the permission "${role}" for ${jobs}`, [
    {
      place: '',
      value: who.name,
      message: `missing permission "${role}" with scope "${scope ?? 'any'}"`,
      expected: `a grant {role: ${role}, scope: ${scope ?? '"*"'}} in the credentials file`,
    },
  ]);
}
