// document.ts: what a task of several processes is: who runs, in which order, how often, and who looks after its health.
//
// The cast list of a play: every part by name, who enters after whom, who may be missed, who comes on when the curtain has
// fallen. The scheduler reads it at submission and the executor reads it again on the agent: the same function, so that
// what was accepted there cannot be refused here.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { brief, type Fields, fieldsOf, wrong } from './fields.ts';
import { cycleIn, pairsOf } from './order.ts';
import { portsIn, templateProblems } from './template.ts';

export type LoggerDocument = {
  /** Where stdout and stderr go: files of the process, the executor's own two, both, or nowhere. */
  readonly destination: 'file' | 'console' | 'both' | 'none';
  /** `rotate`: files of at most `size_bytes`, and `backups` older ones. `standard`: one that grows. */
  readonly mode: 'rotate' | 'standard';
  readonly size_bytes: number;
  readonly backups: number;
};
export type ProcessDocument = {
  /** Unique within the task; a folder's name. */
  readonly name: string;
  /** Run by `/bin/bash -c`. */
  readonly command: string;
  /** Exits with a code other than 0 after which it has failed; 0: never. */
  readonly max_failures: number;
  /** Starts again when it succeeds, too. Nothing can come after it. */
  readonly daemon: boolean;
  /** The task does not wait for it; when the others are done it is ended. */
  readonly ephemeral: boolean;
  /** Runs when the task is over, whatever came of it. */
  readonly final: boolean;
  /** Rest between the end of one run and the next. */
  readonly min_duration_ms: number;
  readonly logger: LoggerDocument;
};
export type Checker =
  | {
      readonly type: 'http';
      readonly port: string;
      readonly path: string;
      /** Compared without regard to case and to white space around it; '' takes every answer. */
      readonly expected_response: string;
      /** 0 takes every code. */
      readonly expected_code: number;
    }
  | { readonly type: 'tcp'; readonly port: string }
  | { readonly type: 'shell'; readonly command: string };
export type HealthDocument = {
  readonly checker: Checker;
  readonly initial_interval_ms: number;
  readonly interval_ms: number;
  readonly timeout_ms: number;
  readonly max_consecutive_failures: number;
  readonly min_consecutive_successes: number;
};
/** How a task is asked over HTTP to go, before it is told to. */
export type LifecycleDocument = {
  readonly port: string;
  readonly graceful_path: string;
  readonly graceful_wait_ms: number;
  readonly abort_path: string;
  readonly abort_wait_ms: number;
};
export type TaskDocument = {
  readonly processes: readonly ProcessDocument[];
  /** Each list: one after the other. */
  readonly order: readonly (readonly string[])[];
  /** Failed processes after which the task has failed; 0: it goes on whatever fails. */
  readonly max_failures: number;
  /** Processes at a time; 0: all. */
  readonly max_concurrency: number;
  /** From SIGTERM to SIGKILL, final processes included. */
  readonly finalization_wait_ms: number;
  /** For a task that others find by its name: how long the scheduler has to take it off their list; 0: nobody does. */
  readonly withdraw_wait_ms: number;
  /** Ports by name, beside those that templates name. */
  readonly ports: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly health?: HealthDocument;
  readonly lifecycle?: LifecycleDocument;
};

/** Runs of one process, however they end, after which it is not started again. */
export const runs_max = 100;
export const processes_max = 100;
const day_ms = 86_400_000;
const command_bytes_max = 65_536;

/** Reads a parsed JSON value, or tells everything that is wrong with it. `place` is where it stands in its document. */
export function readTask(input: unknown, place = ''): Result<TaskDocument> {
  const problems: Problem[] = [];
  const fields = fieldsOf(input, place, problems);
  const health = fields.object('health', one => readHealth(one, problems));
  const lifecycle = fields.object('lifecycle', readLifecycle);
  const task: TaskDocument = {
    processes: fields.list('processes', processes_max, (item, at) => readProcess(item, at, problems)),
    order: fields.list('order', 1_000, (item, at) => readNames(item, at, problems)),
    max_failures: fields.whole('max_failures', { otherwise: 1, least: 0, most: processes_max }),
    max_concurrency: fields.whole('max_concurrency', { otherwise: 0, least: 0, most: processes_max }),
    finalization_wait_ms: fields.whole('finalization_wait_ms', { otherwise: 30_000, least: 0, most: day_ms }),
    withdraw_wait_ms: fields.whole('withdraw_wait_ms', { otherwise: 0, least: 0, most: day_ms }),
    ports: fields.list('ports', 100, (item, at) => readName(item, at, port_name, port_rule, problems)),
    env: fields.map('env', (item, at) => {
      if (typeof item === 'string' && !item.includes('\0')) return item;
      wrong(problems, at, item, 'a string without a zero byte');
      return '';
    }),
    ...(health === undefined ? {} : { health }),
    ...(lifecycle === undefined ? {} : { lifecycle }),
  };
  fields.close();
  problems.push(...together(task, place));
  return problems.length > 0 ? bad(...problems) : good(task);
}

/** Every port that a task needs: asked for by name, or used in a template. */
export function portsOf(task: TaskDocument): readonly string[] {
  const names = new Set(task.ports);
  for (const { text } of templatesOf(task, '')) for (const name of portsIn(text)) names.add(name);
  return [...names].sort();
}

/** Every text of a task in which `{{...}}` means something, with its place. */
export function templatesOf(task: TaskDocument, place: string): readonly { text: string; place: string }[] {
  const found = task.processes.map(({ command }, index) => ({
    text: command,
    place: `${place}/processes/${index}/command`,
  }));
  for (const [name, text] of Object.entries(task.env)) found.push({ text, place: `${place}/env/${name}` });
  const checker = task.health?.checker;
  if (checker?.type === 'shell') found.push({ text: checker.command, place: `${place}/health/checker/command` });
  return found;
}

/** A plain list of shell lines, one after the other, is the commonest task of all. */
export function sequence(steps: readonly { readonly name: string; readonly command: string }[]): unknown {
  return { processes: steps, order: [steps.map(({ name }) => name)] };
}

// --- fields -------------------------------------------------------------------------------------------------------

/** A name becomes a folder below `.logs`. */
const process_name = /^[^/.][^/]*$/;
const name_rule = 'a name that does not begin with "." and has no "/", of at most 64 bytes';
const port_name = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;
const port_rule = 'a letter, then letters, digits, "_" or "-"';
const path_rule = { bytes_max: 2_048, pattern: /^\/[\x21-\x7e]*$/, expected: 'a path that begins with "/"' } as const;

function readProcess(input: unknown, place: string, problems: Problem[]): ProcessDocument {
  const fields = fieldsOf(input, place, problems);
  const name = fields.text('name', { needed: true, bytes_max: 64, pattern: process_name, expected: name_rule })!;
  const command = fields.text('command', { needed: true, bytes_max: command_bytes_max, expected: 'a shell line' })!;
  const process: ProcessDocument = {
    name,
    command,
    max_failures: fields.whole('max_failures', { otherwise: 1, least: 0, most: runs_max }),
    daemon: fields.flag('daemon'),
    ephemeral: fields.flag('ephemeral'),
    final: fields.flag('final'),
    min_duration_ms: fields.whole('min_duration_ms', { otherwise: 5_000, least: 0, most: day_ms }),
    logger: fields.object('logger', readLogger) ?? logger_default,
  };
  fields.close();
  return process;
}

/** Rotation is the rule: a log without an end fills the disk of everybody who lives there. */
export const logger_default: LoggerDocument = {
  destination: 'file',
  mode: 'rotate',
  size_bytes: 100 * 1024 * 1024,
  backups: 5,
};

function readLogger(fields: Fields): LoggerDocument {
  const logger: LoggerDocument = {
    destination: fields.oneOf('destination', ['file', 'console', 'both', 'none'], logger_default.destination),
    mode: fields.oneOf('mode', ['rotate', 'standard'], logger_default.mode),
    size_bytes: fields.whole('size_bytes', { otherwise: logger_default.size_bytes, least: 1_024, most: 2 ** 40 }),
    backups: fields.whole('backups', { otherwise: logger_default.backups, least: 0, most: 1_000 }),
  };
  fields.close();
  return logger;
}

function readHealth(fields: Fields, problems: Problem[]): HealthDocument {
  const checker = fields.object('checker', readChecker);
  if (checker === undefined) wrong(problems, `${fields.place}/checker`, undefined, 'an http, tcp or shell checker');
  const health: HealthDocument = {
    checker: checker ?? { type: 'shell', command: 'false' },
    initial_interval_ms: fields.whole('initial_interval_ms', { otherwise: 15_000, least: 0, most: day_ms }),
    interval_ms: fields.whole('interval_ms', { otherwise: 10_000, least: 100, most: day_ms }),
    timeout_ms: fields.whole('timeout_ms', { otherwise: 1_000, least: 1, most: day_ms }),
    max_consecutive_failures: fields.whole('max_consecutive_failures', { otherwise: 0, least: 0, most: 100_000 }),
    min_consecutive_successes: fields.whole('min_consecutive_successes', { otherwise: 1, least: 1, most: 100_000 }),
  };
  fields.close();
  return health;
}

function readChecker(fields: Fields): Checker {
  const port = () =>
    fields.text('port', { bytes_max: 64, pattern: port_name, expected: `the name of a port: ${port_rule}` }) ??
    'health';
  const checker = ((): Checker => {
    switch (fields.oneOf('type', ['http', 'tcp', 'shell'])) {
      case 'http':
        return {
          type: 'http',
          port: port(),
          path: fields.text('path', path_rule) ?? '/health',
          expected_response:
            fields.text('expected_response', { may_be_empty: true, bytes_max: 1_024, expected: 'a text' }) ?? 'ok',
          expected_code: fields.whole('expected_code', { otherwise: 0, least: 0, most: 599 }),
        };
      case 'tcp':
        return { type: 'tcp', port: port() };
      case 'shell':
        return {
          type: 'shell',
          command: fields.text('command', {
            needed: true,
            bytes_max: command_bytes_max,
            expected: 'a shell line that exits with 0 as long as all is well',
          })!,
        };
    }
  })();
  fields.close();
  return checker;
}

function readLifecycle(fields: Fields): LifecycleDocument {
  const wait = { otherwise: 5_000, least: 0, most: day_ms };
  const lifecycle: LifecycleDocument = {
    port: fields.text('port', { bytes_max: 64, pattern: port_name, expected: port_rule }) ?? 'health',
    graceful_path: fields.text('graceful_path', path_rule) ?? '/quitquitquit',
    graceful_wait_ms: fields.whole('graceful_wait_ms', wait),
    abort_path: fields.text('abort_path', path_rule) ?? '/abortabortabort',
    abort_wait_ms: fields.whole('abort_wait_ms', wait),
  };
  fields.close();
  return lifecycle;
}

function readNames(input: unknown, place: string, problems: Problem[]): readonly string[] {
  if (Array.isArray(input) && input.length <= processes_max)
    return input.map((item, index) => readName(item, `${place}/${index}`, /^/, 'the name of a process', problems));
  wrong(problems, place, input, `a list of at most ${processes_max} names of processes`);
  return [];
}

function readName(input: unknown, place: string, pattern: RegExp, expected: string, problems: Problem[]): string {
  if (typeof input === 'string' && pattern.test(input)) return input;
  wrong(problems, place, input, expected);
  return '';
}

// --- what only shows when the fields are seen together --------------------------------------------------------------

function together(task: TaskDocument, place: string): readonly Problem[] {
  const problems: Problem[] = [];
  const say = (at: string, value: unknown, message: string, expected: string) =>
    problems.push({ place: `${place}${at}`, value: brief(value), message, expected });

  const by_name = new Map<string, ProcessDocument>();
  for (const [index, process] of task.processes.entries()) {
    if (process.name === '') continue; // Complained of already.
    if (by_name.has(process.name))
      say(`/processes/${index}/name`, process.name, `process "${process.name}" is named twice`, 'each name once');
    by_name.set(process.name, process);
    if (process.daemon && process.final)
      say(
        `/processes/${index}/daemon`,
        true,
        `the final process "${process.name}" is a daemon: it would never be done`,
        'a final process that ends',
      );
  }
  if (!task.processes.some(({ ephemeral, final }) => !ephemeral && !final))
    say(
      '/processes',
      task.processes.map(({ name }) => name),
      'there is nothing that the task could wait for',
      'at least one process that is neither ephemeral nor final',
    );
  for (const [list, names] of task.order.entries())
    for (const [index, name] of names.entries())
      if (name !== '' && !by_name.has(name))
        say(
          `/order/${list}/${index}`,
          name,
          `there is no process "${name}"`,
          `one of ${[...by_name.keys()].join(', ')}`,
        );
  for (const { before, after, place: at } of pairsOf(task.order)) {
    const [first, second] = [by_name.get(before), by_name.get(after)];
    if (first === undefined || second === undefined) continue;
    const order = `"${after}" comes after "${before}"`;
    if (first.daemon)
      say(at, before, `${order}, a daemon, which never ends`, 'an order in which nothing comes after a daemon');
    if (first.ephemeral && !second.ephemeral)
      say(
        at,
        before,
        `${order}, which is ephemeral and need not end`,
        'nothing but ephemeral processes after an ephemeral one',
      );
    if (first.final !== second.final)
      say(
        at,
        after,
        `${order}, but only one of them is final`,
        'an order among final processes, or among those that are not',
      );
  }
  const cycle = cycleIn(task.order);
  if (cycle !== undefined)
    say('/order', cycle, `the order has no beginning: ${cycle.join(' -> ')}`, 'an order without a circle');

  for (const { text, place: at } of templatesOf(task, place)) problems.push(...templateProblems(text, at));
  const ports = new Set(portsOf(task));
  const checker = task.health?.checker;
  if (checker !== undefined && checker.type !== 'shell' && !ports.has(checker.port))
    say(
      '/health/checker/port',
      checker.port,
      `the health check asks port "${checker.port}", which the task does not ask for`,
      portsWanted(ports, checker.port),
    );
  if (task.lifecycle !== undefined && !ports.has(task.lifecycle.port))
    say(
      '/lifecycle/port',
      task.lifecycle.port,
      `shutdown is asked for at port "${task.lifecycle.port}", which the task does not ask for`,
      portsWanted(ports, task.lifecycle.port),
    );
  return problems;
}

const portsWanted = (ports: ReadonlySet<string>, missing: string) =>
  `${ports.size === 0 ? '' : `one of ${[...ports].join(', ')}, or `}"${missing}" among "ports"`;
