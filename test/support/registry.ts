// registry.ts: as much of an image registry as a pull takes: one layer, one description, one manifest for each image.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Owner } from './temp.ts';

export type Registry = {
  /** Under which name an engine on this machine asks for it: `127.0.0.1:1234/name`. */
  at(name: string): string;
  /** Puts an image there, in the place of an earlier one of that name. `config`: as in an image's description. */
  put(name: string, root_fs: Buffer, config?: object, architecture?: string): void;
  /** How often its manifest was asked for. */
  asked(name: string): number;
};

const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** `login`: the name and password, with a colon, that it wants to be shown. */
export async function startRegistry(t: Owner, login?: string): Promise<Registry> {
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, Buffer>();
  const asked = new Map<string, number>();
  const manifest_type = 'application/vnd.docker.distribution.manifest.v2+json';
  const keep = (bytes: Buffer) => {
    blobs.set(digestOf(bytes), bytes);
    return { size: bytes.length, digest: digestOf(bytes) };
  };
  const server = createServer((request, response) => {
    const [, name = '', kind = '', last = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? [];
    const found = kind === 'blobs' ? blobs.get(last) : (manifests.get(name) ?? undefined);
    if (kind === 'manifests' && request.method === 'GET') asked.set(name, (asked.get(name) ?? 0) + 1);
    const shown = Buffer.from(request.headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
    if (login !== undefined && shown !== login) {
      const headers = { 'www-authenticate': 'Basic realm="test"', 'content-type': 'application/json' };
      const errors = [{ code: 'UNAUTHORIZED', message: 'authentication required' }];
      return void response.writeHead(401, headers).end(JSON.stringify({ errors }));
    }
    if (request.url === '/v2/') return void response.writeHead(200).end('{}');
    if (found === undefined) {
      const errors = [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }];
      return void response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
    }
    const type = kind === 'manifests' ? manifest_type : 'application/octet-stream';
    const headers = { 'content-type': type, 'content-length': found.length, 'docker-content-digest': digestOf(found) };
    response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : found);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.teardown(() => void server.close());
  return {
    at: name => `127.0.0.1:${port}/${name}`,
    put(name, root_fs, config = {}, architecture = 'amd64') {
      const rootfs = { type: 'layers', diff_ids: [digestOf(root_fs)] };
      const described = Buffer.from(JSON.stringify({ architecture, os: 'linux', config, rootfs, history: [{}] }));
      const manifest = {
        schemaVersion: 2,
        mediaType: manifest_type,
        config: { mediaType: 'application/vnd.docker.container.image.v1+json', ...keep(described) },
        layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', ...keep(gzipSync(root_fs)) }],
      };
      manifests.set(name, Buffer.from(JSON.stringify(manifest)));
    },
    asked: name => asked.get(name) ?? 0,
  };
}
