// agent-sessions.ts: commands in running tasks, by way of the operator API of the agents on which they run.
//
// An agent knows which container a task is; the session is a container in that one. Two connections stand while it lasts:
// the answer with its output, read no faster than somebody wants it, and the request with its input. Letting go of the
// first is what ends a session whose user is gone, and every agent sees to that by itself.

import * as http from 'node:http';
import * as https from 'node:https';
import type * as tls from 'node:tls';
import type { Clock, Wake } from '../schedules/clock.ts';
import { AgentAway } from './agent-files.ts';
import { httpGet } from './http-get.ts';
import { recordParser } from './recordio.ts';
import {
  type ContainerId,
  containerCall,
  containerIn,
  dataRecord,
  inputOf,
  launchCall,
  readEnd,
  readPiece,
  type Session,
  type SessionEnd,
  type SessionPiece,
  type SessionWish,
  sizeRecord,
} from './sessions.ts';

/** Where an agent is, and what is shown to it. */
export type AgentPlace = {
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls?: tls.ConnectionOptions | undefined;
};

/** The agent was reached, and says no. */
export class SessionRefused extends Error {}

export type AgentSessionsOptions = {
  readonly clock: Clock;
  /** Finds the agent, perhaps at a second place when the first does not answer. */
  readonly at: <T>(agent_id: string, work: (place: AgentPlace) => Promise<T>) => Promise<T>;
  readonly framework_id: () => string | undefined;
  readonly newId: () => string;
  readonly timeout_ms?: number;
  /** A machine that vanishes closes nothing: it is asked whether it lives when it has been silent for this long. */
  readonly keep_alive_ms?: number;
};

export type AgentSessions = {
  /** undefined when the agent runs no such task (any more). Rejects with SessionRefused, and as `at` does. */
  readonly open: (agent_id: string, task_id: string, wish: SessionWish) => Promise<Session | undefined>;
};

/** What is left of a command's output comes so soon after its input has closed. */
const farewell_ms = 2_000;
const tasks_bytes_max = 256 * 1024 * 1024;
const answer_bytes_max = 1024 * 1024;
const record_bytes_max = 16 * 1024 * 1024;

export function agentSessions(options: AgentSessionsOptions): AgentSessions {
  const { clock, timeout_ms = 10_000, keep_alive_ms = 15_000 } = options;

  const ask = async (place: AgentPlace, call: object, bytes_max = answer_bytes_max, patience_ms = timeout_ms) => {
    const { origin, headers, tls } = place;
    const body = JSON.stringify(call);
    const shown = { ...headers, 'Content-Type': 'application/json', Accept: 'application/json' };
    const url = new URL('/api/v1', origin);
    const asked = { method: 'POST' as const, headers: shown, body, tls, timeout_ms: patience_ms, bytes_max, clock };
    const got = await httpGet(url, asked).catch(away(origin));
    return { status: got.status, text: got.body.toString('utf8') };
  };

  const launch = async (place: AgentPlace, container_id: ContainerId, wish: SessionWish): Promise<Session> => {
    const call = JSON.stringify(launchCall(container_id, wish));
    const asked = post(place, keep_alive_ms, {
      'Content-Type': 'application/json',
      Accept: 'application/recordio',
      'Message-Accept': 'application/json',
      'Content-Length': String(Buffer.byteLength(call)),
    });
    asked.end(call);
    const answer = await answered(asked, clock, timeout_ms).catch(away(place.origin));
    if (answer.statusCode !== 200) {
      const why = (await textOf(answer)).slice(0, 500);
      throw new SessionRefused(refusal(place.origin, answer.statusCode ?? 0, why));
    }
    const carrier = post(place, keep_alive_ms, {
      'Content-Type': 'application/recordio',
      'Message-Content-Type': 'application/json',
      Accept: 'application/json',
    });
    let open = true;
    let patience: Wake | undefined;
    const close = () => {
      open = false;
      patience?.cancel();
      asked.destroy();
      carrier.destroy();
    };
    // A command that is over takes its input along, and either connection may tell so first; one that goes on cannot be
    // talked to any more.
    const deaf = (why: string) => {
      if (!open) return;
      patience ??= clock.wakeAt(clock.now() + farewell_ms, () =>
        answer.destroy(new Error(`${place.origin} takes no more input: ${why}`)),
      );
    };
    carrier.on('response', response => {
      textOf(response).then(
        text => response.statusCode === 200 || deaf(`${response.statusCode}: ${text.trim().slice(0, 500)}`),
        () => deaf('the connection broke'),
      );
    });
    carrier.on('error', error => deaf(error.message));
    carrier.write(inputOf(container_id));

    let settle: (end: SessionEnd) => void = () => undefined;
    const ended = new Promise<SessionEnd>(resolve => {
      settle = resolve;
    });
    const ending = async (): Promise<SessionEnd> => {
      try {
        const { status, text } = await ask(place, containerCall('WAIT_NESTED_CONTAINER', container_id));
        if (status !== 200) return 'unknown';
        await ask(place, containerCall('REMOVE_NESTED_CONTAINER', container_id));
        return readEnd(text);
      } catch {
        // It ran; whoever could say how it ended is gone, which is what `unknown` says.
        return 'unknown';
      }
    };
    async function* output(): AsyncGenerator<SessionPiece> {
      const parser = recordParser(record_bytes_max);
      try {
        for await (const chunk of bytesFrom(answer, place.origin)) {
          const { records, garbled } = parser.feed(chunk);
          for (const each of records) {
            const piece = readPiece(each);
            if (piece !== undefined && piece.bytes.length > 0) yield piece;
          }
          if (garbled !== undefined) throw new Error(garbled.message);
        }
        const end = await ending();
        settle(end);
      } finally {
        // Also when it was cut off, or nobody reads on.
        settle('unknown');
        close();
      }
    }
    return {
      output: output(),
      ended,
      write: bytes => (open ? written(carrier, dataRecord(bytes)) : Promise.resolve()),
      end() {
        if (open) carrier.end(dataRecord(new Uint8Array(0)));
      },
      resize(size) {
        if (open && !carrier.writableEnded) carrier.write(sizeRecord(size));
      },
      close,
    };
  };

  return {
    open: (agent_id, task_id, wish) =>
      options.at(agent_id, async place => {
        const { status, text } = await ask(place, { type: 'GET_TASKS' }, tasks_bytes_max);
        if (status !== 200) throw new SessionRefused(refusal(place.origin, status, text.slice(0, 500)));
        const parent = containerIn(text, options.framework_id(), task_id);
        if (parent === undefined) return undefined;
        return launch(place, { value: options.newId(), parent }, wish);
      }),
  };
}

const away =
  (origin: string) =>
  (error: unknown): never => {
    throw new AgentAway(`${origin}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  };

function post(
  { origin, headers, tls }: AgentPlace,
  keep_alive_ms: number,
  more: Readonly<Record<string, string>>,
): http.ClientRequest {
  const url = new URL('/api/v1', origin);
  const secure = url.protocol === 'https:';
  const given = { method: 'POST', agent: false, headers: { ...headers, ...more } };
  const asked = (secure ? https : http).request(url, { ...given, ...(secure ? tls : {}) });
  return asked.on('socket', socket => socket.setKeepAlive(true, keep_alive_ms));
}

function answered(asked: http.ClientRequest, clock: Clock, timeout_ms: number): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const patience = clock.wakeAt(clock.now() + timeout_ms, () =>
      asked.destroy(new Error(`no answer within ${timeout_ms} ms`)),
    );
    asked.on('error', reject);
    asked.on('close', () => patience.cancel());
    asked.on('response', response => {
      patience.cancel();
      resolve(response);
    });
  });
}

/** What it says, until it ends or breaks off. */
async function* bytesFrom(answer: http.IncomingMessage, origin: string): AsyncGenerator<Buffer> {
  try {
    yield* answer as AsyncIterable<Buffer>;
  } catch (error) {
    // Nobody has said why: the connection was cut.
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') away(origin)(new Error('it hung up'));
    throw error;
  }
}

async function textOf(answer: http.IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of answer) {
    text += String(piece);
    if (text.length > answer_bytes_max) break;
  }
  return text;
}

/** Resolves when there is room for more, or nobody is there any more. */
function written(carrier: http.ClientRequest, text: string): Promise<void> {
  if (carrier.writableEnded || carrier.destroyed || carrier.write(text)) return Promise.resolve();
  return new Promise(resolve => {
    const go = () => {
      carrier.off('drain', go).off('close', go);
      resolve();
    };
    carrier.on('drain', go).on('close', go);
  });
}

const refusal = (origin: string, status: number, text: string): string =>
  status === 401 || status === 403
    ? `${origin} lets only those into its containers whom it knows (${status}): ` +
      'expected --mesos-agents-authenticate, and a principal that its --credentials and --acls allow'
    : `${origin} answers ${status}: ${text.trim()}`;
