// sessions.ts: a command in a running task, in the words of an agent: Mesos calls it a nested container session.
//
// Three conversations make one session. The answer to the launch is its output, record by record, for as long as it lasts; a
// request that is never quite finished carries its input and the size of its terminal; a third asks how it ended.

import { jsonIn } from './json.ts';
import { signal_names } from './local/signals.ts';

export type ContainerId = { readonly value: string; readonly parent?: ContainerId };
export type WindowSize = { readonly rows: number; readonly columns: number };

/** What somebody wants to run beside a task. */
export type SessionWish = {
  /** A program and its arguments. */
  readonly command: readonly string[];
  /** With a terminal, of this size at first. Without one, errors are told apart and bytes are passed on as they are. */
  readonly terminal?: WindowSize | undefined;
  /** On top of the task's own environment. */
  readonly variables?: Readonly<Record<string, string>>;
};
export type SessionPiece = { readonly stream: 'stdout' | 'stderr'; readonly bytes: Uint8Array };
/** `unknown`: nobody could say. */
export type SessionEnd = { readonly code: number } | { readonly signal: number } | 'unknown';

/** A command that runs. */
export interface Session {
  /** What it writes, to be read once; ends with it. Whoever does not read makes it wait. */
  readonly output: AsyncIterable<SessionPiece>;
  /** Resolves when there is room for more. Nothing happens once it is over. */
  write(bytes: Uint8Array): Promise<void>;
  /** Its input ends. */
  end(): void;
  resize(size: WindowSize): void;
  /** How it ended, when its output has. */
  readonly ended: Promise<SessionEnd>;
  /** Whoever wanted it is gone: it is ended, and what came of it. */
  close(): void;
}

// --- calls --------------------------------------------------------------------------------------------------------------

export const launchCall = (container_id: ContainerId, { command, terminal, variables = {} }: SessionWish): object => ({
  type: 'LAUNCH_NESTED_CONTAINER_SESSION',
  launch_nested_container_session: {
    container_id,
    command: {
      shell: false,
      value: command[0],
      arguments: command,
      environment: {
        variables: Object.entries(variables).map(([name, value]) => ({ name, type: 'VALUE', value })),
      },
    },
    ...(terminal === undefined ? {} : { container: { type: 'MESOS', tty_info: { window_size: terminal } } }),
  },
});

/** What is said once a session is there, and nothing else. */
export const containerCall = (
  type: 'WAIT_NESTED_CONTAINER' | 'REMOVE_NESTED_CONTAINER' | 'KILL_NESTED_CONTAINER',
  container_id: ContainerId,
): object => ({ type, [type.toLowerCase()]: { container_id } });

/** How the request that carries input begins. */
export const inputOf = (container_id: ContainerId): string => input({ type: 'CONTAINER_ID', container_id });
/** Empty: there will be no more. */
export const dataRecord = (bytes: Uint8Array): string =>
  processIo({ type: 'DATA', data: { type: 'STDIN', data: Buffer.from(bytes).toString('base64') } });
export const sizeRecord = (window_size: WindowSize): string =>
  processIo({ type: 'CONTROL', control: { type: 'TTY_INFO', tty_info: { window_size } } });

const processIo = (process_io: object) => input({ type: 'PROCESS_IO', process_io });
const input = (message: object) => record({ type: 'ATTACH_CONTAINER_INPUT', attach_container_input: message });

export function record(message: object): string {
  const text = JSON.stringify(message);
  return `${Buffer.byteLength(text)}\n${text}`;
}

// --- what is heard ------------------------------------------------------------------------------------------------------

/** A piece of output; undefined for a record that says something else, such as that the connection lives. */
export function readPiece(bytes: Uint8Array): SessionPiece | undefined {
  const told = jsonIn(Buffer.from(bytes).toString('utf8')) as {
    type?: unknown;
    data?: { type?: unknown; data?: unknown };
  };
  const { type, data } = told?.data ?? {};
  if (told?.type !== 'DATA' || typeof data !== 'string' || (type !== 'STDOUT' && type !== 'STDERR')) return undefined;
  return { stream: type === 'STDERR' ? 'stderr' : 'stdout', bytes: Buffer.from(data, 'base64') };
}

/** From the answer to WAIT_NESTED_CONTAINER, whose number is what waitpid(2) gives. */
export function readEnd(text: string): SessionEnd {
  const told = jsonIn(text) as { wait_nested_container?: { exit_status?: unknown } } | undefined;
  const status = told?.wait_nested_container?.exit_status;
  if (typeof status !== 'number') return 'unknown';
  return (status & 0x7f) === 0 ? { code: (status >> 8) & 0xff } : { signal: status & 0x7f };
}

export const waitStatus = (end: Exclude<SessionEnd, 'unknown'>): number =>
  'code' in end ? (end.code & 0xff) << 8 : end.signal & 0x7f;

/** The container of a task that runs, from the answer to GET_TASKS; undefined where no such task does. */
export function containerIn(text: string, framework_id: string | undefined, task_id: string): ContainerId | undefined {
  type Told = {
    get_tasks?: {
      launched_tasks?: readonly {
        task_id?: { value?: unknown };
        framework_id?: { value?: unknown };
        state?: unknown;
        statuses?: readonly { container_status?: { container_id?: ContainerId } }[];
      }[];
    };
  };
  const { launched_tasks = [] } = (jsonIn(text) as Told | undefined)?.get_tasks ?? {};
  const task = launched_tasks.find(
    each =>
      each.task_id?.value === task_id && (framework_id === undefined || each.framework_id?.value === framework_id),
  );
  return task?.statuses?.findLast(({ container_status }) => container_status?.container_id !== undefined)
    ?.container_status?.container_id;
}

/** How it ended, in words. */
export function inWords(end: SessionEnd): string {
  if (end === 'unknown') return 'nobody knows how it ended';
  return 'code' in end
    ? `exited with ${end.code}`
    : `ended by signal ${end.signal} (${signal_names[end.signal] ?? '?'})`;
}
