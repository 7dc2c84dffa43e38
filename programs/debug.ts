// debug.ts: what a node knows of itself, packed for a bug report.
//
// Text files in one .tar.gz, so that whoever sends it can read first what he sends. Of the settings nothing that is secret,
// of jobs and tasks nothing but counts and what the log says; and whatever the settings hold that is secret is taken out of
// all of it once more. A part that cannot be had says why in its place: the rest is wanted the more.

import { readFileSync } from 'node:fs';
import { arch, cpus, freemem, hostname, loadavg, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Views } from '../actors/model/views.ts';
import { withoutPassword } from '../mesos/detector.ts';
import { end_of_tar, headerOf, paddingOf } from '../mesos/executor/tar.ts';
import { shownSettings } from '../settings.ts';
import { piecesOf, withoutSecrets } from '../transport/cli/setting-shown.ts';
import type { Cluster } from '../transport/http/leader.ts';
import { type History, history_kinds } from '../transport/journal/journal.ts';
import type { Ground } from './start.ts';

export type DebugParts = Pick<Ground, 'settings' | 'logs' | 'clock' | 'metrics' | 'version'> & {
  readonly views: Views & { readonly instance_counts: () => Readonly<Record<string, number>> };
  readonly history: Pick<History, 'count'>;
  readonly cluster?: Pick<Cluster, 'node_id' | 'mode' | 'leader' | 'epoch'> | undefined;
  readonly serversets?: (() => unknown) | undefined;
};

/** A doctor who waits for somebody that hangs must not keep the bundle from whoever waits for that. */
const doctor_ms_max = 20_000;

/** Packs it anew at each call. */
export function debugBundle(parts: DebugParts): () => Promise<Uint8Array> {
  const { settings, logs, clock, metrics, version, views, history, cluster, serversets } = parts;
  const files: Readonly<Record<string, () => unknown>> = {
    'about.json': () => ({
      made_at: new Date(clock.now()).toISOString(),
      horae: version,
      versions: process.versions,
      packages: packagesOf(),
      machine: { platform: platform(), release: release(), arch: arch(), hostname: hostname() },
      cpus: { count: cpus().length, model: cpus()[0]?.model, load: loadavg() },
      memory: { total: totalmem(), free: freemem(), process: process.memoryUsage() },
      up_s: Math.round(process.uptime()),
      zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      log_levels: logs.levels(),
    }),
    'settings.json': () => shownSettings(settings).settings,
    'health.json': () => ({
      position: views.position(),
      jobs: views.job_count(),
      ...(cluster === undefined
        ? {}
        : { node: cluster.node_id, mode: cluster.mode(), leader: cluster.leader() ?? null, epoch: cluster.epoch() }),
      ...(serversets === undefined ? {} : { serversets: serversets() }),
    }),
    'counts.json': () => ({
      jobs: views.job_count(),
      instances: views.instance_counts(),
      waiting: views.pending_page(1, undefined, undefined).total,
      history: Object.fromEntries(history_kinds.map(kind => [kind, history.count(kind, '')])),
    }),
    'waiting.json': () => views.pending_page(waiting_shown_max, undefined, undefined).rows,
    'metrics.txt': () => metrics.text(),
    'doctor.json': () => examined(settings),
    // Last: it has what was said while the others were made.
    'log.jsonl': () =>
      logs
        .recent()
        .map(line => `${line}\n`)
        .join(''),
  };
  return async () => {
    const secrets = [...shownSettings(settings).secrets, ...secretsInFiles(settings)];
    const pieces: Uint8Array[] = [];
    for (const [name, make] of Object.entries(files)) {
      const text = await textOf(make);
      const bytes = Buffer.from(withoutSecrets(text, secrets));
      pieces.push(headerOf({ name: `horae-debug/${name}`, executable: false, bytes: bytes.length }), bytes);
      pieces.push(paddingOf(bytes.length));
    }
    return promisify(gzip)(Buffer.concat([...pieces, end_of_tar]));
  };
}

const waiting_shown_max = 100;

/** What is in the files of one line that hold a secret. One that cannot be read now has nothing to be taken out. */
function secretsInFiles(settings: Ground['settings']): readonly string[] {
  return Object.entries(settings).flatMap(([name, path]) => {
    if (typeof path !== 'string' || !/(secret|password|token|auth|key|credentials)_file$/.test(name)) return [];
    try {
      const line = readFileSync(path, 'utf8').trim();
      return line.includes('\n') ? [] : piecesOf(line);
    } catch {
      return [];
    }
  });
}

async function textOf(make: () => unknown): Promise<string> {
  try {
    const made = await make();
    return typeof made === 'string' ? made : `${JSON.stringify(made, undefined, 2)}\n`;
  } catch (error) {
    return `${JSON.stringify({ cannot_be_had: error instanceof Error ? error.message : String(error) })}\n`;
  }
}

/** What `horae doctor` would say, without the offers: those are for whoever schedules. */
async function examined(settings: Ground['settings']): Promise<unknown> {
  if (settings.mesos === undefined) return { mesos: 'this machine', findings: [] };
  const { examine } = await import('./doctor.ts');
  let late: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    const error = new Error(`the doctor was not done within ${doctor_ms_max} ms`);
    late = setTimeout(() => reject(error), doctor_ms_max);
  });
  try {
    const findings = await Promise.race([examine(settings, undefined, 0), over]);
    return { mesos: withoutPassword(settings.mesos), findings };
  } finally {
    clearTimeout(late);
  }
}

/** Of what we depend on: each is pinned. */
function packagesOf(): Readonly<Record<string, string>> {
  const path = join(import.meta.dirname, '..', 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { dependencies: Record<string, string> }).dependencies;
}
