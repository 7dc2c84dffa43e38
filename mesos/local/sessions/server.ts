// server.ts: the agent's operator API, as far as it is about commands in running tasks, in the words of a real agent.
//
// A session lives as long as the answer with its output is being read: whoever hangs up ends it. What it writes waits in its
// pipes until it is wanted, so the slowest link sets the pace and nothing gathers here.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { jsonIn } from '../../json.ts';
import { recordParser } from '../../recordio.ts';
import {
  type ContainerId,
  record,
  type SessionEnd,
  type SessionWish,
  type WindowSize,
  waitStatus,
} from '../../sessions.ts';
import type { Log } from '../agent-options.ts';
import { bodyOf } from '../http-body.ts';
import type { Running } from './inside.ts';

export type Tenant = {
  readonly framework_id: string;
  readonly executor_id: string;
  readonly task_id: string;
  readonly container_id: ContainerId;
};
export type SessionsOptions = {
  readonly agent_id: string;
  readonly log: Log;
  readonly admits: (authorization: string | undefined) => boolean;
  /** Tasks that run. */
  readonly tenants: () => readonly Tenant[];
  /** undefined when there is no such container. Rejects with words when nothing can be run in it. */
  readonly run: (parent: ContainerId, id: string, wish: SessionWish) => Promise<Running | undefined>;
};
export type Sessions = {
  /** Serves a request if it is about sessions; false when it is not. */
  readonly serve: (request: IncomingMessage, response: ServerResponse, path: string) => Promise<boolean>;
  /** Its task is over. */
  readonly release: (parent: string) => void;
  readonly close: () => void;
};

type Open = {
  readonly parent: string;
  readonly running: Running;
  /** Kept for whoever asks. */
  end: SessionEnd | undefined;
};
type Call = {
  readonly type?: unknown;
  readonly launch_nested_container_session?: {
    readonly container_id?: ContainerId;
    readonly command?: {
      readonly shell?: unknown;
      readonly value?: unknown;
      readonly arguments?: readonly unknown[];
      readonly environment?: { readonly variables?: readonly { readonly name?: unknown; readonly value?: unknown }[] };
    };
    readonly container?: { readonly tty_info?: { readonly window_size?: WindowSize } };
  };
  readonly [field: string]: unknown;
};

const body_bytes_max = 1024 * 1024;
const record_bytes_max = 4 * 1024 * 1024;
/** Ends that nobody has asked for; then the oldest are forgotten. */
const ends_kept_max = 200;
const place = /^(?:\/slave\(1\))?\/api\/v1$/;

export function openSessions({ agent_id, log, admits, tenants, run }: SessionsOptions): Sessions {
  const open = new Map<string, Open>();

  const forgetOld = () => {
    const over = [...open].filter(([, { end }]) => end !== undefined);
    for (const [key] of over.slice(0, Math.max(0, over.length - ends_kept_max))) open.delete(key);
  };

  const launch = async (call: Call, response: ServerResponse, say: Say, in_records: boolean) => {
    const { container_id, command, container } = call.launch_nested_container_session ?? {};
    const parent = container_id?.parent;
    const wish = wishOf(command, container);
    if (typeof container_id?.value !== 'string' || !/^[\w-]{1,128}$/.test(container_id.value) || parent === undefined)
      return say(400, "Expecting 'container_id.parent' to be present");
    if (wish === undefined) return say(400, "Expecting 'command' to be present");
    const key = keyOf(container_id);
    if (open.has(key)) return say(400, `Container ${key} is already present`);
    let running: Running | undefined;
    try {
      running = await run(parent, container_id.value, wish);
    } catch (error) {
      return say(500, error instanceof Error ? error.message : String(error));
    }
    if (running === undefined) return say(400, `Parent container ${keyOf(parent)} does not exist`);
    // He has hung up while it began.
    if (response.destroyed) return running.kill();
    const session: Open = { parent: keyOf(parent), running, end: undefined };
    open.set(key, session);
    log.info({ session: key }, 'a session began');
    response.on('close', () => session.end ?? running.kill());
    // Whoever takes JSON alone gets the same records under that name.
    const types = in_records
      ? { 'Content-Type': 'application/recordio', 'Message-Content-Type': 'application/json' }
      : { 'Content-Type': 'application/json' };
    response.writeHead(200, types);
    response.flushHeaders();
    const ended = running.ended.then(end => {
      session.end = end;
      forgetOld();
    });
    const pour = async (stream: AsyncIterable<Buffer> | undefined, type: 'STDOUT' | 'STDERR') => {
      for await (const bytes of stream ?? []) {
        if (response.destroyed) return;
        const text = record({ type: 'DATA', data: { type, data: bytes.toString('base64') } });
        if (!response.write(text)) await drained(response);
      }
    };
    await Promise.all([pour(running.stdout, 'STDOUT'), pour(running.stderr, 'STDERR'), ended]);
    log.info({ session: key, end: session.end }, 'a session ended');
    response.end();
  };

  const attach = async (request: IncomingMessage, say: Say) => {
    const parser = recordParser(record_bytes_max);
    let session: Open | undefined;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      const { records, garbled } = parser.feed(chunk);
      for (const each of records) {
        const said = inputIn(each);
        if (said === undefined) return say(400, 'Failed to read an ATTACH_CONTAINER_INPUT record');
        if (session === undefined) {
          session = said.container_id === undefined ? undefined : open.get(keyOf(said.container_id));
          if (session === undefined) return say(404, 'Container cannot be found');
          continue;
        }
        const { stdin } = session.running;
        if (said.size !== undefined) session.running.resize(said.size);
        if (said.data === undefined || stdin.writableEnded || stdin.destroyed) continue;
        if (said.data.length === 0) stdin.end();
        else if (!stdin.write(said.data)) await drained(stdin);
      }
      if (garbled !== undefined) return say(400, garbled.message);
    }
    return say(200);
  };

  const other = async (type: string, call: Call, say: Say) => {
    const { container_id } = (call[type.toLowerCase()] ?? {}) as { readonly container_id?: ContainerId };
    const session = container_id === undefined ? undefined : open.get(keyOf(container_id));
    if (container_id === undefined || session === undefined) return say(404, 'Container cannot be found');
    if (type === 'KILL_NESTED_CONTAINER') session.running.kill();
    if (type === 'REMOVE_NESTED_CONTAINER') {
      if (session.end === undefined) return say(500, 'Failed to remove nested container: it has not terminated yet');
      open.delete(keyOf(container_id));
    }
    if (type !== 'WAIT_NESTED_CONTAINER') return say(200);
    const end = await session.running.ended;
    const told = end === 'unknown' ? {} : { exit_status: waitStatus(end) };
    return say(200, JSON.stringify({ type, wait_nested_container: told }), 'application/json');
  };

  const tasks = () => ({
    type: 'GET_TASKS',
    get_tasks: {
      launched_tasks: tenants().map(({ framework_id, executor_id, task_id, container_id }) => ({
        name: task_id,
        task_id: { value: task_id },
        framework_id: { value: framework_id },
        executor_id: { value: executor_id },
        agent_id: { value: agent_id },
        state: 'TASK_RUNNING',
        statuses: [{ task_id: { value: task_id }, state: 'TASK_RUNNING', container_status: { container_id } }],
      })),
    },
  });

  return {
    async serve(request, response, path) {
      if (!place.test(path)) return false;
      const say: Say = (status, text = '', type = 'text/plain; charset=utf-8') => {
        if (response.headersSent || response.destroyed) return;
        const head = { ...(text === '' ? {} : { 'Content-Type': type }), 'Content-Length': Buffer.byteLength(text) };
        // A body that was not read would be taken for the next request.
        response.writeHead(status, { ...head, ...(request.complete ? {} : { Connection: 'close' }) }).end(text);
      };
      if (!admits(request.headers.authorization)) {
        response.setHeader('WWW-Authenticate', 'Basic realm="mesos-agent-readwrite"');
        say(401, '401 Unauthorized.');
      } else if (request.method !== 'POST')
        say(405, `405 Method Not Allowed. Expecting one of { 'POST' }, but received '${request.method}'.`);
      else if (request.headers['content-type'] === 'application/recordio') await attach(request, say);
      else if (request.headers['content-type'] !== 'application/json')
        say(415, "Expecting 'Content-Type' of application/json or application/recordio");
      else {
        const body = await bodyOf(request, body_bytes_max);
        const call = typeof body === 'string' ? callIn(body) : undefined;
        const type = call?.type;
        if (typeof body !== 'string') say(body.status, body.text);
        else if (type === 'GET_TASKS') say(200, JSON.stringify(tasks()), 'application/json');
        else if (type === 'LAUNCH_NESTED_CONTAINER_SESSION')
          await launch(call!, response, say, request.headers.accept !== 'application/json');
        else if (typeof type === 'string' && /^(WAIT|KILL|REMOVE)_NESTED_CONTAINER$/.test(type))
          await other(type, call!, say);
        // Of the rest of the operator API there is only what cannot be understood.
        else say(400, "Failed to validate agent::Call: Expecting 'type' to be present");
      }
      return true;
    },
    release(parent) {
      for (const session of open.values())
        if (session.parent === parent && session.end === undefined) session.running.kill();
    },
    close() {
      for (const { running, end } of open.values()) if (end === undefined) running.kill();
    },
  };
}

type Say = (status: number, text?: string, type?: string) => void;
type Command = NonNullable<Call['launch_nested_container_session']>['command'];
type Container = NonNullable<Call['launch_nested_container_session']>['container'];

const keyOf = (id: ContainerId): string => (id.parent === undefined ? id.value : `${keyOf(id.parent)}/${id.value}`);

function wishOf(command: Command, container: Container): SessionWish | undefined {
  if (typeof command?.value !== 'string') return undefined;
  const [, ...rest] = (command.arguments ?? []).map(String);
  const variables = (command.environment?.variables ?? []).map(({ name, value }) => [
    String(name),
    String(value ?? ''),
  ]);
  const size = container?.tty_info?.window_size;
  return {
    command: command.shell === false ? [command.value, ...rest] : ['/bin/sh', '-c', command.value],
    terminal: container?.tty_info === undefined ? undefined : sizeOf(size),
    variables: Object.fromEntries(variables),
  };
}

const sizeOf = (size: Partial<WindowSize> | undefined): WindowSize => ({
  rows: cells(size?.rows, 24),
  columns: cells(size?.columns, 80),
});
const cells = (value: unknown, unset: number): number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 10_000 ? value : unset;

function callIn(body: string): Call | undefined {
  const call = jsonIn(body);
  return typeof call === 'object' && call !== null ? (call as Call) : undefined;
}

type Input = { readonly container_id?: ContainerId; readonly data?: Buffer; readonly size?: WindowSize };
function inputIn(bytes: Uint8Array): Input | undefined {
  const call = callIn(Buffer.from(bytes).toString('utf8'));
  type Attach = {
    readonly container_id?: ContainerId;
    readonly process_io?: {
      readonly data?: { readonly data?: unknown };
      readonly control?: { readonly tty_info?: { readonly window_size?: WindowSize } };
    };
  };
  const said = call?.attach_container_input as Attach | undefined;
  if (said === undefined) return undefined;
  const data = said.process_io?.data?.data;
  const size = said.process_io?.control?.tty_info?.window_size;
  return {
    ...(said.container_id === undefined ? {} : { container_id: said.container_id }),
    ...(typeof data === 'string' ? { data: Buffer.from(data, 'base64') } : {}),
    ...(size === undefined ? {} : { size: sizeOf(size) }),
  };
}

/** Resolves when there is room for more, or nobody is there any more. */
function drained(stream: NodeJS.EventEmitter & { readonly destroyed: boolean }): Promise<void> {
  if (stream.destroyed) return Promise.resolve();
  return new Promise(resolve => {
    const go = () => {
      stream.off('drain', go).off('close', go);
      resolve();
    };
    stream.on('drain', go).on('close', go);
  });
}
