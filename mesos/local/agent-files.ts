// agent-files.ts: the sandboxes of an agent, read over HTTP as one reads those of a real agent.
//
//   /frameworks/FRAMEWORK/executors/EXECUTOR/runs/latest/NAME             of an executor; a plain task is its own
//   /frameworks/FRAMEWORK/executors/EXECUTOR/runs/latest/tasks/TASK/NAME  of a task in a group
//   WORK_DIR/sandboxes/AGENT/TASK/NAME                                    where it really is
//
// Nothing outside of a sandbox is shown, whatever a path says or a link points at: what is opened is asked where it is.

import { lstat, realpath } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type ByteString, bytesOf, inQuery, percentOf, rawOf } from '../byte-names.ts';
import { hasCode, isGone } from './processes.ts';
import { modeOf, nameOf, type SandboxEntry, sandboxFile, sandboxFolder } from './sandbox.ts';
import { secrets_folder } from './secret-wishes.ts';

export type AgentFilesOptions = {
  readonly work_dir: string;
  readonly agent_id: string;
  /** Whether a header names somebody who may look. */
  readonly admits: (authorization: string | undefined) => boolean;
  /** What containers use, all or one, as a Mesos agent tells it. */
  readonly statistics: (executor_id: string | undefined) => readonly object[];
  /** The sandbox of an executor that lives. */
  readonly sandboxOf: (framework_id: string, executor_id: string) => string | undefined;
};

/** What one answer holds at most: sixteen pages. */
const piece_bytes_max = 65_536;

/** Serves a request if it is about files; false when it is not. */
export function agentFiles(options: AgentFilesOptions) {
  const { work_dir, agent_id } = options;
  const home = bytesOf(join(work_dir, 'sandboxes', agent_id));

  /** Which sandbox a path means, and what in it. */
  const sandboxIn = (path: ByteString): { name: string; rest: ByteString } | undefined => {
    const parts = path.split('/').filter(part => part !== '');
    if (path.startsWith(`${home}/`)) {
      const [name = '', ...rest] = path.slice(home.length + 1).split('/');
      return { name, rest: rest.join('/') };
    }
    const [frameworks, framework, executors, executor, runs, latest, ...rest] = parts;
    if (frameworks !== 'frameworks' || executors !== 'executors' || runs !== 'runs' || latest !== 'latest')
      return undefined;
    if (framework === undefined || executor === undefined) return undefined;
    const [tasks, task, ...below] = rest;
    if (tasks === 'tasks' && task !== undefined) return { name: task, rest: below.join('/') };
    return { name: options.sandboxOf(framework, executor) ?? executor, rest: rest.join('/') };
  };

  /** What it is; `missing`, or `outside` of its sandbox. */
  const find = async (
    path: ByteString,
  ): Promise<{ name: string; rest: ByteString; folder: boolean } | 'missing' | 'outside'> => {
    const meant = sandboxIn(path);
    if (meant === undefined || !isPlain(meant.name)) return 'missing';
    try {
      const root = await realpath(rawOf(`${home}/${meant.name}`), 'buffer');
      const real = await realpath(rawOf(`${root.toString('latin1')}/${meant.rest}`), 'buffer');
      const [at, within] = [real.toString('latin1'), `${root.toString('latin1')}${sep}`];
      if (!`${at}${sep}`.startsWith(within)) return 'outside';
      const rest = at.slice(within.length);
      if (rest === secrets_folder || rest.startsWith(`${secrets_folder}/`)) return 'missing';
      return { ...meant, rest, folder: (await lstat(real)).isDirectory() };
    } catch (error) {
      if (isGone(error) || hasCode(error, 'ENOTDIR') || hasCode(error, 'ELOOP')) return 'missing';
      throw error;
    }
  };

  return async (request: IncomingMessage, response: ServerResponse, place: string): Promise<boolean> => {
    const what = /^(?:\/slave\(1\))?\/(files\/read|files\/browse|files\/download|monitor\/statistics)$/
      .exec(place)?.[1]
      ?.split('/')[1];
    if (what === undefined) return false;
    const say = (status: number, text = '', headers: Record<string, string> = {}) => {
      const type = text === '' ? {} : { 'Content-Type': 'text/plain; charset=utf-8' };
      response.writeHead(status, { ...type, ...headers, 'Content-Length': Buffer.byteLength(text) }).end(text);
      return true;
    };
    if (!options.admits(request.headers.authorization))
      return say(401, '401 Unauthorized.', { 'WWW-Authenticate': 'Basic realm="mesos-agent-readonly"' });
    if (request.method !== 'GET')
      return say(405, `405 Method Not Allowed. Expecting one of { 'GET' }, but received '${request.method}'.`);
    const query = new URLSearchParams(request.url?.split('?')[1] ?? '');
    if (what === 'statistics') return sayJson(response, options.statistics(query.get('executor_id') ?? undefined));
    const path = inQuery(request.url?.split('?')[1] ?? '', 'path');
    if (path === undefined || path === '') return say(400, "Expecting 'path=value' in query.\n");
    const found = await find(path);
    if (found === 'outside') return say(400, `'${path}' is inaccessible.\n`);
    if (found === 'missing') return say(404, what === 'download' ? '404 Not Found.' : '');
    if (what === 'browse') {
      const entries = await sandboxFolder(work_dir, agent_id, found.name, found.rest);
      return sayJson(response, found.folder ? (entries ?? []).map(entry => listed(path, entry)) : []);
    }
    if (found.folder) return say(400, `Cannot ${what} a directory.\n`);
    const file = await sandboxFile(work_dir, agent_id, found.name, found.rest);
    if (file === undefined) return say(404);
    try {
      if (what === 'download') {
        const { size } = await file.stat();
        response.writeHead(200, {
          'Content-Type': 'application/octet-stream',
          'Content-Disposition': `attachment; filename=${percentOf(basename(path))}`,
          'Content-Length': size,
        });
        if (size === 0) response.end();
        else await pipeline(file.createReadStream({ end: size - 1, autoClose: false }), response);
        return true;
      }
      const offset = numberIn(query.get('offset'), -1);
      const length = numberIn(query.get('length'), -1);
      for (const [name, given] of [
        ['offset', offset],
        ['length', length],
      ] as const)
        if (typeof given === 'string')
          return say(400, `Failed to parse ${name}: Failed to convert '${given}' to number.\n`);
      if (typeof offset === 'string' || typeof length === 'string') return say(400);
      if (offset < -1) return say(400, `Negative offset provided: ${offset}.\n`);
      if (length < -1) return say(400, `Negative length provided: ${length}.\n`);
      if (offset === -1) return sayPiece(response, '', (await file.stat()).size);
      const wanted = length === -1 ? piece_bytes_max : Math.min(length, piece_bytes_max);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(wanted), 0, wanted, offset);
      return sayPiece(response, buffer.toString('latin1', 0, bytesRead), offset);
    } finally {
      await file.close();
    }
  };
}

const isPlain = (name: string) => name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);

function numberIn(text: string | null, absent: number): number | string {
  if (text === null || text === '') return absent;
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

/** Names stand in it as their own bytes. */
function sayJson(response: ServerResponse, value: unknown): true {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(Buffer.from(JSON.stringify(value), 'latin1'));
  return true;
}

/** The file's own bytes inside a JSON string, whatever they are: so do real agents. */
function sayPiece(response: ServerResponse, data: string, offset: number): true {
  const body = Buffer.from(JSON.stringify({ data, offset }), 'latin1');
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
  return true;
}

/** As the agent lists it: under the path by which its folder was asked for. */
const listed = (path: ByteString, { name, stats }: SandboxEntry) => ({
  gid: nameOf(stats.gid),
  mode: modeOf(stats),
  mtime: Math.floor(stats.mtimeMs / 1000),
  nlink: stats.nlink,
  path: join(path, name),
  size: stats.size,
  uid: nameOf(stats.uid),
});
