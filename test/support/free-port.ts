// free-port.ts: a port of the loopback address that nobody listens on.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** For a program that cannot be told port 0. Somebody else may take it before the program does: prefer port 0. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
