// agent-files.ts: what tasks wrote, read from the agents on which they ran.
//
// A master does not pass files on: whoever wants them asks the agent. Where an agent listens stands in its offers, which pass
// by here; of an agent that has offered us nothing since we came, the leading master knows. An agent tells at most 64 KiB at
// a time, as JSON whose string is the raw bytes of the file, so the answer is read byte by byte, never as UTF-8.

import type * as http from 'node:http';
import type * as tls from 'node:tls';
import type { Clock } from '../schedules/clock.ts';
import type { AgentPlace } from './agent-sessions.ts';
import { type ByteString, bytesOf, percentOf } from './byte-names.ts';
import { type FilePiece, readPiece } from './file-piece.ts';
import { type Got, httpGet, keptConnections } from './http-get.ts';
import { jsonIn } from './json.ts';
import type { Event, Url } from './protocol.ts';

/** An agent that should have the file cannot be asked. Another time, perhaps. */
export class AgentAway extends Error {}

export type AgentFile = {
  readonly size: () => Promise<number>;
  /** Up to `length` bytes from `position`; fewer where the agent tells fewer at a time, none beyond the end. */
  readonly read: (position: number, length: number) => Promise<Uint8Array>;
  /** Nothing more will be read. */
  readonly close: () => void;
};

/** As an agent tells it; a link with the size of what it points at. */
export type AgentEntry = {
  readonly name: ByteString;
  /** As `ls -l` writes it: `-rw-r--r--`. */
  readonly mode: string;
  readonly size: number;
  readonly modified_at: number;
  readonly user: string;
};

export type AgentFilesOptions = {
  readonly clock: Clock;
  /** As the records have it, for whoever has not subscribed; left out, what a subscription told. */
  readonly framework_id?: () => string | undefined;
  /** The master to ask for an agent's address; undefined while none is known. */
  readonly master: () => string | undefined;
  readonly master_headers: () => Readonly<Record<string, string>>;
  /** Shown to agents. */
  readonly agent_headers: () => Readonly<Record<string, string>>;
  readonly tls?: tls.ConnectionOptions | undefined;
  readonly timeout_ms?: number;
  /** Agents whose addresses are remembered; then the one that was heard of first is forgotten. */
  readonly agents_max?: number;
};

export type AgentFiles = {
  /** Sees what a subscription tells, before anybody else does. */
  readonly heard: (events: readonly Event[]) => void;
  /** undefined when the agent has no such file (any more). Rejects with AgentAway. */
  readonly open: (agent_id: string, task_id: string, name: ByteString) => Promise<AgentFile | undefined>;
  /** What is in a folder of a sandbox, `''` being the sandbox itself; undefined when there is none. Rejects with AgentAway. */
  readonly list: (agent_id: string, task_id: string, folder: ByteString) => Promise<readonly AgentEntry[] | undefined>;
  /** Another question to an agent, by its path and query. Rejects with AgentAway. */
  readonly ask: (agent_id: string, path: string, bytes_max: number) => Promise<Got>;
  /** For whoever has more to say to an agent: where it is, and what is shown to it. */
  readonly at: <T>(agent_id: string, work: (place: AgentPlace) => Promise<T>) => Promise<T>;
};

/** What an agent gives in one answer. */
const piece_bytes_max = 65_536;
/** Pieces of one file that are asked for at once, so that the way there and back is not waited for with each. */
const pieces_ahead_max = 4;
const answer_bytes_max = 1024 * 1024;
const listing_bytes_max = 16 * 1024 * 1024;
const agents_bytes_max = 64 * 1024 * 1024;

export function agentFiles(options: AgentFilesOptions): AgentFiles {
  const { clock, tls, timeout_ms = 10_000, agents_max = 100_000 } = options;
  const addresses = new Map<string, string>();
  let told: string | undefined;

  const note = (agent_id: string, origin: string | undefined) => {
    if (origin === undefined || addresses.get(agent_id) === origin) return;
    addresses.delete(agent_id);
    addresses.set(agent_id, origin);
    const [oldest] = addresses.keys();
    if (addresses.size > agents_max && oldest !== undefined) addresses.delete(oldest);
  };

  const ask = async (
    url: URL,
    headers: Readonly<Record<string, string>>,
    bytes_max: number,
    connections?: http.Agent,
  ) => {
    try {
      const kept = connections === undefined ? {} : { agent: connections };
      return await httpGet(url, { headers, tls, timeout_ms, bytes_max, clock, ...kept });
    } catch (error) {
      throw new AgentAway(`${url.origin}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  };

  /** The leading master knows its agents. Followers send us on to it. */
  const asked = async (agent_id: string): Promise<string | undefined> => {
    const master = options.master();
    if (master === undefined) throw new AgentAway('no master is known who would know the agent');
    let url = new URL(`/slaves?slave_id=${encodeURIComponent(agent_id)}`, master);
    let got = await ask(url, options.master_headers(), agents_bytes_max);
    const { location } = got.headers;
    if (got.status === 307 && location !== undefined && URL.canParse(location, url.href)) {
      const next = new URL(location, url);
      if (next.protocol === url.protocol) url = next;
      got = await ask(url, options.master_headers(), agents_bytes_max);
    }
    if (got.status !== 200) throw new AgentAway(`${url.origin} tells nothing of agents: ${got.status}`);
    return originIn(got.body.toString('utf8'), agent_id, url.protocol);
  };

  /** False when there is no such thing; anything but a yes or that is thrown. */
  const told_by = (origin: string, status: number, body: Buffer): boolean => {
    // What leaves the sandbox is "inaccessible" to agents: to us it is not there.
    if (status === 404 || (status === 400 && /is inaccessible|a directory/.test(body.toString('latin1')))) return false;
    if (status === 401 || status === 403)
      throw new AgentAway(
        `${origin} shows files only to whom it knows (${status}): expected --mesos-agents-authenticate, and a principal that its --credentials and --acls allow`,
      );
    if (status !== 200) throw new AgentAway(`${origin} answers ${status}: ${body.toString('utf8').slice(0, 200)}`);
    return true;
  };

  /** A piece of a file; undefined when there is none of that path. */
  const piece = async (url: string, connections: http.Agent, offset: number, length: number) => {
    const query = `&offset=${offset}${length < 0 ? '' : `&length=${length}`}`;
    const got = await ask(new URL(`${url}${query}`), options.agent_headers(), answer_bytes_max, connections);
    const { origin } = new URL(url);
    if (!told_by(origin, got.status, got.body)) return undefined;
    const read = readPiece(got.body);
    if (read !== undefined) return read;
    throw new AgentAway(`${origin} answers what is no piece of a file: ${got.body.toString('latin1', 0, 100)}`);
  };

  const fileAmong = async (origin: string, paths: readonly ByteString[]): Promise<AgentFile | undefined> => {
    const connections = keptConnections(origin, pieces_ahead_max);
    try {
      for (const path of paths) {
        const url = `${origin}/files/read?path=${percentOf(path)}`;
        const ask = (offset: number, length: number) => piece(url, connections, offset, length);
        if ((await ask(-1, -1)) !== undefined) return readAhead(ask, () => connections.destroy());
      }
    } catch (error) {
      connections.destroy();
      throw error;
    }
    connections.destroy();
    return undefined;
  };

  /** To agents a file, and a sandbox that is gone, look like an empty folder; only a folder is refused as a file. */
  const isFolder = async (origin: string, path: ByteString): Promise<boolean> => {
    const url = new URL(`/files/read?path=${percentOf(path)}&offset=-1`, origin);
    const { status, body } = await ask(url, options.agent_headers(), answer_bytes_max);
    return status === 400 && /a directory/.test(body.toString('latin1'));
  };

  const atAgent = async <T>(agent_id: string, work: (origin: string) => Promise<T>): Promise<T> => {
    const known = addresses.get(agent_id);
    if (known !== undefined)
      try {
        return await work(known);
      } catch (error) {
        // It may have come back at another address.
        if (!(error instanceof AgentAway)) throw error;
        const origin = await asked(agent_id).catch(() => undefined);
        if (origin === undefined || origin === known) throw error;
      }
    const origin = await asked(agent_id);
    if (origin === undefined) throw new AgentAway(`the master knows no agent ${agent_id} (any more)`);
    note(agent_id, origin);
    return work(origin);
  };

  return {
    heard(events) {
      for (const event of events) {
        if (event.type === 'OFFERS')
          for (const { agent_id, url } of event.offers.offers) note(agent_id.value, originOfUrl(url));
        if (event.type === 'SUBSCRIBED') told = event.subscribed.framework_id.value;
      }
    },
    async open(agent_id, task_id, name) {
      const framework_id = options.framework_id?.() ?? told;
      if (framework_id === undefined) throw new AgentAway('no master has given us a framework id yet');
      const paths = pathsOf(framework_id, task_id, name);
      return atAgent(agent_id, origin => fileAmong(origin, paths));
    },
    at: (agent_id, work) => atAgent(agent_id, origin => work({ origin, headers: options.agent_headers(), tls })),
    async list(agent_id, task_id, folder) {
      const framework_id = options.framework_id?.() ?? told;
      if (framework_id === undefined) throw new AgentAway('no master has given us a framework id yet');
      const paths = pathsOf(framework_id, task_id, folder).map(path => path.replace(/\/$/, ''));
      return atAgent(agent_id, async origin => {
        for (const path of paths) {
          const url = new URL(`/files/browse?path=${percentOf(path)}`, origin);
          const { status, body } = await ask(url, options.agent_headers(), listing_bytes_max);
          if (!told_by(origin, status, body)) continue;
          const entries = readListing(body, origin);
          if (entries.length > 0 || (await isFolder(origin, path))) return entries;
        }
        return undefined;
      });
    },
    ask: (agent_id, path, bytes_max) =>
      atAgent(agent_id, origin => ask(new URL(path, origin), options.agent_headers(), bytes_max)),
  };
}

/**
 * Where a task's output may lie: under the default executor, whose id is the task's and which keeps its tasks in folders
 * of their own; or in the sandbox itself.
 */
export function pathsOf(framework_id: string, task_id: string, name: ByteString): readonly ByteString[] {
  const task = bytesOf(task_id);
  const sandbox = `/frameworks/${bytesOf(framework_id)}/executors/${task}/runs/latest`;
  return [`${sandbox}/tasks/${task}/${name}`, `${sandbox}/${name}`];
}

function originOfUrl(url: Url | undefined): string | undefined {
  if (url === undefined) return undefined;
  const { hostname, ip, port } = url.address;
  // A certificate names hosts; without one, the number that Mesos itself uses is the surer of the two.
  const host = url.scheme === 'https' ? (hostname ?? ip) : (ip ?? hostname);
  return host === undefined ? undefined : originFrom(url.scheme, host, port);
}

/** From what the master says of its agents: `slave(1)@10.0.0.1:5051`. */
function originIn(text: string, agent_id: string, protocol: string): string | undefined {
  const told = jsonIn(text) as {
    slaves?: readonly { id?: unknown; pid?: unknown; hostname?: unknown; port?: unknown }[];
  };
  const agent = told?.slaves?.find(({ id }) => id === agent_id);
  if (agent === undefined) return undefined;
  const [, ip, digits] = /@(.+):(\d+)$/.exec(String(agent.pid)) ?? [];
  const port = Number(agent.port ?? digits);
  const named = typeof agent.hostname === 'string' ? agent.hostname : undefined;
  const host = protocol === 'https:' ? (named ?? ip) : (ip ?? named);
  return host === undefined ? undefined : originFrom(protocol.slice(0, -1), host, port);
}

function originFrom(scheme: string, host: string, port: number): string | undefined {
  const text = `${scheme}://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
  return (scheme === 'http' || scheme === 'https') && URL.canParse(text) ? text : undefined;
}

/**
 * A file in pieces. While it is read on and on, those that come next are asked for before they are wanted; never beyond where
 * it ended when its size was last asked for, so that an end is never told from what was there long ago.
 */
function readAhead(
  ask: (offset: number, length: number) => Promise<FilePiece | undefined>,
  close: () => void,
): AgentFile {
  const none = new Uint8Array(0);
  const ahead = new Map<number, Promise<Uint8Array>>();
  let size = 0;
  const bytesAt = async (position: number, length: number) => (await ask(position, length))?.bytes ?? none;
  return {
    async size() {
      size = (await ask(-1, -1))?.offset ?? 0;
      return size;
    },
    async read(position, length) {
      const wanted = ahead.get(position);
      // Whoever goes elsewhere, or wants less, is not reading on.
      if (wanted === undefined || length < piece_bytes_max) {
        ahead.clear();
        if (length < piece_bytes_max) return bytesAt(position, length);
      }
      for (let next = position; next === position || next + piece_bytes_max <= size; next += piece_bytes_max) {
        if (next - position >= pieces_ahead_max * piece_bytes_max) break;
        if (ahead.has(next)) continue;
        const coming = bytesAt(next, piece_bytes_max);
        // Heard when it is read; if it never is, nobody needs to know.
        coming.catch(() => undefined);
        ahead.set(next, coming);
      }
      const here = ahead.get(position)!;
      ahead.delete(position);
      return here;
    },
    close,
  };
}

function readListing(body: Buffer, origin: string): readonly AgentEntry[] {
  const told = jsonIn(body.toString('latin1'));
  if (!Array.isArray(told))
    throw new AgentAway(`${origin} answers what is no folder: ${body.toString('latin1').slice(0, 100)}`);
  return told.flatMap((each: Record<string, unknown>): AgentEntry[] => {
    const { path, mode, size, mtime, uid } = each;
    if (typeof path !== 'string') return [];
    return [
      {
        name: path.slice(path.lastIndexOf('/') + 1),
        mode: String(mode ?? ''),
        size: Number(size ?? 0),
        modified_at: Number(mtime ?? 0) * 1_000,
        user: String(uid ?? ''),
      },
    ];
  });
}
