// engine.ts: a Docker engine, as far as a task needs one: its API over its socket, and nothing that it does by itself.
//
// Two kinds of trouble are told apart, because they mean different things to a task: the engine says no, in words that its
// user wants to read; or it does not answer, and then nobody knows.

import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { lines } from './stream.ts';

/** Where an engine listens. */
export type Address = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** The engine answered, and the answer is no. */
export class EngineRefused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
/** It could not be asked, or went away over the answer. */
export class EngineAway extends Error {}

export type ContainerState = {
  readonly Running: boolean;
  readonly Status: string;
  readonly OOMKilled: boolean;
  readonly ExitCode: number;
  readonly Error: string;
  readonly Pid: number;
  readonly StartedAt: string;
  readonly FinishedAt: string;
};
export type Inspected = {
  readonly Id: string;
  readonly State: ContainerState;
  readonly Config?: { readonly StopSignal?: string };
  readonly NetworkSettings?: {
    readonly IPAddress?: string;
    readonly Networks?: Readonly<Record<string, { readonly IPAddress?: string } | null>>;
  };
};
export type Image = {
  readonly architecture: string;
  readonly os: string;
  /** What it runs where nobody says otherwise. */
  readonly line: { readonly Entrypoint?: readonly string[] | null; readonly Cmd?: readonly string[] | null };
  /** As whom, in the image's words. */
  readonly user: string;
};
export type Executed = { readonly Running: boolean; readonly ExitCode: number | null; readonly Pid: number };
export type Listed = {
  readonly Id: string;
  readonly State: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Created: number;
};

export interface Engine {
  /** What it calls this machine's architecture: `amd64`. */
  architecture(): Promise<string>;
  /** Whether users in its containers are others outside. */
  remaps(): Promise<boolean>;
  /** `undefined` when the image is not here. */
  image(name: string): Promise<Image | undefined>;
  /** `stop` ends it. `login`: who we are at its registry, as the engine wants to be told. */
  pull(name: string, stop: AbortSignal, login?: string): Promise<void>;
  /** Returns the container's id. */
  create(name: string, body: object): Promise<string>;
  /** Output from now on, as the engine frames it. */
  attach(id: string): Promise<Duplex>;
  start(id: string): Promise<void>;
  /** Returns the exit code when it does not run any more. */
  wait(id: string): Promise<number>;
  inspect(id: string): Promise<Inspected | undefined>;
  /** A small regular file of a container, running or not; undefined when there is none. */
  file(id: string, path: string): Promise<Buffer | undefined>;
  /** Nothing happens to one that does not run. */
  signal(id: string, signal: string): Promise<void>;
  /** Makes ready what is to run in a container that runs. Returns its id. */
  prepare(id: string, body: object): Promise<string>;
  /** Starts it, and is its input and output: framed, or as they are where it has a terminal. */
  execute(exec_id: string, terminal: boolean): Promise<Duplex>;
  /** `Pid` is of the machine on which the engine runs. */
  executed(exec_id: string): Promise<Executed | undefined>;
  resize(exec_id: string, size: { readonly rows: number; readonly columns: number }): Promise<void>;
  /** With its anonymous volumes, running or not. */
  remove(id: string): Promise<void>;
  /** All that carry this label, dead or alive; all there are without one. */
  list(label?: string): Promise<readonly Listed[]>;
}

/** Reads what stands in --docker or DOCKER_HOST. */
export function readAddress(text: string): Address | undefined {
  if (text.startsWith('/')) return { socketPath: text };
  const unix = /^unix:\/\/(\/.+)$/.exec(text);
  if (unix !== null) return { socketPath: unix[1]! };
  const tcp = /^tcp:\/\/([^:/]+):(\d{1,5})\/?$/.exec(text);
  return tcp === null ? undefined : { host: tcp[1]!, port: Number(tcp[2]) };
}

export const textOfAddress = (address: Address): string =>
  'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`;

type Asked = {
  readonly body?: object;
  readonly stop?: AbortSignal;
  /** Whether the answer may take for ever. */
  readonly patient?: boolean;
};

export function openEngine(address: Address, timeout_ms = 120_000): Engine {
  const where = textOfAddress(address);
  const away = (error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    const why =
      code === undefined ? (error instanceof Error ? error.message : String(error)) : (said_by_code[code] ?? code);
    return new EngineAway(`no Docker engine answers at ${where}: ${why}`, { cause: error });
  };

  const begin = (
    method: string,
    path: string,
    { body, stop, patient }: Asked,
    more: RequestOptions = {},
  ): ClientRequest => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const asked = request({
      ...address,
      method,
      path,
      agent: false,
      ...(stop === undefined ? {} : { signal: stop }),
      ...more,
      headers: {
        host: 'docker',
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        ...more.headers,
      },
    });
    if (patient !== true)
      asked.setTimeout(timeout_ms, () => asked.destroy(new Error(`it was silent for ${timeout_ms} ms`)));
    asked.end(text);
    return asked;
  };

  const answered = (asked: ClientRequest) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      asked.once('response', resolve);
      asked.once('error', error => reject(away(error)));
    });

  const textOf = async (answer: IncomingMessage): Promise<string> => {
    answer.setEncoding('utf8');
    let text = '';
    try {
      for await (const piece of answer) text += piece;
    } catch (error) {
      throw away(error);
    }
    return text;
  };

  /** The JSON of the answer; `undefined` for 404. */
  const ask = async (method: string, path: string, asked: Asked = {}): Promise<unknown> => {
    const answer = await answered(begin(method, path, asked));
    const text = await textOf(answer);
    const status = answer.statusCode ?? 0;
    // 304: it is so already.
    if (status < 300 || status === 304) return text.trim() === '' ? {} : parsed(text, where);
    if (status === 404 && method === 'GET') return undefined;
    throw new EngineRefused(status, wordsOf(text, status));
  };

  /** The connection itself, once the engine has made it a pipe. */
  const upgraded = (path: string, body?: object) =>
    new Promise<Duplex>((resolve, reject) => {
      const headers = { connection: 'Upgrade', upgrade: 'tcp' };
      const asked = begin('POST', path, body === undefined ? {} : { body }, { headers });
      asked.once('error', error => reject(away(error)));
      asked.once('response', answer => {
        const status = answer.statusCode ?? 0;
        textOf(answer).then(text => reject(new EngineRefused(status, wordsOf(text, status))), reject);
      });
      asked.once('upgrade', (_, socket, head) => {
        socket.setTimeout(0);
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
    });

  return {
    async architecture() {
      const version = (await ask('GET', '/version')) as { readonly Arch?: string } | undefined;
      return version?.Arch ?? '';
    },
    async remaps() {
      const info = (await ask('GET', '/info')) as { readonly SecurityOptions?: readonly string[] | null } | undefined;
      return (info?.SecurityOptions ?? []).some(option => /^name=(?:userns|rootless)\b/.test(option));
    },
    async image(name) {
      const path = `/images/${encodeURIComponent(name)}/json`;
      const image = (await ask('GET', path)) as
        | {
            readonly Architecture?: string;
            readonly Os?: string;
            readonly Config?: (Image['line'] & { readonly User?: string }) | null;
          }
        | undefined;
      if (image === undefined) return undefined;
      const { Architecture: architecture = '', Os: os = '', Config } = image;
      return { architecture, os, line: Config ?? {}, user: Config?.User ?? '' };
    },
    async pull(name, stop, login) {
      const query = new URLSearchParams(imageQuery(name));
      const headers = login === undefined ? {} : { 'x-registry-auth': login };
      const answer = await answered(begin('POST', `/images/create?${query}`, { stop }, { headers }));
      const status = answer.statusCode ?? 0;
      if (status >= 300) throw new EngineRefused(status, wordsOf(await textOf(answer), status));
      // 200 came before the pull: whether it went well stands in the last line.
      let refused: string | undefined;
      const news = lines(line => {
        const said = parsed(line, where) as { readonly error?: string };
        refused ??= said.error;
      });
      answer.setEncoding('utf8');
      try {
        for await (const piece of answer) news.add(piece);
      } catch (error) {
        throw away(error);
      }
      news.end();
      if (refused !== undefined) throw new EngineRefused(500, refused);
    },
    async create(name, body) {
      const made = (await ask('POST', `/containers/create?${new URLSearchParams({ name })}`, { body })) as {
        Id: string;
      };
      return made.Id;
    },
    attach: id => upgraded(`/containers/${id}/attach?stream=1&stdout=1&stderr=1`),
    async prepare(id, body) {
      return ((await ask('POST', `/containers/${id}/exec`, { body })) as { Id: string }).Id;
    },
    execute: (exec_id, terminal) => upgraded(`/exec/${exec_id}/start`, { Detach: false, Tty: terminal }),
    executed: async exec_id => (await ask('GET', `/exec/${exec_id}/json`)) as Executed | undefined,
    resize: async (exec_id, { rows, columns }) =>
      void (await ask('POST', `/exec/${exec_id}/resize?${new URLSearchParams({ h: `${rows}`, w: `${columns}` })}`)),
    start: async id => void (await ask('POST', `/containers/${id}/start`)),
    async wait(id) {
      const ended = (await ask('POST', `/containers/${id}/wait`, { patient: true })) as {
        readonly StatusCode?: number;
      };
      // Cut off in the middle of an answer that it began long ago.
      if (ended.StatusCode === undefined) throw new EngineAway(`the Docker engine at ${where} went away`);
      return ended.StatusCode;
    },
    async file(id, path) {
      const answer = await answered(begin('GET', `/containers/${id}/archive?${new URLSearchParams({ path })}`, {}));
      if (answer.statusCode !== 200) {
        const said = await textOf(answer);
        if (answer.statusCode === 404) return undefined;
        throw new EngineRefused(answer.statusCode ?? 0, wordsOf(said, answer.statusCode ?? 0));
      }
      const pieces: Buffer[] = [];
      let bytes = 0;
      try {
        for await (const piece of answer as AsyncIterable<Buffer>) {
          bytes += piece.length;
          if (bytes > file_bytes_max) break; // Leaves the answer, and with it the connection.
          pieces.push(piece);
        }
      } catch (error) {
        throw away(error);
      }
      return bytes > file_bytes_max ? undefined : onlyFile(Buffer.concat(pieces));
    },
    inspect: async id => (await ask('GET', `/containers/${id}/json`)) as Inspected | undefined,
    async signal(id, signal) {
      try {
        await ask('POST', `/containers/${id}/kill?${new URLSearchParams({ signal })}`);
      } catch (error) {
        const over = error instanceof EngineRefused && (error.status === 409 || error.status === 404);
        if (!over) throw error;
      }
    },
    async remove(id) {
      try {
        await ask('DELETE', `/containers/${id}?force=1&v=1`);
      } catch (error) {
        // 409: somebody removes it at this moment.
        const gone = error instanceof EngineRefused && (error.status === 404 || error.status === 409);
        if (!gone) throw error;
      }
    },
    async list(label) {
      const query = new URLSearchParams({
        all: '1',
        filters: JSON.stringify(label === undefined ? {} : { label: [label] }),
      });
      return ((await ask('GET', `/containers/json?${query}`)) ?? []) as readonly Listed[];
    },
  };
}

const file_bytes_max = 1024 * 1024;

/** Of a tar that begins with it. */
function onlyFile(tar: Buffer): Buffer | undefined {
  const kind = tar[156];
  const size = Number.parseInt(tar.toString('latin1', 124, 136), 8);
  const is_file = kind === 0 || kind === 0x30;
  return is_file && tar.length >= 512 + size ? tar.subarray(512, 512 + size) : undefined;
}

const said_by_code: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens there',
  EACCES: 'we may not use it',
  EPERM: 'we may not use it',
};

/** `repository` and `tag` as the engine wants to be asked. Without a tag it would pull all of them. */
export function imageQuery(name: string): { fromImage: string; tag?: string } {
  if (name.includes('@')) return { fromImage: name };
  const slash = name.lastIndexOf('/');
  const colon = name.indexOf(':', slash + 1);
  return colon < 0
    ? { fromImage: name, tag: 'latest' }
    : { fromImage: name.slice(0, colon), tag: name.slice(colon + 1) };
}

function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new EngineAway(`what answers at ${where} is no Docker engine: it said ${text.slice(0, 100)}`, {
      cause: error,
    });
  }
}

function wordsOf(text: string, status: number): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // Not in JSON, so as it stands.
  }
  return text.trim() === '' ? `the engine answered ${status}` : text.trim();
}
