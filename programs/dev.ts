// dev.ts: `horae dev`: scheduler, one-machine Mesos, journal, REST and console in this process; tasks in processes of their own.

import { randomUUID } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Sweeping } from '../actors/model/views.ts';
import { agentSessions } from '../mesos/agent-sessions.ts';
import { authorization, httpLink } from '../mesos/http-link.ts';
import {
  type LocalMesos,
  sandboxFile,
  sandboxFolder,
  startLocalMesos,
  toldOf,
  wholeMachine,
} from '../mesos/local/index.ts';
import type { Resource } from '../mesos/protocol.ts';
import type { AgentResources } from '../settings.ts';
import { agentTerms } from './agent-terms.ts';
import { type Mesos, runAlone } from './alone.ts';
import { consoleUrl, openArchive } from './archive.ts';
import { away } from './masters.ts';
import { Refused } from './refused.ts';
import { heardBy, openReports } from './reports.ts';
import { type Ground, standOn } from './start.ts';

export async function dev(argv: readonly string[]): Promise<void> {
  const ground = standOn(argv);
  // One framework has this machine to itself: what it does not use may come back to it at once. No other masters are asked.
  const alone = { ...ground, settings: { ...ground.settings, refuse_seconds: 0, mesos: undefined } };
  welcome(await runAlone(alone, () => machineAsMesos(ground)), ground.version);
}

async function machineAsMesos(ground: Ground): Promise<Mesos> {
  const { settings, logs, clock, data_dir } = ground;
  const work_dir = join(data_dir, 'agent');
  const mesos = await startLocalMesos({
    work_dir,
    resources: await resourcesOf(settings.agent_resources, data_dir),
    clock,
    log: logs.of('agent'),
    ...agentTerms(settings),
    master: { allocation_interval_ms: 0 },
  }).catch(error => {
    throw new Refused(`cannot run tasks in ${work_dir}: ${error instanceof Error ? error.message : String(error)}`);
  });
  const archive = await openArchive(ground, true);
  const reports = openReports(ground);
  const sessions = agentSessions({
    clock,
    at: (_, work) => work({ origin: mesos.agent!.origin, headers: authorization(mesos.credentials) }),
    framework_id: () => undefined,
    newId: randomUUID,
  });
  const link = httpLink({
    urls: [mesos.url],
    clock,
    log: logs.of('mesos'),
    ...(mesos.credentials === undefined ? {} : { credentials: mesos.credentials }),
    heartbeat_missed_max: settings.heartbeat_missed_max,
    record_bytes_max: settings.record_bytes_max,
    subscribe_timeout_ms: settings.subscribe_timeout_ms,
    call_timeout_ms: settings.call_timeout_ms,
    calls_in_flight_max: settings.calls_in_flight_max,
    calls_waiting_max: settings.calls_waiting_max,
  });
  return {
    link: heardBy(link, [reports]),
    reports,
    sweeping: sweepingOf(mesos, settings),
    sessions: { open: (agent_id, task_id, wish) => sessions.open(agent_id, task_id, wish).catch(away) },
    usages: { of: async (_, task_id) => mesos.agent?.usage(task_id) },
    sandboxes: {
      async open(agent_id, task_id, name) {
        const file = await sandboxFile(work_dir, agent_id, task_id, name);
        if (file === undefined) return undefined;
        let piece = Buffer.alloc(0);
        return {
          size: async () => (await file.stat()).size,
          async read(position, length) {
            // One piece of memory for all of a file: what is left to the collector piles up before it looks.
            if (piece.length < length) piece = Buffer.allocUnsafeSlow(length);
            const { bytesRead } = await file.read(piece, 0, length, position);
            return piece.subarray(0, bytesRead);
          },
          close: () => file.close(),
        };
      },
      async list(agent_id, task_id, folder, page) {
        const entries = await sandboxFolder(work_dir, agent_id, task_id, folder, page);
        return entries?.map(({ name, stats }) => ({ name, ...toldOf(stats) }));
      },
    },
    identity: {
      name: 'horae',
      user: userInfo().username,
      hostname: hostname(),
      webui_url: consoleUrl(settings),
      archive: archive.url,
    },
    async close() {
      await archive.close();
      await mesos.close();
    },
  };
}

function sweepingOf({ agent }: LocalMesos, settings: Ground['settings']): Sweeping | undefined {
  if (agent === undefined) return undefined;
  const { sandboxes_max, sandbox_days: days, sandbox_free_percent: free_percent } = settings;
  return { ...agent.sandboxes, rules: { sandboxes_max, days, free_percent } };
}

/** What is set, and what is measured where nothing is. */
async function resourcesOf(
  { cpus, mem_mb, disk_mb, ports }: AgentResources,
  data_dir: string,
): Promise<readonly Resource[]> {
  const set: Record<string, Resource | undefined> = {
    cpus: cpus === undefined ? undefined : { name: 'cpus', type: 'SCALAR', scalar: { value: cpus } },
    mem: mem_mb === undefined ? undefined : { name: 'mem', type: 'SCALAR', scalar: { value: mem_mb } },
    disk: disk_mb === undefined ? undefined : { name: 'disk', type: 'SCALAR', scalar: { value: disk_mb } },
    ports: ports === undefined ? undefined : { name: 'ports', type: 'RANGES', ranges: { range: ports } },
  };
  return (await wholeMachine(data_dir)).map(measured => set[measured.name] ?? measured);
}

/** What a person sees first. */
function welcome(url: string, version: string): void {
  const hello = { role: 'me', environment: 'devel', name: 'hello', command: 'echo hello; sleep 5', cron: '* * * * *' };
  console.log(`Horae ${version} is running. Console: ${url}

Try, in another terminal:
  curl -X POST ${url}/api/v1/jobs -H 'content-type: application/json' -d '${JSON.stringify(hello)}'
  curl -X POST ${url}/api/v1/jobs/me/devel/hello/runs
  curl ${url}/api/v1/jobs/me/devel/hello/runs`);
}
