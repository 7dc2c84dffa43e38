// pair.ts: two nodes on a real loopback socket: a door on a free port, a line to it, and a relay between them that can
// stall, cut, record and play again.

import { randomBytes } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { systemClock } from '../../schedules/clock.ts';
import { createDoor, type Door } from '../../transport/cluster/door.ts';
import { type Introduction, protocol } from '../../transport/cluster/handshake.ts';
import { createLine, type Line, type LineOptions } from '../../transport/cluster/line.ts';
import type { Handle, LinkLimits } from '../../transport/cluster/link.ts';
import type { Owner } from '../support/temp.ts';

export const limits: LinkLimits = {
  window: 8,
  waiting_max: 100,
  frame_bytes_max: 1_048_576,
  beat_ms: 100,
  silence_ms_max: 20_000,
  handshake_ms_max: 20_000,
};
export const key = Buffer.alloc(32, 'k');
/** Far longer than anything here takes on a busy machine. */
export const long_ms = 60_000;

export type Logged = { readonly fields: object; readonly message: string };
export const logInto = (logged: Logged[]) => {
  const log = (fields: object, message: string) => void logged.push({ fields, message });
  return { debug: log, info: log, warn: log };
};
export const introducing =
  (id: string, window = limits.window, more: Partial<Introduction> = {}) =>
  (): Introduction => ({ protocol, version: '1.2.3', cluster: 'test', id, window, nonce: randomBytes(32), ...more });

export type DoorAt = { readonly door: Door; readonly url: string; readonly port: number; readonly logged: Logged[] };

export async function openDoorAt(
  t: Owner,
  handle: Handle,
  options: {
    readonly id?: string;
    readonly key?: Uint8Array;
    readonly limits?: Partial<LinkLimits>;
    readonly tls?: { readonly cert: string; readonly key: string };
  } = {},
): Promise<DoorAt> {
  const logged: Logged[] = [];
  const held = { ...limits, ...options.limits };
  const door = createDoor({
    key: options.key ?? key,
    introduce: introducing(options.id ?? 'callee', held.window),
    limits: held,
    clock: systemClock(),
    log: logInto(logged),
    handle,
  });
  const server = options.tls === undefined ? createHttpServer() : createHttpsServer(options.tls);
  server.on('upgrade', (request, socket, head) => door.accept(request, socket, head));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    door.close('the test is over');
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { door, port, url: `http${options.tls === undefined ? '' : 's'}://127.0.0.1:${port}`, logged };
}

export function openLine(
  t: Owner,
  options: { readonly id?: string; readonly handle?: Handle; readonly limits?: Partial<LinkLimits> } & Partial<
    Pick<LineOptions, 'key' | 'introduce' | 'tls'>
  > = {},
): { readonly line: Line; readonly logged: Logged[] } {
  const logged: Logged[] = [];
  const line = createLine({
    key: options.key ?? key,
    introduce: options.introduce ?? introducing(options.id ?? 'caller'),
    limits: { ...limits, ...options.limits },
    redial_delay_ms: 10,
    redial_delay_ms_max: 100,
    random: () => 0.5,
    clock: systemClock(),
    log: logInto(logged),
    handle: options.handle ?? (async () => undefined),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  });
  t.teardown(() => line.close());
  return { line, logged };
}

export type Relay = {
  readonly url: string;
  /** Lets nothing through in either direction until it is told otherwise; connections stay. */
  readonly stall: (stalled: boolean) => void;
  /** Turns over the last bit of whatever callers send. */
  readonly spoil: (spoiling: boolean) => void;
  /** Breaks every connection. */
  readonly cut: () => void;
  /** What callers have sent, by connection. */
  readonly sent: readonly Buffer[][];
};

/** A relay before a port of this machine. */
export async function openRelay(t: Owner, port: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const sent: Buffer[][] = [];
  let stalled = false;
  let spoiling = false;
  const server = createServer(from => {
    const to = connect(port, '127.0.0.1');
    const mine: Buffer[] = [];
    sent.push(mine);
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(socket);
      if (stalled) socket.pause();
      socket.on('data', (bytes: Buffer) => {
        if (socket === from) mine.push(bytes);
        if (socket === from && spoiling) bytes[bytes.length - 1]! ^= 1;
        other.write(bytes);
      });
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stall(value) {
      stalled = value;
      for (const socket of sockets) socket[value ? 'pause' : 'resume']();
    },
    spoil(value) {
      spoiling = value;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    sent,
  };
}
