// child.ts: a program under test, as a child whose lines can be waited for and whose end is certain.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { killTree } from './processes.ts';
import type { Owner } from './temp.ts';
import { deadline_ms_default } from './until.ts';

export type Ended = { readonly status: number | null; readonly signal: NodeJS.Signals | null };
export type Child = {
  readonly pid: number;
  /** Everything it has written so far, both streams in the order in which they came. */
  readonly output: () => string;
  /** The first line, past or to come, that matches. Fails with the output when the child ends or the deadline passes first. */
  readonly line: (pattern: RegExp, deadline_ms?: number) => Promise<RegExpExecArray>;
  readonly send: (signal: NodeJS.Signals) => void;
  /** How it ended, when it has. */
  readonly ended: Promise<Ended>;
  /** SIGKILLs it and its descendants, as a power cut would, and waits for their end. */
  readonly kill: () => Promise<void>;
};
export type Program = {
  readonly command: string;
  readonly argv: readonly string[];
  readonly cwd?: string;
  /** Instead of this process's own environment. */
  readonly env?: NodeJS.ProcessEnv;
};

/** How it ended. Fails with its output when it has not within the deadline. */
export async function endOf(child: Pick<Child, 'ended' | 'output'>, deadline_ms = end_ms_default): Promise<Ended> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const text = () => `it has not ended within ${deadline_ms} ms. It said:\n${child.output()}`;
    timer = setTimeout(() => reject(new Error(text())), deadline_ms);
  });
  try {
    return await Promise.race([child.ended, late]);
  } finally {
    clearTimeout(timer);
  }
}
/** A program that ends takes seconds on a busy machine; far more than that is broken. */
const end_ms_default = 120_000;

const pipes_ms_max = 1_000;
const later = (ms: number) => new Promise(resolve => setTimeout(resolve, ms).unref());

/** Starts a program that is gone, with its descendants, when the test ends. */
export function startChild(t: Owner, { command, argv, cwd, env }: Program): Child {
  const child = spawn(command, argv, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const watchers = new Set<() => void>();
  const wakeWatchers = () => {
    for (const watcher of watchers) watcher();
  };
  const finished = [child.stdout, child.stderr].map(input => {
    const reader = createInterface({ input });
    reader.on('line', line => {
      lines.push(line);
      wakeWatchers();
    });
    return new Promise(resolve => reader.once('close', resolve));
  });

  let over: Ended | undefined;
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', error => {
      over = { status: null, signal: null };
      reject(new Error(`cannot start ${command}`, { cause: error }));
      wakeWatchers();
    });
    child.once('exit', (status, signal) => {
      // What it wrote last may still be in the pipes; descendants that live on may hold them open for ever.
      void Promise.race([Promise.all(finished), later(pipes_ms_max)]).then(() => {
        over = { status, signal };
        resolve(over);
        wakeWatchers();
      });
    });
  });
  ended.catch(() => undefined); // Whoever awaits it is told; nobody has to.

  const kill = async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) await killTree(child.pid);
  };
  t.teardown(kill);

  const line = (pattern: RegExp, deadline_ms = deadline_ms_default) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      let next = 0;
      const settle = (finish: () => void) => {
        watchers.delete(look);
        clearTimeout(timer);
        finish();
      };
      const look = () => {
        for (; next < lines.length; next++) {
          const match = pattern.exec(lines[next]!);
          if (match !== null) return settle(() => resolve(match));
        }
        if (over !== undefined)
          settle(() => reject(unseen(`it ended with ${over?.status ?? over?.signal ?? 'nothing, it never began'}`)));
      };
      const unseen = (why: string) =>
        new Error(`no line like ${pattern} from ${command}: ${why}. It said:\n${lines.join('\n')}`);
      const timer = setTimeout(() => settle(() => reject(unseen(`not within ${deadline_ms} ms`))), deadline_ms);
      watchers.add(look);
      look();
    });

  return {
    pid: child.pid ?? -1,
    output: () => lines.join('\n'),
    line,
    send: signal => void child.kill(signal),
    ended,
    kill,
  };
}
