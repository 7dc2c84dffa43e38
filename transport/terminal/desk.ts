// desk.ts: where commands in running tasks are asked for: who may, on record before it begins and when it has ended.
//
// A switchboard. It plugs a WebSocket into an agent and counts what is plugged in; bytes go through as fast as the slower side
// takes them. Either side hanging up ends the other, and so does a silence that lasts too long.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { Submit } from '../../actors/model/commands.ts';
import { identifier, jobKey, roleOf } from '../../actors/model/ids.ts';
import type { Session, SessionEnd, TaskSessions, Views } from '../../actors/model/views.ts';
import type { Clock, Wake } from '../../schedules/clock.ts';
import type { Authenticated } from '../credentials.ts';
import { authorize } from '../http/guard.ts';
import { problemDocument, Refused, refusedBy } from '../http/problems.ts';
import type { Log } from '../http/route.ts';
import { readClientWord } from '../http/session-words.ts';
import type { Metrics } from '../metrics.ts';
import { type Target, targetOf, type Wanted } from './target.ts';
import { type ClientWord, frame, message_bytes_max, type ServerWord, subprotocol } from './words.ts';

export type SessionDeskOptions = {
  readonly views: Views;
  readonly submit: Submit;
  /** Left out: nobody here knows how. */
  readonly sessions: TaskSessions | undefined;
  readonly limits: { readonly sessions_max: number; readonly session_idle_ms: number };
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly ids: () => string;
};
export interface SessionDesk {
  /** Takes over a connection that asks to become a WebSocket at one of our paths. Rejects with Refused. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, who: Authenticated): Promise<void>;
  /** Resolves when what was open is ended, and that is on record. */
  close(): Promise<void>;
}

export const isSessionPath = (path: string): boolean => session_path.test(path);
const session_path = /^\/api\/v1\/jobs\/([^/]+)\/([^/]+)\/([^/]+)\/session$/;

/** Between the connection and the word with which it begins. */
const begin_ms_max = 10_000;
/** A connection that does not answer so often is gone. */
const beat_ms = 30_000;
/** Of the command, as the audit has it. */
const told_chars_max = 1_000;
const code = { fine: 1000, away: 1001, malformed: 1007, refused: 1008 } as const;
const stopping_words = 'the scheduler is stopping';
/** For people: the better shell, where there is one. */
const shell = ['/bin/sh', '-c', 'if command -v bash >/dev/null; then exec bash; else exec sh; fi'];

export function createSessionDesk(options: SessionDeskOptions): SessionDesk {
  const { views, sessions, limits, clock, log, metrics } = options;
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: message_bytes_max,
    perMessageDeflate: false,
    handleProtocols: offered => offered.has(subprotocol) && subprotocol,
  });
  const open = new Map<WebSocket, Promise<void>>();
  let stopping = false;
  const gauge = metrics.gauge('horae_task_sessions');

  const begin = async (ws: WebSocket, wanted: Wanted, who: Authenticated): Promise<void> => {
    const tell = (word: ServerWord) => ws.send(JSON.stringify(word));
    try {
      const word = await firstWord(ws, clock);
      if (word === undefined) return ws.close(code.malformed, 'expected {"type":"begin"} first');
      const target = targetOf(views, wanted);
      const command = word.command ?? (word.terminal === undefined ? ['/bin/sh'] : shell);
      const shown = word.command === undefined ? 'a shell' : JSON.stringify(word.command).slice(0, told_chars_max);
      const note = noting(options, wanted, target, who);
      await note('begin-session', shown);
      let how = 'it could not be begun';
      try {
        const session = await sessions!.open(target.agent_id, target.task_id, {
          command,
          terminal: word.terminal,
          variables: word.terminal === undefined ? {} : { TERM: word.terminal.term ?? 'xterm' },
        });
        if (session === undefined)
          throw new Refused('not-running', `instance ${target.instance} does not run on its agent (any more)`);
        tell({ type: 'ready', task_id: target.task_id, agent_id: target.agent_id });
        const hangUp = () => (stopping ? stopping_words : 'its user went away');
        const { end, why } = await connect(ws, session, limits.session_idle_ms, clock, hangUp);
        how = why ?? inWords(end);
        tell({ type: 'end', ...(end === 'unknown' ? {} : end), ...(why === undefined ? {} : { why }) });
      } catch (error) {
        how = `it could not be begun: ${messageOf(error)}`;
        throw error;
      } finally {
        await note('end-session', `${shown}: ${how}`).catch(error =>
          log.error(
            { instance: target.instance, by: who.name, how, error: messageOf(error) },
            'the end of a session is not on record',
          ),
        );
      }
      ws.close(code.fine);
    } catch (error) {
      const refused = error instanceof Refused ? error : new Refused('agent-refuses', messageOf(error));
      tell({ type: 'refused', problem: problemDocument(refused) });
      ws.close(code.refused);
    } finally {
      // Whoever waits to be read from does not see that the other side says goodbye too.
      ws.resume();
    }
  };

  return {
    async accept(request, socket, head, who) {
      const wanted = wantedOf(request.url ?? '');
      try {
        authorize(who, 'operate', roleOf(wanted.key));
      } catch (error) {
        await noteRefusal(options, wanted, who, messageOf(error));
        throw error;
      }
      if (sessions === undefined) throw new Refused('not-found', 'this scheduler runs no commands in tasks');
      if (open.size >= limits.sessions_max)
        throw new Refused(
          'too-many',
          `${open.size} commands are being run in tasks: the limit is ${limits.sessions_max}`,
        );
      targetOf(views, wanted);
      server.handleUpgrade(request, socket, head, ws => {
        ws.on('error', error => log.debug({ error: error.message }, 'the user of a session went away'));
        const stop = watch(ws, clock);
        const done = begin(ws, wanted, who).finally(() => {
          stop();
          open.delete(ws);
          gauge.set(open.size);
        });
        open.set(ws, done);
        gauge.set(open.size);
      });
    },
    async close() {
      stopping = true;
      for (const ws of open.keys()) ws.close(code.away, stopping_words);
      await Promise.all(open.values());
    },
  };
}

/** Puts it on record under its user's name. Rejects when that cannot be done: what is on no record is not begun. */
function noting({ submit, ids }: SessionDeskOptions, { key }: Wanted, { instance }: Target, who: Authenticated) {
  const session = ids();
  return async (type: 'begin-session' | 'end-session', detail: string): Promise<void> => {
    const answer = await submit({
      command: { type, key, instance, detail },
      principal: { name: who.name },
      request_id: `${session}.${type}`,
    });
    if (answer.type === 'refused') throw refusedBy(answer);
  };
}

/** Who wanted to look where he may not is worth knowing; he is refused all the same when nobody can write it down. */
async function noteRefusal(
  { submit, ids, log }: SessionDeskOptions,
  { key, run, index }: Wanted,
  who: Authenticated,
  detail: string,
): Promise<void> {
  const named = run === undefined ? key : `${key}/${run}${index === undefined ? '' : `/${index}`}`;
  const command = { type: 'refuse-session', key, instance: named.slice(0, 500), detail } as const;
  try {
    const request_id = `${ids()}.refuse-session`;
    const answer = await submit({ command, principal: { name: who.name }, request_id });
    if (answer.type === 'refused') throw refusedBy(answer);
  } catch (error) {
    log.error({ key, by: who.name, error: messageOf(error) }, 'the refusal of a session is not on record');
  }
}

function wantedOf(url: string): Wanted {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const parts = (session_path.exec(pathname) ?? []).slice(1).map(decoded);
  const [role = '', environment = '', name = ''] = parts;
  if (![role, environment, name].every(part => identifier.test(part)))
    throw new Refused('not-found', `there is no job ${parts.join('/').slice(0, 250)}`);
  const index = searchParams.get('instance') ?? undefined;
  if (index !== undefined && !/^\d{1,6}$/.test(index))
    throw new Refused('malformed', `instance is "${index.slice(0, 20)}": expected its number, from 0`);
  return {
    key: jobKey(role, environment, name),
    run: searchParams.get('run') ?? undefined,
    index: index === undefined ? undefined : Number(index),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return '';
    throw error;
  }
}

function firstWord(ws: WebSocket, clock: Clock): Promise<Extract<ClientWord, { type: 'begin' }> | undefined> {
  return new Promise(resolve => {
    const done = (word?: ClientWord) => {
      patience.cancel();
      ws.off('message', hear).off('close', gone);
      // Whatever else has come waits for who reads on.
      ws.pause();
      resolve(word?.type === 'begin' ? word : undefined);
    };
    const hear = (data: RawData, binary: boolean) =>
      done(binary ? undefined : readClientWord(bytesOf(data).toString('utf8')));
    const gone = () => done();
    const patience = clock.wakeAt(clock.now() + begin_ms_max, gone);
    ws.on('message', hear).on('close', gone);
  });
}

/** Both ways at once, until one side has ended. `why`: it was ended here. */
async function connect(
  ws: WebSocket,
  session: Session,
  idle_ms: number,
  clock: Clock,
  /** Why the other side is not there any more. */
  hangUp: () => string,
): Promise<{ readonly end: SessionEnd; readonly why: string | undefined }> {
  let why: string | undefined;
  let idle: Wake | undefined;
  const end = (reason: string) => {
    why ??= reason;
    session.close();
  };
  const touch = () => {
    idle?.cancel();
    idle = clock.wakeAt(clock.now() + idle_ms, () => end(`ended after ${idle_ms} ms without a byte`));
  };
  let order = Promise.resolve();
  const hear = (data: RawData, binary: boolean) => {
    touch();
    const bytes = bytesOf(data);
    const word = binary ? undefined : readClientWord(bytes.toString('utf8'));
    if (word?.type === 'resize') return session.resize(word);
    ws.pause();
    order = order.then(() => (binary ? session.write(bytes) : word?.type === 'eof' ? session.end() : undefined));
    void order.then(() => ws.resume());
  };
  const gone = () => end(hangUp());
  ws.on('message', hear).on('close', gone);
  touch();
  ws.resume();
  if (ws.readyState !== ws.OPEN) gone();
  try {
    for await (const { stream, bytes } of session.output) {
      touch();
      await new Promise<void>(resolve => {
        ws.send(frame(stream, bytes), () => resolve());
      });
    }
  } catch (error) {
    why ??= `the agent broke off: ${messageOf(error)}`;
  } finally {
    idle?.cancel();
    ws.off('message', hear).off('close', gone);
    // Nobody reads what is still typed; the farewell must be heard.
    ws.resume();
  }
  return { end: await session.ended, why };
}

/** Ends a connection whose other side is not there any more. Returns the way to stop. */
function watch(ws: WebSocket, clock: Clock): () => void {
  let answered = true;
  let wake: Wake;
  const beat = () => {
    if (!answered) return ws.terminate();
    answered = false;
    if (ws.readyState === ws.OPEN) ws.ping();
    wake = clock.wakeAt(clock.now() + beat_ms, beat);
  };
  ws.on('pong', () => {
    answered = true;
  });
  ws.on('message', () => {
    answered = true;
  });
  wake = clock.wakeAt(clock.now() + beat_ms, beat);
  return () => wake.cancel();
}

const inWords = (end: SessionEnd): string =>
  end === 'unknown'
    ? 'nobody knows how it ended'
    : 'code' in end
      ? `exited with ${end.code}`
      : `ended by signal ${end.signal}`;
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function bytesOf(data: RawData): Buffer {
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  return Array.isArray(data) ? Buffer.concat(data) : data;
}
