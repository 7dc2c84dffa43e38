// wire.ts: a cable between a program and a server, for any protocol: it can break, be cut, and carry nothing.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Owner } from '../support/temp.ts';

/** What is lost: everything, or what goes one way. */
export type Loss = 'both' | 'to-server' | 'to-client';
export type Wire = {
  readonly address: string;
  /** Ends the connections there are. */
  breakAll(): void;
  /** And refuses new ones until `mend`. */
  cut(): void;
  /** Connections stay and new ones are taken; what is sent is gone, in one direction or both. */
  stall(loss?: Loss): void;
  /** Connections through which something was lost end: no program could make sense of the rest. */
  mend(): void;
};

export type Spot = { readonly host: string; readonly port: number };

/** `host`: where it listens. */
export async function startWire(t: Owner, target: Spot, host = '127.0.0.1'): Promise<Wire> {
  const ends = new Set<Socket>();
  let mode: 'open' | 'cut' | Loss = 'open';
  const destroyAll = () => {
    for (const end of ends) end.destroy();
  };
  const listener = createServer(client => {
    if (mode === 'cut') return void client.destroy();
    const server = connect(target);
    const join = (from: Socket, to: Socket, direction: Loss) => {
      ends.add(from);
      from.setNoDelay();
      from.on('data', data => {
        if (mode !== direction && mode !== 'both') to.write(data);
      });
      from.on('error', () => undefined); // 'close' follows.
      from.on('close', () => {
        ends.delete(from);
        to.destroy();
      });
    };
    join(client, server, 'to-server');
    join(server, client, 'to-client');
  });
  listener.listen(0, host);
  await once(listener, 'listening');
  t.teardown(() => {
    destroyAll();
    listener.close();
  });
  return {
    address: `${host}:${(listener.address() as AddressInfo).port}`,
    breakAll: destroyAll,
    cut() {
      mode = 'cut';
      destroyAll();
    },
    stall(loss = 'both') {
      mode = loss;
    },
    mend() {
      if (mode !== 'open') destroyAll();
      mode = 'open';
    },
  };
}
