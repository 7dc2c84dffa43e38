// runner.ts: the processes of one task, as they are in the world: started, found again, signalled, buried.
//
// It remembers nothing that is not also in a file, so that the next executor can take over in the middle of anything: who
// holds the claim of a run decides whether it ever starts, its papers say who it is, its result says how it ended.

import { execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Wake } from '../../schedules/clock.ts';
import { hasCode, isAlive, readIfThere, signalGroup } from '../local/processes.ts';
import { type Identity, parseEnding, parseIdentity } from '../local/wrapper.ts';
import type { ProcessDocument } from './document.ts';
import { taskMark } from './environment.ts';
import { type LogStream, type LogTarget, openLog } from './logs.ts';
import { type Papers, papersOf, porterArguments } from './porter.ts';
import type { Ending } from './progress.ts';
import { endMarked } from './strays.ts';

export type RunnerOptions = {
  readonly sandbox: string;
  /** Where the task's processes work: the sandbox, or a folder of the task's own in it. */
  readonly home: string;
  readonly task_id: string;
  /** The porter's script. */
  readonly porter: string;
  readonly boot: string;
  readonly clock: Clock;
  readonly environment: (mark: string) => Record<string, string>;
  /** Files for what goes to the console. */
  readonly console: { readonly stdout: string; readonly stderr: string };
  readonly listener: {
    readonly started: (process: string, run: number, pid: number) => void;
    readonly ended: (process: string, run: number, ending: Ending) => void;
    readonly noted: (message: string, about: object) => void;
  };
};
export type Runner = {
  readonly start: (process: ProcessDocument, run: number) => void;
  /** A run that an earlier executor began, or was about to. */
  readonly adopt: (process: ProcessDocument, run: number) => void;
  readonly signal: (process: string, run: number, signal: 'SIGTERM' | 'SIGKILL') => void;
  /** Sees to it that a run that has not been seen never begins, and says that it ended. */
  readonly abandon: (process: string, run: number) => void;
  /** Ends whatever carries the task's mark. */
  readonly sweep: () => void;
  /** Stops watching, without ending anything. */
  readonly close: () => void;
};

/** How often papers are looked at: often at first, when they are about to be written. */
const look_ms_min = 10;
const look_ms_max = 500;

type Watched = {
  readonly papers: Papers;
  readonly process: ProcessDocument;
  readonly run: number;
  logs: readonly LogStream[];
  seen: boolean;
  /** The porter is our own child: its end is told to us. */
  child: boolean;
  wake?: Wake;
};

export function runnerOf(options: RunnerOptions): Runner {
  const { sandbox, home, task_id, porter, boot, clock, environment, listener } = options;
  const watched = new Map<string, Watched>();
  const keyOf = (process: string, run: number) => `${run} ${process}`;
  const markOf = (process: string, run: number) =>
    `${taskMark(sandbox, task_id)}/${encodeURIComponent(process)}/${run}`;
  let closed = false;

  const watch = (process: ProcessDocument, run: number): Watched => {
    const papers = papersOf(sandbox, home, task_id, process.name, run);
    const one: Watched = { papers, process, run, logs: [], seen: false, child: false };
    watched.set(keyOf(process.name, run), one);
    return one;
  };
  /** Tells of the process itself as soon as its papers are there. */
  const see = (one: Watched): Identity | undefined => {
    const identity = parseIdentity(readIfThere(one.papers.pid));
    if (identity !== undefined && !one.seen) {
      one.seen = true;
      listener.started(one.process.name, one.run, identity.pid);
    }
    return identity;
  };
  const over = (one: Watched, ending: Ending) => {
    const { name } = one.process;
    if (closed || !watched.delete(keyOf(name, one.run))) return;
    one.wake?.cancel();
    const identity = see(one);
    // The group is its own even when it has no leader any more.
    if (identity !== undefined) signalGroup(identity, boot, 'SIGKILL');
    const strays = endMarked(markOf(name, one.run));
    // Who was started by an earlier executor may have had somebody to hold his pipes: that is no stray.
    if (strays > 0 && one.child)
      listener.noted('processes that a run left behind were killed', { process: name, run: one.run, strays });
    for (const log of one.logs) log.finish();
    listener.ended(name, one.run, ending);
  };
  /** The result, if there is one; without it the end of the porter is the end of all knowledge. */
  const conclude = (one: Watched) => {
    const result = readIfThere(one.papers.result);
    over(one, result === undefined ? { type: 'unknown' } : parseEnding(result));
  };
  const look = (one: Watched, delay_ms: number) => {
    one.wake = clock.wakeAt(clock.now() + delay_ms, () => {
      if (closed || !watched.has(keyOf(one.process.name, one.run))) return;
      see(one);
      if (!one.child) {
        const warden = parseIdentity(readIfThere(one.papers.claim));
        const alone = warden === undefined || !isAlive(warden, boot);
        // The porter writes the result and leaves, so the result is looked for after him.
        if (alone || readIfThere(one.papers.result) !== undefined) {
          conclude(one);
          return;
        }
      }
      if (!one.seen || !one.child) look(one, Math.min(delay_ms * 2, look_ms_max));
    });
  };

  const openLogs = (one: Watched, streams: Streams) => {
    one.logs = [streams.out, streams.err].flatMap(stream =>
      stream.target === undefined ? [] : [openLog(stream.to, stream.target, words => listener.noted(words, {}))],
    );
  };
  const begin = (one: Watched, streams: Streams) => {
    if (closed || !watched.has(keyOf(one.process.name, one.run))) return;
    try {
      openLogs(one, streams);
    } catch (error) {
      failed(one, error);
      return;
    }
    const { process, run, papers } = one;
    const argv = porterArguments(porter, papers, home, streams.out.to, streams.err.to, process.command);
    const child = spawn('/bin/sh', argv, {
      cwd: papers.folder,
      env: environment(markOf(process.name, run)),
      stdio: 'ignore',
    });
    one.child = true;
    child.once('error', error => failed(one, error));
    child.once('exit', () => conclude(one));
    look(one, look_ms_min);
  };
  const failed = (one: Watched, error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    listener.noted('a process could not be started', { process: one.process.name, run: one.run, why });
    over(one, { type: 'failed' });
  };

  return {
    start(process, run) {
      const one = watch(process, run);
      const streams = streamsOf(options, one);
      const pipes = [streams.out, streams.err].filter(({ target }) => target !== undefined).map(({ to }) => to);
      try {
        mkdirSync(one.papers.folder, { recursive: true });
        if (process.logger.destination !== 'none' && process.logger.destination !== 'console')
          mkdirSync(one.papers.logs, { recursive: true });
      } catch (error) {
        // Not at once: whoever asked for the start is in the middle of something.
        setImmediate(() => failed(one, error));
        return;
      }
      if (pipes.length === 0) {
        begin(one, streams);
        return;
      }
      execFile('mkfifo', ['-m', '600', ...pipes], error => {
        if (error === null) begin(one, streams);
        else failed(one, error);
      });
    },
    adopt(process, run) {
      const one = watch(process, run);
      if (readIfThere(one.papers.result) === undefined && claimed(one.papers)) {
        // It never started, and now it never will.
        setImmediate(() => over(one, { type: 'unknown' }));
        return;
      }
      try {
        openLogs(one, streamsOf(options, one));
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        listener.noted('the output of a process cannot be read any more', { process: process.name, run, why });
      }
      look(one, 0);
    },
    signal(process, run, signal) {
      const one = watched.get(keyOf(process, run));
      if (one === undefined) return;
      mkdirSync(one.papers.folder, { recursive: true });
      // First the note, then the look: whoever has not signed in yet will find the note, and turn back.
      writeFileSync(one.papers.kill, '');
      const identity = see(one);
      if (identity !== undefined) signalGroup(identity, boot, signal);
    },
    abandon(process, run) {
      const one = watched.get(keyOf(process, run));
      if (one === undefined) return;
      mkdirSync(one.papers.folder, { recursive: true });
      if (claimed(one.papers)) setImmediate(() => over(one, { type: 'unknown' }));
      // The porter is there, and the process is not yet: the note turns it back.
      else if (see(one) === undefined) writeFileSync(one.papers.kill, '');
    },
    sweep() {
      const strays = endMarked(taskMark(sandbox, task_id));
      if (strays > 0) listener.noted('processes that the task left behind were killed', { strays });
    },
    close() {
      closed = true;
      for (const one of watched.values()) {
        one.wake?.cancel();
        for (const log of one.logs) log.finish();
      }
      watched.clear();
    },
  };
}

/** Whether the claim is ours now: then nobody else will start this run. */
function claimed({ claim }: Papers): boolean {
  try {
    writeFileSync(claim, 'never\n', { flag: 'wx' });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    if (hasCode(error, 'ENOENT')) return true; // Not even its folder was made.
    throw error;
  }
}

type Stream = {
  /** What the process opens. */
  readonly to: string;
  /** Present when that is a pipe which we read. */
  readonly target?: LogTarget;
};
type Streams = { readonly out: Stream; readonly err: Stream };

/** Where a run's output goes. A file that may grow, and the console, need nobody in between. */
function streamsOf(options: RunnerOptions, { papers, process: { logger } }: Watched): Streams {
  const one = (name: 'stdout' | 'stderr', pipe: string): Stream => {
    const path = join(papers.logs, name);
    switch (logger.destination) {
      case 'none':
        return { to: '/dev/null' };
      case 'console':
        return { to: options.console[name] };
      case 'file':
      case 'both': {
        const both = logger.destination === 'both';
        if (!both && logger.mode === 'standard') return { to: path };
        const { size_bytes, backups } = logger;
        return {
          to: pipe,
          target: {
            path,
            ...(logger.mode === 'rotate' ? { rotate: { size_bytes, backups } } : {}),
            ...(both ? { console: name === 'stdout' ? 1 : 2 } : {}),
          },
        };
      }
    }
  };
  return { out: one('stdout', papers.out_pipe), err: one('stderr', papers.err_pipe) };
}
