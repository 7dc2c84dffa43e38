// contained.ts: a process in a task's container, by the engine that runs it: as `docker exec` does it.

import { readFileSync } from 'node:fs';
import { type Duplex, PassThrough, Writable } from 'node:stream';
import type { SessionEnd, SessionWish, WindowSize } from '../../sessions.ts';
import { type Engine, EngineRefused } from '../docker/engine.ts';
import { demultiplexer } from '../docker/stream.ts';
import { hasCode, isGone } from '../processes.ts';
import type { Running } from './inside.ts';

export async function runContained(engine: Engine, container: string, wish: SessionWish): Promise<Running> {
  const terminal = wish.terminal !== undefined;
  const exec_id = await engine.prepare(container, {
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: terminal,
    Env: Object.entries(wish.variables ?? {}).map(([name, value]) => `${name}=${value}`),
    Cmd: wish.command,
  });
  const pipe = await engine.execute(exec_id, terminal);
  if (wish.terminal !== undefined) await sized(engine, exec_id, wish.terminal);
  const stdout = new PassThrough();
  const stderr = terminal ? undefined : new PassThrough();
  let full = false;
  const resume = () => {
    full = false;
    pipe.resume();
  };
  const put = (to: PassThrough, bytes: Uint8Array) => {
    // Copied: the frame's room is the pipe's.
    if (!to.write(Buffer.from(bytes))) full = true;
  };
  // Whoever is gone reads nothing: that is told by its end.
  const stdin = terminal ? keyboard(pipe) : pipe;
  stdin.on('error', () => pipe.destroy());
  const split = demultiplexer((kind, bytes) => put(kind === 2 && stderr !== undefined ? stderr : stdout, bytes));
  for (const stream of [stdout, stderr]) stream?.on('drain', resume);
  pipe.on('data', (piece: Buffer) => {
    try {
      if (terminal) put(stdout, piece);
      else split(piece);
    } catch (error) {
      pipe.destroy(error instanceof Error ? error : new Error(String(error)));
    }
    if (full) pipe.pause();
  });

  const over = async (): Promise<SessionEnd> => {
    const { Running, ExitCode } = (await engine.executed(exec_id).catch(() => undefined)) ?? {};
    return Running === false && typeof ExitCode === 'number' ? { code: ExitCode } : 'unknown';
  };
  const ended = new Promise<SessionEnd>(resolve => {
    // Broken or ended: what the engine then says is what counts.
    pipe.on('error', () => pipe.destroy());
    pipe.on('end', () => pipe.destroy());
    pipe.on('close', () => {
      stdout.end();
      stderr?.end();
      void over().then(resolve);
    });
  });
  return {
    stdin,
    stdout,
    stderr,
    ended,
    resize(size) {
      // It may have ended in between, and then has no size.
      engine.resize(exec_id, size).catch(() => undefined);
    },
    kill() {
      // An engine lets go of what it executes and leaves it running: there is no call for its end.
      void engine
        .executed(exec_id)
        .then(found => {
          if (found?.Running === true && isIn(found.Pid, container)) process.kill(found.Pid, 'SIGKILL');
        })
        .catch(() => undefined)
        .finally(() => pipe.destroy());
    },
  };
}

/** Older engines take no size beforehand, and none before the process is there, which is in a moment. */
async function sized(engine: Engine, exec_id: string, size: WindowSize): Promise<void> {
  for (let tries = 0; tries < sizing_tries_max; tries++) {
    try {
      return await engine.resize(exec_id, size);
    } catch (error) {
      if (!(error instanceof EngineRefused)) throw error;
    }
  }
}
const sizing_tries_max = 20;

/** A terminal is not closed, or the engine lets go of it: the end of what is typed is a key of its own. */
const keyboard = (pipe: Duplex): Writable =>
  new Writable({
    write: (bytes: Buffer, _, done) => void pipe.write(bytes, error => done(error ?? null)),
    final: done => void pipe.write('\x04', error => done(error ?? null)),
  });

/** Whether a process of this machine is of that container: an engine elsewhere numbers others. */
function isIn(pid: number, container: string): boolean {
  if (pid <= 1) return false;
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(container);
  } catch (error) {
    if (isGone(error) || hasCode(error, 'EACCES')) return false;
    throw error;
  }
}
