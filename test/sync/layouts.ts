// layouts.ts: one job in either layout, as a file and as somebody else would make, change or delete it by the API.

import type { Api } from '../program/horae.ts';

export type Layout = {
  readonly file: (name: string) => string;
  readonly text: (name: string, command: string) => string;
  /** What somebody else does by the API. */
  readonly make: (name: string, command: string) => Promise<unknown>;
  readonly change: (name: string, command: string) => Promise<unknown>;
  readonly remove: (name: string) => Promise<unknown>;
  /** The command and the version of a job; undefined where there is none. */
  readonly look: (name: string) => Promise<readonly [unknown, number] | undefined>;
  readonly flags: readonly string[];
};

export const yearly = '0 3 1 1 *';
const cron = yearly;

export function layoutsAt(api: () => Api): Readonly<Record<'native' | 'chronos', Layout>> {
  const ok = async (method: string, path: string, body?: object, headers: Readonly<Record<string, string>> = {}) => {
    const answer = await api().request(method, path, body, headers);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  };
  const seen = async (key: string) => {
    const answer = await api().request('GET', `/api/v1/jobs/${key}`);
    if (answer.status === 404) return undefined;
    const { job, version } = answer.body() as { job: { command: string }; version: number };
    return [job.command, version] as const;
  };
  const posted = (name: string, command: string) => ({
    name,
    command,
    owner: 'a@b.c',
    cpus: 0.1,
    mem: 64,
    disk: 10,
    runAsUser: 'root',
    schedule: 'R/2090-01-01T00:00:00Z/P1D',
  });
  return {
    native: {
      file: name => `times/prod/${name}.yaml`,
      text: (_, command) => `command: ${command}\ncron: "${cron}"\n`,
      make: (name, command) => ok('POST', '/api/v1/jobs', { role: 'times', environment: 'prod', name, command, cron }),
      change: (name, command) => {
        const job = { role: 'times', environment: 'prod', name, command, cron };
        return ok('PUT', `/api/v1/jobs/times/prod/${name}`, job, { 'if-match': '*' });
      },
      remove: name => ok('DELETE', `/api/v1/jobs/times/prod/${name}`),
      look: name => seen(`times/prod/${name}`),
      flags: ['--role', 'times'],
    },
    chronos: {
      file: name => `scheduled/${name}.yaml`,
      text: (name, command) => JSON.stringify(posted(name, command)),
      make: (name, command) => ok('POST', '/v1/scheduler/iso8601', posted(name, command)),
      change: (name, command) => ok('POST', '/v1/scheduler/iso8601', posted(name, command)),
      remove: name => ok('DELETE', `/v1/scheduler/job/${name}`),
      look: name => seen(`chronos/default/${name}`),
      flags: [],
    },
  };
}
