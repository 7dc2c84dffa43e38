// archive.ts: where agents find Horae's own executor, and who gives it to them.
//
// Nothing is packed before the first task wants it, which takes a machine some seconds, once: tasks wait until it is there, so
// that no agent waits for it and gives up. It is given out at the door where agents can reach that; else at a little door of its
// own, on loopback, for the agents of this machine. Whoever keeps the archive elsewhere says so with --executor-archive.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type ExecutorArchive, packExecutor } from '../mesos/executor/archive.ts';
import { isLoopback, type Settings } from '../settings.ts';
import { archive_prefix, type ServedArchive, sendArchive } from '../transport/http/archive.ts';
import type { Ground } from './start.ts';

export type OpenArchive = {
  /** For tasks; the first who asks sets the packing off, and until it is done there is none. */
  readonly url: () => string | undefined;
  /** For the door, where that is what agents come to. */
  readonly served: ServedArchive | undefined;
  readonly close: () => Promise<void>;
};

/** How the world reaches the door; undefined where only this machine can, or its port is not known yet. */
export function publicUrl({ http, tls_cert, advertise }: Settings): string | undefined {
  if (advertise !== undefined) return advertise;
  if (isLoopback(http.host) || http.port === 0) return undefined;
  const host = http.host === '0.0.0.0' || http.host === '::' ? hostname() : http.host;
  return `${tls_cert === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${http.port}`;
}

/** Where people find the console. */
export const consoleUrl = (settings: Settings): string | undefined =>
  settings.framework_webui_url ?? publicUrl(settings);

const pack_again_ms = 10_000;

export async function openArchive(
  { settings, log, clock, data_dir, version }: Ground,
  alone = false,
): Promise<OpenArchive> {
  const elsewhere = settings.executor_archive;
  if (elsewhere !== undefined && !alone)
    return { url: () => elsewhere, served: undefined, close: async () => undefined };

  let packed: ExecutorArchive | undefined;
  let rests_until = 0;
  const pack = () => {
    // Under way, or tried in vain a moment ago: a disk that is full is not asked again and again.
    if (clock.monotonic() < rests_until) return;
    rests_until = Number.POSITIVE_INFINITY;
    packExecutor(join(data_dir, 'executor'), version).then(
      archive => {
        packed = archive;
        log.info({ file: archive.path, bytes: archive.bytes }, 'the executor is packed');
      },
      error => {
        rests_until = clock.monotonic() + pack_again_ms;
        log.error({ error: String(error) }, 'the executor cannot be packed: tasks of processes wait');
      },
    );
  };
  const served = () => (packed === undefined ? undefined : { ...packed, at: `${archive_prefix}${packed.name}` });
  const told = (base: string) => () => {
    if (packed === undefined) pack();
    const there = served();
    return there === undefined ? undefined : `${base}${there.at}`;
  };
  const base = alone ? undefined : publicUrl(settings);
  if (base !== undefined) return { url: told(base), served, close: async () => undefined };

  const server = createServer((request, response) => void sendArchive(request, response, served, log));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: told(`http://127.0.0.1:${port}`),
    served: undefined,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
