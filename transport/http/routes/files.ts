// files.ts: the sandbox of an attempt, looked into: what is in a folder of it, and what is in a file.
//
// A name on Linux is bytes, and JSON is text. So a path is written here as the text that its bytes are, where they are text;
// a byte that is none is `\xNN`, and a backslash is two. What was read in a listing can be asked for as it stands.

import { z } from 'zod';
import { taskId } from '../../../actors/model/ids.ts';
import type { SandboxEntry } from '../../../actors/model/views.ts';
import { Refused } from '../problems.ts';
import { iso, jobPath, runPath } from '../resources.ts';
import {
  type Exchange,
  limit_query,
  limitOf,
  problem,
  type Reply,
  type Route,
  run_instance_path,
  streaming,
} from '../route.ts';
import { type Attempt, attempt_query, attemptAsked, follow, sendFile, type Wanted } from './logs.ts';

const files_path = `${run_instance_path}/files`;
const which = {
  path: z
    .string()
    .max(16_384)
    .optional()
    .describe('Within the sandbox, as a listing writes it; the sandbox itself when left out.'),
  attempt: attempt_query,
};
const whole = z.string().regex(/^\d{1,15}$/, 'expected a whole number');
const not_there = problem('There is no such job, run, instance, folder or file (any more).');
const agent_away = problem('The agent on which it ran does not answer.');

export const file_routes: readonly Route[] = [
  {
    method: 'GET',
    path: files_path,
    id: 'listFiles',
    tag: 'runs',
    summary: "Look into a folder of an instance's sandbox",
    description:
      'Entries in the order of the bytes of their names. In `path` and `name` a byte that is no UTF-8 is `\\xNN`, a backslash is two. Nothing outside of the sandbox is shown, wherever links lead; secrets are not shown.',
    permission: 'read',
    query: z.strictObject({
      ...which,
      after: z.string().max(16_384).optional().describe('Go on after this name: `next` of the page before.'),
      limit: limit_query.describe('Entries at most; 1000 when left out.'),
    }),
    answers: { 200: { description: 'A page of the folder.', schema: 'FilePage' }, 404: not_there, 502: agent_away },
    handle: list,
  },
  {
    method: 'GET',
    path: `${files_path}/content`,
    id: 'readFile',
    tag: 'runs',
    summary: "Read, follow or download a file of an instance's sandbox",
    description:
      "The file's own bytes, whatever they are. With `follow=true` the answer goes on as the file grows, until the attempt is over.",
    permission: 'read',
    query: z.strictObject({
      ...which,
      offset: z
        .string()
        .regex(/^-?\d{1,15}$/, 'expected a whole number')
        .optional()
        .describe('Byte to begin at; negative: that many from the end.'),
      length: whole.optional().describe('Bytes at most; all that there are when left out.'),
      follow: z.enum(['true', 'false']).optional().describe('true: go on as the file grows.'),
      download: z.enum(['true', 'false']).optional().describe('true: for a browser to keep, under its name.'),
    }),
    headers: { Range: 'bytes=FROM-TO, bytes=FROM- or bytes=-LAST.' },
    answers: {
      200: { description: 'The file.', type: 'application/octet-stream' },
      206: { description: 'The part that Range asked for.', type: 'application/octet-stream' },
      404: not_there,
      416: problem('There is nothing in that range.'),
      502: agent_away,
      503: problem('Too many files are being followed.'),
    },
    handle: content,
  },
];

export const file_page = z.object({
  job: z.string(),
  run: z.string(),
  index: z.int(),
  attempt: z.int(),
  path: z.string(),
  entries: z.array(
    z.object({
      name: z.string(),
      path: z.string(),
      kind: z.enum(['file', 'folder', 'link', 'other']),
      mode: z.string().describe('As `ls -l` writes it.'),
      size: z.number(),
      modified_at: z.string(),
      user: z.string(),
      links: z.object({ folder: z.string().optional(), content: z.string().optional() }),
    }),
  ),
  next: z.string().optional().describe('There is more: ask with `after`.'),
  links: z.object({ job: z.string(), run: z.string() }),
});

async function list(exchange: Exchange): Promise<Reply> {
  const { query, services } = exchange;
  const { wanted, found, task_id, agent_id } = asked(exchange);
  const limit = limitOf(exchange, 1_000);
  const folder = pathIn(query.path ?? '');
  const after = query.after === undefined ? '' : bytesIn(query.after);
  const entries = await services.sandboxes.list(agent_id, task_id, folder, { after, limit: limit + 1 });
  if (entries === undefined) throw notThere(query.path);
  const { key, run, index } = wanted;
  const here = `${runPath(key, run)}/instances/${index}/files`;
  const shown = entries.slice(0, limit);
  return {
    status: 200,
    body: {
      job: key,
      run,
      index,
      attempt: found.number,
      path: textOf(folder),
      entries: shown.map(entry => shownAs(entry, folder, here, found.number)),
      ...(entries.length > limit ? { next: textOf(shown.at(-1)!.name) } : {}),
      links: { job: jobPath(key), run: runPath(key, run) },
    },
  };
}

const kinds: Readonly<Record<string, 'file' | 'folder' | 'link'>> = { '-': 'file', d: 'folder', l: 'link' };

function shownAs({ name, mode, size, modified_at, user }: SandboxEntry, folder: string, here: string, attempt: number) {
  const path = textOf(folder === '' ? name : `${folder}/${name}`);
  const kind = kinds[mode[0] ?? ''] ?? 'other';
  const query = `path=${encodeURIComponent(path)}&attempt=${attempt}`;
  const links = {
    ...(kind === 'folder' || kind === 'link' ? { folder: `${here}?${query}` } : {}),
    ...(kind === 'file' || kind === 'link' ? { content: `${here}/content?${query}` } : {}),
  };
  return { name: textOf(name), path, kind, mode, size, modified_at: iso(modified_at), user, links };
}

async function content(exchange: Exchange): Promise<typeof streaming> {
  const { query, services, response } = exchange;
  const { wanted, task_id, agent_id } = asked(exchange);
  const path = pathIn(query.path ?? '');
  if (path === '') throw new Refused('malformed', 'no file is named: expected ?path=FILE');
  const open = () => services.sandboxes.open(agent_id, task_id, path);
  const name = textOf(path.slice(path.lastIndexOf('/') + 1));
  const headers = {
    'content-type': query.download === 'true' ? 'application/octet-stream' : 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    // A page that a task wrote must not be a page of ours.
    'content-security-policy': "sandbox; default-src 'none'",
    ...(query.download === 'true'
      ? { 'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(name).replaceAll("'", '%27')}` }
      : {}),
  };
  if (query.follow === 'true') await follow(exchange, wanted, open, false);
  else {
    const file = await open();
    if (file === undefined) throw notThere(query.path);
    await sendFile(exchange, file, headers, query.length === undefined ? undefined : Number(query.length));
  }
  response.end();
  return streaming;
}

/** The attempt that is meant, and where it ran. */
function asked(exchange: Exchange): { wanted: Wanted; found: Attempt; task_id: string; agent_id: string } {
  const { wanted, found } = attemptAsked(exchange);
  const { key, run, index } = wanted;
  if (found.number < 1 || found.agent_id === undefined)
    throw new Refused('not-found', 'there is no sandbox of this attempt: it has no place, or had none that is known');
  return { wanted, found, task_id: taskId(`${key}/${run}/${index}`, found.number), agent_id: found.agent_id };
}

const notThere = (path = '') =>
  new Refused('not-found', `there is no "${path.slice(0, 200)}" in this sandbox (any more), or it leads out of it`);

// --- names --------------------------------------------------------------------------------------------------------------

/** A path within the sandbox, one character for each byte. One that climbs is not there. */
function pathIn(text: string): string {
  const parts = bytesIn(text)
    .split('/')
    .filter(part => part !== '' && part !== '.');
  if (parts.includes('..')) throw notThere(text);
  return parts.join('/');
}

/** Text as bytes, one character each; `\xNN` is one, `\\` is a backslash. */
function bytesIn(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})|\\\\|[^\\]+|\\/gi, (piece, hex: string | undefined) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return piece === '\\\\' ? '\\' : Buffer.from(piece, 'utf8').toString('latin1');
  });
}

/** Bytes as text, and back by `bytesIn`. */
export function textOf(bytes: string): string {
  const raw = Buffer.from(bytes, 'latin1');
  let text = '';
  for (let at = 0; at < raw.length; ) {
    const length = textAt(raw, at);
    if (length === 0) text += `\\x${raw[at]!.toString(16).padStart(2, '0')}`;
    else {
      const piece = raw.toString('utf8', at, at + length);
      text += piece === '\\' ? '\\\\' : piece;
    }
    at += length || 1;
  }
  return text;
}

/** How many bytes the character there has; 0: it is none. */
function textAt(raw: Buffer, at: number): number {
  const first = raw[at]!;
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length <= 1) return length;
  const piece = raw.subarray(at, at + length);
  return piece.length === length && Buffer.from(piece.toString('utf8'), 'utf8').equals(piece) ? length : 0;
}
