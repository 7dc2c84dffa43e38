// mesos.ts: `horae mesos`: what is said on its line: how many agents, of which kind, and where it listens.
//
// Pure: a line becomes wishes. Who grants them is programs/mesos.ts.

import { bad, type Problem, type Result } from '../../schedules/problem.ts';
import { agentSettings } from './agent-settings.ts';
import { address, choice, file, path, resources, type SettingsOf, text, whole, yes } from './setting.ts';
import { flagOf, readList } from './settings-reader.ts';

const group = 'A Mesos of its own';
const attributes_form = /^[\w.-]+:[\w.-]+(;[\w.-]+:[\w.-]+)*(\|[\w.-]+:[\w.-]+(;[\w.-]+:[\w.-]+)*)*$/;

// biome-ignore format: a table: one line each, whatever its length.
export const mesos_settings = {
  agents: whole({ group, unit: 'agents', default: 1, min: 0, max: 100_000, help: 'How many agents. Real ones run processes on this machine, and share it unless --agent-resources says what each has.' }),
  simulated: yes({ group, help: 'Agents on which nothing runs. "sleep 2.5; exit 3" takes 2.5 s of their time and exits with 3, "sleep infinity" stays until it is killed, anything else ends well at once. They forget everything when this program ends.' }),
  listen: address({ group, default: { host: '127.0.0.1', port: 5050 }, help: 'Where the scheduler API listens. Port 0 takes any free one and prints it.' }),
  work_dir: path({ group, default: './horae-mesos', help: 'Where real agents keep their notebooks and sandboxes, each in a folder of its own.' }),
  agent_resources: resources({ group, help: 'What each agent offers. What is left out is a fair share of this machine; for simulated agents 16 cpus, 64 GB and 1000 ports.' }),
  agent_attributes: text({ group, value: 'ATTRIBUTES', expected: 'attributes such as rack:a;zone:z1|rack:b;zone:z2', matches: attributes_form, help: 'Attributes of the agents: rack:a;zone:z1|rack:b;zone:z2 gives the first to one agent, the second to the next, and so on in turn.' }),
  ...agentSettings(group),
  credentials: file({ group, help: 'Who may subscribe: a file with a principal and a secret on each line, or as JSON, as Mesos reads it. Needed to listen beyond loopback.' }),
  allocation_interval_ms: whole({ group, unit: 'ms', default: 1_000, min: 0, max: 3_600_000, help: 'How often what has become free is offered.' }),
  offer_timeout_ms: whole({ group, unit: 'ms', default: 0, min: 0, max: 86_400_000, help: 'How long an offer may be held before it is rescinded; 0 for ever.' }),
  agent_timeout_ms: whole({ group, unit: 'ms', default: 75_000, min: 100, max: 86_400_000, help: 'How long an agent may be away before its tasks are declared unreachable.' }),
  log_level: choice({ group, of: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], default: 'warn', help: 'From which level on it logs, in JSON lines to stderr.' }),
};
export type MesosSettings = SettingsOf<typeof mesos_settings>;

/** More processes than this beside each other are no machine any more. */
const real_agents_max = 64;

/** What the line after `horae mesos` asks for. `loopback` tells whether only this machine can reach a host. */
export function readMesos(argv: readonly string[], loopback: (host: string) => boolean): Result<MesosSettings> {
  const read = readList(mesos_settings, argv, {});
  if (!read.ok) return read;
  const { agents, simulated, listen, credentials } = read.value;
  const problems: Problem[] = [];
  const refuse = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place, value, message: `${message}: expected ${expected}`, expected });
  if (!simulated && agents > real_agents_max)
    refuse('--agents', agents, `--agents is ${agents}`, `at most ${real_agents_max} real agents, or --simulated`);
  if (credentials === undefined && !loopback(listen.host))
    refuse(
      '--listen',
      listen.host,
      `--listen ${listen.host}:${listen.port} lets whoever reaches it run commands here`,
      'a loopback address, or --credentials FILE',
    );
  return problems.length > 0 ? bad(...problems) : read;
}

/** `principal secret` on each line, or Mesos's JSON form; the problem names the line, never the secret. */
export function readCredentials(given: string): Result<readonly { principal: string; secret: string }[]> {
  const wrong = (place: string, message: string) => {
    const expected =
      'a principal and a secret on each line, or {"credentials": [{"principal": "...", "secret": "..."}]}';
    return bad({ place, value: '', message: `${place}: ${message}: expected ${expected}`, expected });
  };
  const pairs: { principal: string; secret: string }[] = [];
  if (given.trimStart().startsWith('{')) {
    let json: { readonly credentials?: unknown };
    try {
      json = JSON.parse(given);
    } catch {
      return wrong('--credentials', 'the file begins like JSON and is none');
    }
    const list = Array.isArray(json.credentials) ? json.credentials : [];
    for (const [index, { principal, secret }] of list.entries()) {
      if (typeof principal !== 'string' || typeof secret !== 'string')
        return wrong(`--credentials, entry ${index + 1}`, 'a principal or a secret is missing');
      pairs.push({ principal, secret });
    }
  } else
    for (const [index, line] of given.split(/\r?\n/).entries()) {
      if (line.trim() === '') continue;
      const [, principal, secret] = /^(\S+)\s+(\S+)\s*$/.exec(line) ?? [];
      if (principal === undefined || secret === undefined)
        return wrong(`--credentials, line ${index + 1}`, 'it is not two words');
      pairs.push({ principal, secret });
    }
  if (pairs.length === 0) return wrong('--credentials', 'nobody is in the file');
  return { ok: true, value: pairs };
}

/** The text of `horae mesos --help`. */
export function mesosUsage(): string {
  const lines = [
    'Usage: horae mesos [FLAGS]',
    '',
    'A small Mesos as a process of its own: one master, and agents on this machine or in the imagination. For trials, tests',
    'and benchmarks: it speaks the v1 scheduler API, keeps nothing but what its agents run, and is no cluster manager.',
    'Another start on the same --work-dir adopts the tasks that still run.',
    '',
  ];
  for (const [name, { help, value, default_text, ...setting }] of Object.entries(mesos_settings)) {
    lines.push(`  ${flagOf(name)}${setting.switch ? '' : ` ${value}`}`, `        ${help} [default ${default_text}]`);
  }
  return lines.join('\n');
}
