// attendant.ts: the program that stands beside one container, as the agent's wrapper stands beside a process.
//
// The agent knows how to look after processes, and whatever happens to it they live on, write into their sandbox and leave
// word of their end. So a container gets a process: this one. It brings the image, makes the container, starts it, carries its
// output byte by byte, and writes down what became of it. SIGTERM asks the container to end, SIGUSR2 makes it.
//
// The engine may die under a container. Then the container's own process tells whether it lives: as long as it does nobody
// else may be started in its place, and signals reach it without the engine. What an end under a dead engine was, nobody knows.

import { readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { bootId, hasCode, identityOf, isAlive, readIfThere, signalProcess } from '../processes.ts';
import type { Identity } from '../wrapper.ts';
import { lineBehind } from './behind.ts';
import {
  type Address,
  type Engine,
  EngineAway,
  EngineRefused,
  type Image,
  type Inspected,
  openEngine,
} from './engine.ts';
import { loginFor, loginHeader } from './registry.ts';
import type { ContainerRequest } from './request.ts';
import { demultiplexer, type Kind } from './stream.ts';
import { handIn } from './tenant.ts';
import { type End, textOfWord, type Word } from './word.ts';

/** What the agent leaves for its attendant, in a file that nobody else may read: variables may be secret. */
export type Errand = {
  readonly engine: Address;
  readonly name: string;
  readonly request: ContainerRequest;
  /** Where word is left. */
  readonly word: string;
  /** How long the engine has to come back after a container that died without it. */
  readonly engine_return_ms: number;
  /** The container is removed as soon as its end is known; otherwise the agent sees to it later. */
  readonly remove: boolean;
  /** Files of `docker login`, the first that knows the registry counts. */
  readonly logins: readonly string[];
};

const look_again_ms = 500;
/** Output may still be on its way when a container has ended; whoever holds its pipes longer than that is not it. */
const rest_of_output_ms = 5_000;
/** Word of an out-of-memory kill may come after that of the end. */
const oom_ms = 1_000;

/** Ends the program with the container's exit code, where there is one. */
export async function attend(errand: Errand): Promise<number> {
  const { name, request } = errand;
  const engine = openEngine(errand.engine);
  const boot = bootId();
  const pulling = new AbortController();
  let word: Word = {};
  let asked: 'SIGTERM' | 'SIGKILL' | undefined;
  let id: string | undefined;

  let lost_bytes = 0;
  const lost = (bytes: number) => {
    if (lost_bytes === 0) complain('the disk takes no more of its output');
    lost_bytes += bytes;
  };

  /** Whether the newest word is where the agent finds it. A full disk takes it later: with the next, or when asked again. */
  let left = true;
  const leaveWord = () => {
    left = leave(errand.word, textOfWord(word));
    return left;
  };
  const say = (more: Partial<Word>) => {
    word = { ...word, ...more };
    leaveWord();
  };
  /** Whoever waits for room stays: without word of its end nobody would know how it was. */
  const over = async (end: End, code: number): Promise<number> => {
    say({ end });
    while (!left && !leaveWord()) await pause(look_again_ms);
    if (lost_bytes > 0) complain(`${lost_bytes} bytes of its output found no room`);
    return code;
  };
  /** While it runs, what could not be left is tried again: that it runs is waited for. */
  const retrying = setInterval(() => left || leaveWord(), look_again_ms);
  retrying.unref();

  const stop = (how: 'SIGTERM' | 'SIGKILL') => {
    if (asked === 'SIGKILL') return;
    asked = how;
    pulling.abort();
    if (word.started !== undefined && id !== undefined) void deliver(id, how);
  };
  const deliver = async (container: string, how: 'SIGTERM' | 'SIGKILL') => {
    const signal = how === 'SIGKILL' ? 'SIGKILL' : (request.stop_signal ?? image_stop_signal ?? 'SIGTERM');
    try {
      await engine.signal(container, signal);
    } catch (error) {
      const process_ = word.started?.process;
      const number = numberOf(signal);
      // Without the engine the kernel will do, as long as the process is surely the container's.
      if (process_ !== undefined && number !== undefined) signalProcess(process_, boot, number);
      complain(`${signal} could not be sent by the engine: ${wordsOf(error)}`);
    }
  };
  let image_stop_signal: string | undefined;
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGUSR2', () => stop('SIGKILL'));

  try {
    const image = await bringImage(engine, errand, pulling.signal);
    if (asked !== undefined) return over({ type: 'withdrawn' }, 143);
    if (typeof image === 'string') return over({ type: 'refused', message: image }, 125);
    id = await engine.create(name, bodyFor(request, image));
    say({ container: id });
    if (request.sandbox !== undefined) {
      const why_not = await handIn(engine, id, request.user ?? image.user, request.sandbox);
      if (why_not !== undefined) complain(why_not);
    }
    const output = carry(await engine.attach(id), lost);
    if (asked !== undefined) {
      output.cut();
      await engine.remove(id);
      return over({ type: 'withdrawn' }, 143);
    }
    const begun = await begin(id);
    if (begun.type !== 'running') return over(begun, 125);
    image_stop_signal = begun.found.Config?.StopSignal;
    say({ started: startedOf(begun.found, boot) });
    // What was asked while it started could not be passed on.
    if (asked !== undefined) void deliver(id, asked);
    const end = await untilEnd(id, begun.attach ? undefined : output);
    // Word first: of a container that is gone nobody can say any more how it ended.
    const code = await over(end, end.type === 'exited' ? end.exit_code : 124);
    if (end.type === 'exited' && errand.remove) await engine.remove(id).catch(error => complain(wordsOf(error)));
    return code;
  } catch (error) {
    if (asked !== undefined && word.started === undefined) {
      if (id !== undefined) await engine.remove(id).catch(failed => complain(wordsOf(failed)));
      return over({ type: 'withdrawn' }, 143);
    }
    if (!(error instanceof EngineRefused) && !(error instanceof EngineAway)) throw error;
    if (word.started === undefined) {
      // What did not start would lie about for ever.
      if (id !== undefined) await engine.remove(id).catch(failed => complain(wordsOf(failed)));
      const shell = request.behind?.[0];
      const advice =
        shell !== undefined && error.message.includes(`"${shell}"`)
          ? `; secrets in the environment want a ${shell} in the image: expected files for them`
          : '';
      return over({ type: 'refused', message: `${error.message}${advice}` }, 125);
    }
    return over({ type: 'lost', message: error.message }, 124);
  }

  /** Starts it. Should the engine go away over that, it says later whether it did. */
  async function begin(
    container: string,
  ): Promise<{ readonly type: 'running'; readonly found: Inspected; readonly attach: boolean } | End> {
    let away: EngineAway | undefined;
    try {
      await engine.start(container);
    } catch (error) {
      if (!(error instanceof EngineAway)) throw error;
      away = error;
    }
    const found = await engineBack(container);
    if (found === 'gone')
      return { type: 'lost', message: `whether the container was started is not known: ${away?.message}` };
    if (found === undefined) return { type: 'lost', message: 'somebody removed the container' };
    if (away === undefined || found.State.Running) return { type: 'running', found, attach: away !== undefined };
    if (found.State.Status === 'created') throw away;
    return { type: 'lost', message: died_with_engine };
  }

  /** Without output it begins by attaching itself. */
  async function untilEnd(container: string, first: Output | undefined): Promise<End> {
    let output = first;
    /** The engine was away, and since it is back nobody has seen the container run. */
    let unseen = false;
    for (;;) {
      try {
        if (output === undefined && !unseen) output = carry(await engine.attach(container), lost);
        const exit_code = await engine.wait(container);
        await output?.ended(rest_of_output_ms);
        const found = await engine.inspect(container).catch((error: unknown) => {
          // An engine that is stopped ends its containers in good order, and goes before it can be asked more.
          if (error instanceof EngineAway && !unseen) return exit_code;
          throw error;
        });
        if (typeof found === 'number') return { type: 'exited', exit_code: found, oom: false, at_ms: 0 };
        if (found === undefined) return { type: 'lost', message: 'somebody removed the container' };
        if (found.State.Running) continue;
        if (unseen) return { type: 'lost', message: `${died_with_engine}: its exit code is ${found.State.ExitCode}` };
        return exited(await afterOom(container, found));
      } catch (error) {
        if (!(error instanceof EngineAway)) throw error;
        complain(`${error.message}; the container is waited for`);
        output?.cut();
        output = undefined;
        const back = await engineBack(container);
        if (back === 'gone')
          return { type: 'lost', message: `${died_with_engine}, and the engine is not back: ${error.message}` };
        if (back === undefined) return { type: 'lost', message: `${died_with_engine}, and the engine forgot it` };
        unseen = !back.State.Running;
        if (!unseen) complain('the engine is back, and the container runs on; what it wrote in between is not here');
      }
    }
  }

  /** The container as an engine that came back knows it; `gone` when the container is dead and no engine comes. */
  async function engineBack(container: string): Promise<Inspected | undefined | 'gone'> {
    let dead_ms = 0;
    for (;;) {
      try {
        return await engine.inspect(container);
      } catch (error) {
        if (!(error instanceof EngineAway)) throw error;
      }
      const process_ = word.started?.process;
      if (process_ === undefined || !isAlive(process_, boot)) dead_ms += look_again_ms;
      // Of one that was to end it is enough to know that it has.
      if (dead_ms > (asked === undefined ? errand.engine_return_ms : 0)) return 'gone';
      await pause(look_again_ms);
    }
  }

  async function afterOom(container: string, found: Inspected): Promise<Inspected> {
    let last = found;
    // 137: killed, and perhaps not by us.
    for (let waited_ms = 0; waited_ms < oom_ms; waited_ms += 100) {
      if (last.State.OOMKilled || last.State.ExitCode !== 137 || asked !== undefined) break;
      await pause(100);
      last = (await engine.inspect(container)) ?? last;
    }
    return last;
  }
}

const died_with_engine = 'the Docker engine went away under the container, which does not run any more';

const exited = ({ State }: Inspected): End => ({
  type: 'exited',
  exit_code: State.ExitCode,
  oom: State.OOMKilled && State.ExitCode !== 0,
  at_ms: Date.parse(State.FinishedAt) || 0,
});

function startedOf(found: Inspected | undefined, boot: string): NonNullable<Word['started']> {
  const { State, NetworkSettings } = found ?? {};
  const networks = Object.values(NetworkSettings?.Networks ?? {});
  const ip = NetworkSettings?.IPAddress || networks.map(one => one?.IPAddress).find(Boolean);
  const pid = State !== undefined && State.Pid > 0 ? State.Pid : undefined;
  const identity = found === undefined || pid === undefined ? undefined : processOf(found.Id, pid, boot);
  return {
    at_ms: Date.parse(State?.StartedAt ?? '') || 0,
    ...(pid === undefined ? {} : { pid }),
    ...(identity === undefined ? {} : { process: identity }),
    ...(ip ? { ip } : {}),
  };
}

/** An engine elsewhere, or outside of our own namespace, may mean another process by that number. */
function processOf(container: string, pid: number, boot: string): Identity | undefined {
  const identity = identityOf(pid, boot);
  return readIfThere(`/proc/${pid}/cgroup`)?.includes(container) === true ? identity : undefined;
}

/** Pulls the image where it is wanted or missing. Returns it, or why there can be none. */
async function bringImage(engine: Engine, { request, logins }: Errand, stop: AbortSignal): Promise<Image | string> {
  try {
    if (request.force_pull || (await engine.image(request.image)) === undefined)
      await engine.pull(request.image, stop, loginAmong(request.image, logins));
  } catch (error) {
    if (!(error instanceof EngineRefused)) throw error;
    return `the image ${request.image} cannot be had: ${error.message}`;
  }
  const image = await engine.image(request.image);
  if (image === undefined) return `the image ${request.image} was pulled, and is not there`;
  const own = await engine.architecture();
  if (image.architecture === '' || own === '' || image.architecture === own || isEmulated(image.architecture))
    return image;
  return `the image ${request.image} is for ${image.architecture}, and this machine is ${own}: expected an image for ${own}`;
}

/** With the words that are to come before whatever it runs: what that is the image may know alone. */
function bodyFor({ body, behind }: ContainerRequest, { line }: Image): object {
  return behind === undefined ? body : { ...body, ...lineBehind(behind, body, line) };
}

function loginAmong(image: string, paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const file = readIfThere(path);
    const login = file === undefined ? undefined : loginFor(image, file);
    if (typeof login === 'object') return loginHeader(login);
    if (login !== undefined) complain(`${path} is of no use: ${login}`);
  }
  return undefined;
}

/** Whether the kernel hands programs of that architecture to an emulator. */
function isEmulated(architecture: string): boolean {
  const names: Readonly<Record<string, string>> = { arm64: 'aarch64', '386': 'i386', amd64: 'x86_64' };
  try {
    return readFileSync(`/proc/sys/fs/binfmt_misc/qemu-${names[architecture] ?? architecture}`, 'utf8').startsWith(
      'enabled',
    );
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'EACCES')) return false;
    throw error;
  }
}

// --- output -----------------------------------------------------------------------------------------------------

type Output = {
  /** When everything was carried, or the time is over. */
  ended(wait_ms: number): Promise<void>;
  cut(): void;
};

/** From the engine's pipe into our own stdout and stderr, which are files of the sandbox. */
function carry(pipe: Duplex, lost: (bytes: number) => void): Output {
  const take = demultiplexer((kind, bytes) => {
    const left = write(kind, bytes);
    if (left > 0) lost(left);
  });
  const ended = new Promise<void>(resolve => {
    pipe.once('close', resolve);
    pipe.once('end', resolve);
  });
  // The engine going away is noticed by whoever waits for the container.
  pipe.on('error', () => pipe.destroy());
  pipe.on('data', (piece: Buffer) => {
    try {
      take(piece);
    } catch (error) {
      complain(`its output cannot be read on: ${wordsOf(error)}`);
      pipe.destroy();
    }
  });
  return {
    async ended(wait_ms) {
      const late = new AbortController();
      await Promise.race([ended, pause(wait_ms, undefined, { signal: late.signal }).catch(() => undefined)]);
      late.abort();
      pipe.destroy();
    },
    cut: () => void pipe.destroy(),
  };
}

/** Returns how many bytes found no room. A task that fills the disk loses output, not its life. */
function write(kind: Kind, bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(kind, bytes, at);
    } catch (error) {
      if (isFull(error)) return bytes.length - at;
      throw error;
    }
  }
  return 0;
}

/** To whoever reads the task's stderr: there is nobody else to tell. */
const complain = (text: string) => void write(2, Buffer.from(`horae: ${text}\n`));

/** False where there is no room. */
function leave(path: string, text: string): boolean {
  try {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return true;
  } catch (error) {
    if (isFull(error)) return false;
    throw error;
  }
}

const isFull = (error: unknown) => ['ENOSPC', 'EDQUOT', 'EFBIG'].some(code => hasCode(error, code));

function numberOf(signal: string): number | undefined {
  if (/^\d+$/.test(signal)) return Number(signal);
  return Object.entries(constants.signals).find(([name]) => name === signal || name === `SIG${signal}`)?.[1];
}

const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** The program: `node attendant.ts ERRAND`. */
if (import.meta.main) process.exit(await attend(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Errand));
