// environment.ts: what an agent tells its executor when it starts it, and what the executor passes on to its processes.
//
// Letters of introduction. The agent's come as environment variables, durations in its own words (`15mins`). To a process
// everything is passed on that is not the executor's private business: never the token that lets one speak to the agent.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { result_file } from '../results.ts';
import type { Bindings } from './template.ts';

export type Introduction = {
  /** `host:port` of the agent, or the socket that it listens on instead. */
  readonly endpoint: { readonly host: string; readonly port: number } | { readonly socket: string };
  /** Where the executor API is; the long form is the only one that a domain socket knows. */
  readonly path: string;
  readonly framework_id: string;
  readonly executor_id: string;
  readonly sandbox: string;
  readonly token?: string;
  /** How long to look for an agent that went away; absent when its tasks are not to survive it. */
  readonly recovery_ms?: number;
  /** Between two looks; an agent that came back does not wait longer than this. */
  readonly backoff_ms_max: number;
  /** From the agent's word to go to its SIGKILL. */
  readonly shutdown_grace_ms: number;
  readonly timings: Timings;
};

/** The executor's own lengths of time. A scheduler changes one by `HORAE_EXECUTOR_<NAME>` in the command's environment. */
export const timings_default = {
  /** An agent launches tasks as soon as it is called. When none comes, it got lost with the one who was called first. */
  first_task_ms: 60_000,
  /** After its last task an executor stays a little, in case there is another. */
  idle_ms: 1_000,
  /** After the last word it waits so long for an agent that listens to say that it has it: it may be past saying so. */
  last_word_ms: 10_000,
  /** An update is sent again when the agent has not acknowledged it for so long. */
  resend_ms: 5_000,
  /** What the agent would not take just now is tried again after this. */
  retry_ms: 250,
  /** What a person would like to see, but changes no state, is told this often at most. */
  show_ms: 10_000,
  /** Between the SIGKILL that we send on SHUTDOWN and the one that the agent sends us. */
  shutdown_margin_ms: 1_000,
};
export type Timings = { readonly [name in keyof typeof timings_default]: number };

type Variables = Readonly<Record<string, string | undefined>>;

export function readIntroduction(variables: Variables): Result<Introduction> {
  const problems: Problem[] = [];
  const needed = (name: string): string => {
    const value = variables[name];
    if (value === undefined || value === '')
      problems.push({
        place: name,
        message: `${name} is not set: this program is started by a Mesos agent`,
        expected: `${name} in the environment, as an agent sets it`,
      });
    return value ?? '';
  };
  const duration = (name: string, otherwise: string): number => {
    const value = variables[name] ?? otherwise;
    const ms = durationMs(value);
    if (ms === undefined)
      problems.push({ place: name, value, message: `${name} is "${value}"`, expected: 'a duration such as 15mins' });
    return ms ?? 0;
  };
  const socket = variables.MESOS_DOMAIN_SOCKET;
  const prefix = variables.MESOS_SLAVE_PID?.split('@')[0];
  const endpoint = socket === undefined ? endpointOf(needed('MESOS_AGENT_ENDPOINT'), problems) : { socket };
  const token = variables.MESOS_EXECUTOR_AUTHENTICATION_TOKEN;
  const introduction: Introduction = {
    endpoint,
    path: socket === undefined || prefix === undefined ? '/api/v1/executor' : `/${prefix}/api/v1/executor`,
    framework_id: needed('MESOS_FRAMEWORK_ID'),
    executor_id: needed('MESOS_EXECUTOR_ID'),
    sandbox: variables.MESOS_SANDBOX ?? needed('MESOS_DIRECTORY'),
    ...(token === undefined ? {} : { token }),
    ...(variables.MESOS_CHECKPOINT === '1' ? { recovery_ms: duration('MESOS_RECOVERY_TIMEOUT', '15mins') } : {}),
    backoff_ms_max: duration('MESOS_SUBSCRIPTION_BACKOFF_MAX', '2secs'),
    shutdown_grace_ms: duration('MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD', '5secs'),
    timings: readTimings(variables, problems),
  };
  return problems.length > 0 ? bad(...problems) : good(introduction);
}

function readTimings(variables: Variables, problems: Problem[]): Timings {
  const timings = { ...timings_default };
  for (const name of Object.keys(timings) as (keyof Timings)[]) {
    const place = `HORAE_EXECUTOR_${name.toUpperCase()}`;
    const value = variables[place];
    if (value === undefined) continue;
    if (/^\d{1,9}$/.test(value)) timings[name] = Number(value);
    else problems.push({ place, value, message: `${place} is "${value}"`, expected: 'a number of milliseconds' });
  }
  return timings;
}

function endpointOf(text: string, problems: Problem[]): Introduction['endpoint'] {
  const match = /^\[?([^\]]+)\]?:(\d{1,5})$/.exec(text);
  if (match !== null) return { host: match[1]!, port: Number(match[2]) };
  if (text !== '')
    problems.push({
      place: 'MESOS_AGENT_ENDPOINT',
      value: text,
      message: `MESOS_AGENT_ENDPOINT is "${text}"`,
      expected: 'host:port',
    });
  return { host: '', port: 0 };
}

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  secs: 1_000,
  mins: 60_000,
  hrs: 3_600_000,
  days: 86_400_000,
  weeks: 604_800_000,
};

/** A duration in Mesos's words; undefined when it is none. */
export function durationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ns|us|ms|secs|mins|hrs|days|weeks)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * units[match[2]!]!;
}

// --- for the processes --------------------------------------------------------------------------------------------

/** Every process carries this, with the task and the run; so do its children, wherever they have gone. */
export const mark_name = 'HORAE_RUN';
/** The mark of a whole task. Another framework may call a task of its own the same, but never in the same sandbox. */
export const taskMark = (sandbox: string, task_id: string): string => `${sandbox}//${task_id}`;
const private_names = /^(MESOS_EXECUTOR_AUTHENTICATION_TOKEN|LIBPROCESS_\w+|HORAE_EXECUTOR_\w+|_|OLDPWD|SHLVL)$/;
const path_default = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** All that a process inherits: the executor's own, less what is private; its ports; what the task asks for. */
export function processEnvironment(
  own: Variables,
  home: string,
  { task_id, user, ports }: Bindings,
  asked: Readonly<Record<string, string>>,
  mark: string,
): Record<string, string> {
  const environment: Record<string, string> = { PATH: path_default };
  for (const [name, value] of Object.entries(own))
    if (value !== undefined && !private_names.test(name)) environment[name] = value;
  Object.assign(environment, {
    HOME: home,
    USER: user,
    LOGNAME: user,
    PWD: home,
    // bash reads it before the command, when there is one.
    BASH_ENV: `${home}/.thermos_profile`,
    MESOS_TASK_ID: task_id,
    mesos_task_id: task_id,
    HORAE_RESULT: `${home}/${result_file}`,
  });
  for (const [name, number] of Object.entries(ports)) environment[`PORT_${name}`] = String(number);
  Object.assign(environment, asked, { [mark_name]: mark });
  return environment;
}
