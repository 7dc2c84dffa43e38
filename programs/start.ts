// start.ts: what every long-lived program does first: read its settings, open its log, make sure of its data directory;
// and what it does last: end once, whatever the reason, with everything said.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import { type Clock, systemClock } from '../schedules/clock.ts';
import {
  notesOnChronos,
  readSettings,
  type Settings,
  settingsFile,
  unknownVariables,
  withoutTypedSecrets,
} from '../settings.ts';
import { type LogModule, type Logs, openLogs } from '../transport/logs.ts';
import { collectProcess, createMetrics, type Metrics } from '../transport/metrics.ts';
import { fail, named, Refused } from './refused.ts';

export const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as {
  version: string;
};

/** What a program stands on before it does anything of its own. */
export type Ground = {
  readonly settings: Settings;
  /** Of the module that the ground is `within`; of the program itself when nothing is said. */
  readonly log: Logger;
  readonly logs: Logs;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Absolute, and there. */
  readonly data_dir: string;
  readonly version: string;
};

/** The same for a part of the program that logs under the name of its module. */
export const within = (module: LogModule, ground: Ground): Ground => ({ ...ground, log: ground.logs.of(module) });

/** From the words after the command. Ends the process where they, or the settings file, are wrong. */
export function standOn(argv: readonly string[]): Ground {
  const settings = settingsOf(argv);
  const logs = openLogs(settings.log_level, settings.log_lines_max, pino.destination({ dest: 2, sync: true }));
  const log = logs.of('program');
  for (const problem of unknownVariables(process.env)) log.warn({ variable: problem.place }, problem.message);
  for (const note of notesOnChronos(argv, process.env)) log.warn({ option: note.place }, note.message);
  hideTyped(settings, log);
  const data_dir = resolve(settings.data_dir);
  // Tasks of other users must pass on their way to their sandboxes. What lies in it is closed, each by itself.
  named('--data-dir', data_dir, () => mkdirSync(data_dir, { recursive: true, mode: 0o711 }));
  const metrics = createMetrics();
  collectProcess(metrics, version);
  return { settings, log, logs, clock: systemClock(), metrics, data_dir, version };
}

/** What was typed stands in every list of processes for as long as this one lives. So no secret may stay in it. */
function hideTyped(settings: Settings, log: Logger): void {
  const { words, flags } = withoutTypedSecrets(process.argv.slice(2), settings);
  if (flags.length === 0) return;
  process.title = [...process.argv.slice(0, 2), ...words].join(' ');
  for (const flag of flags)
    log.warn(
      { option: flag },
      `${flag} was on the command line, where others could read it: rather in a file, or a variable`,
    );
}

/** Flags, variables and the settings file. Ends the process where they are wrong. */
export function settingsOf(argv: readonly string[]): Settings {
  const file = settingsFile(argv, process.env);
  if (file.required && !existsSync(file.path))
    throw new Refused(`there is no settings file ${file.path}: expected the one that --config names`);
  const read = readSettings(argv, process.env, existsSync(file.path) ? readFileSync(file.path, 'utf8') : undefined);
  if (!read.ok) fail(read.problems);
  return read.value;
}

/** The end of a process: reached once, by the first who asks. */
export type Ending = {
  /** Nothing can go on: one line, and status 1. */
  readonly fatal: (reason: string, error?: unknown) => void;
  /** From now on SIGTERM and SIGINT end the process in good order: `close` is waited for. */
  readonly onSignal: (close: () => Promise<void>) => void;
};

export function endingOf(log: Logger): Ending {
  let ending = false;
  const end = (status: number) => {
    // What has been said must be seen; what has not left yet is in the journal.
    log.flush();
    process.exit(status);
  };
  return {
    fatal(reason, error) {
      if (ending) return;
      ending = true;
      log.fatal({ error: error instanceof Error ? error.message : error }, `horae stops: ${reason}`);
      end(1);
    },
    onSignal(close) {
      const stop = (signal: string) => {
        if (ending) return;
        ending = true;
        log.info(
          { signal },
          'horae stops: what was decided is being written; tasks run on and are adopted at the next start',
        );
        close().then(
          () => end(0),
          error => {
            log.fatal({ error: String(error) }, 'horae could not stop in good order');
            end(1);
          },
        );
      };
      process.on('SIGTERM', () => stop('SIGTERM'));
      process.on('SIGINT', () => stop('SIGINT'));
    },
  };
}
