// executor-token.ts: the pass that an executor shows: whose it is, signed by the agent that let it in.
//
// A JSON Web Token with HMAC-SHA-256, as Mesos makes them: framework, executor and container, and no end, for it must be
// good after the agent has been restarted. The key lies in the agent's directory and nowhere else.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { readIfThere } from './processes.ts';
import { writeDurably } from './work-dir.ts';

export type Claims = {
  /** Framework. */
  readonly fid: string;
  /** Executor. */
  readonly eid: string;
  /** Container: this run of it. */
  readonly cid: string;
};

/** The agent's key, made when it is asked for the first time. */
export function keepTokenKey(work_dir: string): Buffer {
  const path = join(work_dir, 'executor-key');
  const known = readIfThere(path)?.trim();
  if (known !== undefined && known !== '') return Buffer.from(known, 'base64');
  const key = randomBytes(32);
  writeDurably(path, `${key.toString('base64')}\n`);
  return key;
}

const base64url = (text: string) => Buffer.from(text).toString('base64url');
const signature = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

export function tokenOf(key: Buffer, { cid, eid, fid }: Claims): string {
  const text = `${base64url('{"alg":"HS256","typ":"JWT"}')}.${base64url(JSON.stringify({ cid, eid, fid }))}`;
  return `${text}.${signature(key, text).toString('base64url')}`;
}

/** What a token claims; undefined when it is not one of ours. */
export function claimsOf(key: Buffer, token: string): Claims | undefined {
  const [head, body, sign, ...rest] = token.split('.');
  if (head === undefined || body === undefined || sign === undefined || rest.length > 0) return undefined;
  const given = Buffer.from(sign, 'base64url');
  const expected = signature(key, `${head}.${body}`);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  // Signed by us, so written by us: it has the shape that we gave it.
  const { fid, eid, cid }: Claims = JSON.parse(Buffer.from(body, 'base64url').toString());
  return { fid, eid, cid };
}
