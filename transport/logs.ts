// logs.ts: the log of a program: how much of it is written, by module, and the last of it at hand.
//
// Every part of the program logs under the name of its module, so that one of them can be heard closely while the others
// stay quiet. Levels change while it runs and are not kept: a restart begins with what the settings say. The last lines
// stay in a ring in memory, for a bug report. A line that names a task names its job and run too, whoever wrote it.

import { type Logger, pino } from 'pino';
import { parseTaskId, splitInstanceKey } from '../actors/model/ids.ts';

export const log_levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof log_levels)[number];

/** Who logs. `program`: what belongs to none of the others. */
export const log_modules = [
  'program',
  'actors',
  'http',
  'mesos',
  'agent',
  'journal',
  'cluster',
  'discovery',
  'notify',
  'cassandra',
  'graphite',
] as const;
export type LogModule = (typeof log_modules)[number];

/** `modules`: those that have a level of their own. */
export type LogLevels = {
  readonly level: LogLevel;
  readonly modules: { readonly [module in LogModule]?: LogLevel };
};
/** What is left out stays as it is; null: as the whole. */
export type LogLevelChange = {
  readonly level?: LogLevel | undefined;
  readonly modules?: { readonly [module in LogModule]?: LogLevel | null | undefined } | undefined;
};

export interface Logs {
  readonly of: (module: LogModule) => Logger;
  readonly levels: () => LogLevels;
  readonly change: (change: LogLevelChange) => LogLevels;
  /** The last lines, oldest first, without their ends. */
  readonly recent: () => readonly string[];
}

/** Longer ones are kept cut. */
const line_characters_max = 8_192;

/** `out` takes whole lines; `lines_max` of them are kept at hand. */
export function openLogs(
  level: LogLevel,
  lines_max: number,
  out: { write(line: string): unknown; flush?(done?: (error?: Error) => void): void },
): Logs {
  const ring: string[] = [];
  let next = 0;
  const keep = (line: string) => {
    const kept = line.length > line_characters_max ? `${line.slice(0, line_characters_max)}...` : line.trimEnd();
    if (ring.length < lines_max) ring.push(kept);
    else if (lines_max > 0) {
      ring[next] = kept;
      next = (next + 1) % lines_max;
    }
  };
  const destination = {
    write(line: string) {
      keep(line);
      out.write(line);
    },
    flush: (done?: (error?: Error) => void) => out.flush?.(done),
  };
  let whole = level;
  const own = new Map<LogModule, LogLevel>();
  const root = pino({ level, base: null, formatters: { log: withWhose } }, destination);
  const loggers = new Map(log_modules.map(module => [module, root.child({ module })] as const));
  const levels = (): LogLevels => ({ level: whole, modules: Object.fromEntries(own) });
  return {
    of: module => loggers.get(module)!,
    levels,
    change(change) {
      whole = change.level ?? whole;
      for (const module of log_modules) {
        const wanted = change.modules?.[module];
        if (wanted === null) own.delete(module);
        else if (wanted !== undefined) own.set(module, wanted);
        loggers.get(module)!.level = own.get(module) ?? whole;
      }
      return levels();
    },
    recent: () => [...ring.slice(next), ...ring.slice(0, next)],
  };
}

/** Whoever knows a task alone knows by its id whose it is; executors and containers are named like the task that is in them. */
function withWhose(fields: Record<string, unknown>): Record<string, unknown> {
  const task = fields.task ?? fields.executor ?? fields.container;
  if (typeof task !== 'string') return fields;
  const read = parseTaskId(task);
  if (read === undefined) return fields;
  const { job, run, index } = splitInstanceKey(read.instance);
  return { job, run, instance: index, attempt: read.attempt, task, ...fields };
}
