// credentials.ts: who may come in, and what for.
//
// A file names the users and the tokens; it holds no password and no token, only what they hash to, so that a copy of
// the file opens nothing. Each principal has grants: a role (read, submit, operate, admin) within a scope (a job role, or
// `*`). The file is looked at again with every request that carries credentials, so a token taken out of it is refused
// from the next request on.
//
//   users:
//     - name: alice
//       password: scrypt$32768$8$1$<salt>$<hash>        # horae hash-password
//       grants: [{role: admin, scope: '*'}]
//   tokens:
//     - name: ci
//       sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//       grants: [{role: submit, scope: www}, {role: read, scope: '*'}]
//       expires: 2027-01-01T00:00:00Z

import { createHash, createHmac, scrypt, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { parse } from 'yaml';
import { bad, good, type Problem, type Result } from '../schedules/problem.ts';

export const roles = ['read', 'submit', 'operate', 'admin'] as const;
export type Role = (typeof roles)[number];
/** `scope`: a job role, or `*` for all of them. */
export type Grant = { readonly role: Role; readonly scope: string };
export type Authenticated = { readonly name: string; readonly grants: readonly Grant[] };

/** What each role may do. Who may change something may also see it. */
const powers: Readonly<Record<Role, readonly Role[]>> = {
  read: ['read'],
  submit: ['read', 'submit'],
  operate: ['read', 'operate'],
  admin: ['read', 'submit', 'operate', 'admin'],
};

/** Whether somebody may do `role` to the jobs of `scope`; `*` asks for all of them, `undefined` for any at all. */
export function permits(who: Authenticated, role: Role, scope: string | undefined): boolean {
  return who.grants.some(
    grant => powers[grant.role].includes(role) && (scope === undefined || grant.scope === '*' || grant.scope === scope),
  );
}

/** Whoever comes in over loopback where there is no credentials file. */
export const local: Authenticated = { name: 'local', grants: [{ role: 'admin', scope: '*' }] };

export type Verdict =
  | { readonly type: 'known'; readonly who: Authenticated }
  | { readonly type: 'unknown' }
  /** Too many passwords are being checked: each costs tens of milliseconds on purpose. */
  | { readonly type: 'busy' };

export interface Credentials {
  /** Who an `Authorization` header speaks for. */
  authenticate(authorization: string | undefined): Promise<Verdict>;
}

type User = { readonly name: string; readonly password: Hashed; readonly text: string; readonly grants: Grant[] };
type Token = { readonly name: string; readonly sha256: Buffer; readonly grants: Grant[]; readonly expires?: number };
export type CredentialsDocument = { readonly users: readonly User[]; readonly tokens: readonly Token[] };
type Hashed = { readonly cost: ScryptCost; readonly salt: Buffer; readonly hash: Buffer };
type ScryptCost = { readonly N: number; readonly r: number; readonly p: number };

const cost_default: ScryptCost = { N: 32_768, r: 8, p: 1 };
const hash_bytes = 32;
/** Passwords being checked at once; a further one is told to come again. */
const checks_max = 16;

/** The text to put under `password`. `salt`: 16 bytes from a good source of chance. */
export async function hashPassword(password: string, salt: Uint8Array): Promise<string> {
  const { N, r, p } = cost_default;
  const hash = await derive(password, { cost: cost_default, salt: Buffer.from(salt), hash: Buffer.alloc(hash_bytes) });
  return ['scrypt', N, r, p, Buffer.from(salt).toString('base64'), hash.toString('base64')].join('$');
}

/** The text to put under `sha256`. A token should be 32 random bytes, so it needs no slow hash. */
export const hashToken = (token: string): string => createHash('sha256').update(token).digest('hex');

export type Log = {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
};

/** Reads the file now, so that a mistake in it is told at the start, and again whenever it has changed. */
export async function openCredentials(
  path: string,
  { log, now }: { readonly log: Log; readonly now: () => number },
): Promise<Result<Credentials>> {
  let stamp = '';
  let document: CredentialsDocument = { users: [], tokens: [] };
  let checking = 0;
  /** A keyed digest of each user's last good password, so that a page full of requests is not a page full of scrypts. */
  const passed = new Map<string, Buffer>();

  const look = async (): Promise<Result<void>> => {
    const { mtimeMs, size, ino } = await stat(path);
    const seen = `${mtimeMs} ${size} ${ino}`;
    if (seen === stamp) return good(undefined);
    const read = parseCredentials(await readFile(path, 'utf8'));
    stamp = seen;
    if (!read.ok) return read;
    document = read.value;
    passed.clear();
    return good(undefined);
  };

  const password = async (name: string, given: string): Promise<Authenticated | undefined | 'busy'> => {
    const { users } = document;
    const user = users.find(each => each.name === name);
    const digest = user === undefined ? undefined : createHmac('sha256', user.text).update(given).digest();
    const before = passed.get(name);
    if (user !== undefined && before !== undefined && timingSafeEqual(before, digest!)) return user;
    if (checking >= checks_max) return 'busy';
    checking++;
    try {
      // An unknown name costs what a known one does: the time of the answer must not tell which names exist.
      const against = user?.password ?? users[0]?.password ?? nobody;
      const same = timingSafeEqual(await derive(given, against), against.hash);
      if (user === undefined || !same || document.users !== users) return undefined;
      passed.set(name, digest!);
      return user;
    } finally {
      checking--;
    }
  };

  const first = await look().catch((error: NodeJS.ErrnoException) =>
    bad({ place: path, message: `cannot read the credentials: ${error.message}`, expected: 'a readable YAML file' }),
  );
  if (!first.ok) return first;

  return good({
    async authenticate(authorization) {
      const again = await look().catch((error: NodeJS.ErrnoException) => {
        // A file that was taken away takes everybody's access with it: the safe reading of a missing list.
        stamp = '';
        document = { users: [], tokens: [] };
        passed.clear();
        log.error({ path, error: error.message }, 'the credentials file cannot be read: nobody may come in');
        return good(undefined);
      });
      if (!again.ok)
        log.error({ path, problems: again.problems }, 'the credentials file is malformed: what it said before holds');
      const [scheme = '', text = ''] = (authorization ?? '').split(' ', 2);
      if (scheme.toLowerCase() === 'bearer') {
        const digest = createHash('sha256').update(text).digest();
        const token = document.tokens.find(each => timingSafeEqual(each.sha256, digest));
        return token === undefined || (token.expires ?? Number.POSITIVE_INFINITY) <= now() ? unknown : known(token);
      }
      if (scheme.toLowerCase() === 'basic') {
        const decoded = Buffer.from(text, 'base64').toString('utf8');
        const cut = decoded.indexOf(':');
        if (cut < 0) return unknown;
        const user = await password(decoded.slice(0, cut), decoded.slice(cut + 1));
        return user === 'busy' ? { type: 'busy' } : user === undefined ? unknown : known(user);
      }
      return unknown;
    },
  });
}

const unknown: Verdict = { type: 'unknown' };
const known = ({ name, grants }: Authenticated): Verdict => ({ type: 'known', who: { name, grants } });
/** What a password is compared with where there is no user at all. */
const nobody: Hashed = { cost: cost_default, salt: Buffer.alloc(16), hash: Buffer.alloc(hash_bytes) };

function derive(password: string, { cost, salt, hash }: Hashed): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const memory_max = 256 * cost.N * cost.r;
    scrypt(password.normalize('NFC'), salt, hash.length, { ...cost, maxmem: memory_max }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

/** Reads the text of a credentials file, or names everything that is wrong with it. Never repeats a secret. */
export function parseCredentials(text: string): Result<CredentialsDocument> {
  let document: unknown;
  try {
    document = parse(text, { logLevel: 'silent' });
  } catch (error) {
    return bad({
      place: '',
      message: `malformed YAML: ${error instanceof Error ? error.message : error}`,
      expected: 'YAML with "users" and "tokens"',
    });
  }
  const problems: Problem[] = [];
  const wrong = (place: string, message: string, expected: string) => problems.push({ place, message, expected });
  const root = fields(document ?? {}, '', ['users', 'tokens'], wrong);
  const seen = new Set<string>();
  const common = (one: Record<string, unknown>, place: string) => {
    const name = typeof one.name === 'string' && /^[\w.@-]{1,64}$/.test(one.name) ? one.name : undefined;
    if (name === undefined) wrong(`${place}/name`, 'no usable name', '1 to 64 letters, digits, "_", ".", "@", "-"');
    else if (seen.has(name)) wrong(`${place}/name`, `the name "${name}" is used twice`, 'each name once');
    seen.add(name ?? '');
    return { name: name ?? '', grants: grantsOf(one.grants, `${place}/grants`, wrong) };
  };
  const users = list(root.users, '/users', wrong).map((each, index): User => {
    const place = `/users/${index}`;
    const one = fields(each, place, ['name', 'password', 'grants'], wrong);
    const password = parseHashed(one.password);
    if (password === undefined)
      wrong(`${place}/password`, 'not a hashed password', 'scrypt$N$r$p$salt$hash, as `horae hash-password` prints it');
    return { ...common(one, place), password: password ?? nobody, text: String(one.password) };
  });
  const tokens = list(root.tokens, '/tokens', wrong).map((each, index): Token => {
    const place = `/tokens/${index}`;
    const one = fields(each, place, ['name', 'sha256', 'grants', 'expires'], wrong);
    const hex = typeof one.sha256 === 'string' && /^[0-9a-f]{64}$/i.test(one.sha256) ? one.sha256 : undefined;
    if (hex === undefined) wrong(`${place}/sha256`, 'not a hashed token', 'the SHA-256 of the token as 64 hex digits');
    const expires = one.expires === undefined ? undefined : Date.parse(String(one.expires));
    if (Number.isNaN(expires)) wrong(`${place}/expires`, 'not an instant', 'ISO 8601 such as 2027-01-01T00:00:00Z');
    const token = { ...common(one, place), sha256: Buffer.from(hex ?? '0'.repeat(64), 'hex') };
    return expires === undefined ? token : { ...token, expires };
  });
  return problems.length > 0 ? bad(...problems) : good({ users, tokens });
}

type Wrong = (place: string, message: string, expected: string) => void;

function fields(value: unknown, place: string, names: readonly string[], wrong: Wrong): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    wrong(place, 'not a mapping', `a mapping with ${names.join(', ')}`);
    return {};
  }
  for (const key of Object.keys(value))
    if (!names.includes(key)) wrong(`${place}/${key}`, `unknown field "${key}"`, `one of ${names.join(', ')}`);
  return value as Record<string, unknown>;
}

function list(value: unknown, place: string, wrong: Wrong): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  wrong(place, 'not a list', 'a list');
  return [];
}

function grantsOf(value: unknown, place: string, wrong: Wrong): Grant[] {
  const given = list(value, place, wrong);
  if (given.length === 0) wrong(place, 'no grants', 'at least one, such as {role: read, scope: "*"}');
  return given.flatMap((each, index) => {
    const { role, scope } = fields(each, `${place}/${index}`, ['role', 'scope'], wrong);
    if (!roles.some(known => known === role)) wrong(`${place}/${index}/role`, `role "${role}"`, roles.join(', '));
    if (typeof scope !== 'string' || scope === '') {
      wrong(`${place}/${index}/scope`, 'no scope', 'a job role, or "*" for every one');
      return [];
    }
    return [{ role: role as Role, scope }];
  });
}

function parseHashed(value: unknown): Hashed | undefined {
  if (typeof value !== 'string') return undefined;
  const found = /^scrypt\$(\d{4,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$/.exec(value);
  if (found === null) return undefined;
  const [N, r, p] = [Number(found[1]), Number(found[2]), Number(found[3])] as const;
  const hash = Buffer.from(found[5]!, 'base64');
  // scrypt wants a power of two; the upper bounds keep one login below about a quarter of a gigabyte.
  if ((N & (N - 1)) !== 0 || N > 131_072 || r < 1 || r > 16 || p < 1 || p > 4 || hash.length < 16) return undefined;
  return { cost: { N, r, p }, salt: Buffer.from(found[4]!, 'base64'), hash };
}
