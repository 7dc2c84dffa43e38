// wire.ts: a cable between a program and a server, for any protocol: it can break, be cut, and carry nothing.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Owner } from '../support/temp.ts';

export type Wire = {
  readonly address: string;
  /** Ends the connections there are. */
  breakAll(): void;
  /** And refuses new ones until `mend`. */
  cut(): void;
  /** Connections stay and new ones are taken; what is sent is gone. */
  stall(): void;
  /** Connections through which something was lost end: no program could make sense of the rest. */
  mend(): void;
};

export async function startWire(t: Owner, target_port: number): Promise<Wire> {
  const ends = new Set<Socket>();
  let mode: 'open' | 'cut' | 'stalled' = 'open';
  const destroyAll = () => {
    for (const end of ends) end.destroy();
  };
  const listener = createServer(client => {
    if (mode === 'cut') return void client.destroy();
    const server = connect(target_port, '127.0.0.1');
    const join = (from: Socket, to: Socket) => {
      ends.add(from);
      from.setNoDelay();
      from.on('data', data => {
        if (mode !== 'stalled') to.write(data);
      });
      from.on('error', () => undefined); // 'close' follows.
      from.on('close', () => {
        ends.delete(from);
        to.destroy();
      });
    };
    join(client, server);
    join(server, client);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.teardown(() => {
    destroyAll();
    listener.close();
  });
  return {
    address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    breakAll: destroyAll,
    cut() {
      mode = 'cut';
      destroyAll();
    },
    stall() {
      mode = 'stalled';
    },
    mend() {
      if (mode === 'stalled') destroyAll();
      mode = 'open';
    },
  };
}
