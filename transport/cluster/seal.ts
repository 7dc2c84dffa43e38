// seal.ts: frames that nobody on the way can make, change, repeat, drop or reorder without being noticed.
//
// A frame is a msgpack value behind a mark. The mark is made with the key of its direction from the frame's number and
// its bytes; the number is not sent, both sides count. So a frame that was seen before, or comes from the other direction,
// carries the wrong mark.

import { createHmac } from 'node:crypto';
import { Packr, Unpackr } from 'msgpackr';
import { same } from './handshake.ts';

const mark_bytes = 16;

export type Seal = { readonly close: (value: unknown) => Uint8Array };
export type Opener = {
  /** The value in a frame; throws a sentence when the frame is not the next one of this direction. */
  readonly open: (frame: Uint8Array) => unknown;
};

export function createSeal(key: Uint8Array): Seal {
  // Structures of records would tie a frame to the ones before it, and what is sent here is small.
  const packr = new Packr({ useRecords: false });
  let count = 0n;
  return {
    close(value) {
      const body = packr.pack(value);
      return Buffer.concat([markOf(key, count++, body), body]);
    },
  };
}

export function createOpener(key: Uint8Array): Opener {
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
  let count = 0n;
  return {
    open(frame) {
      const body = frame.subarray(mark_bytes);
      if (frame.length < mark_bytes || !same(frame.subarray(0, mark_bytes), markOf(key, count, body)))
        throw new Error(`frame ${count} is not marked as the next one of this link: expected what the peer sealed`);
      count += 1n;
      return unpackr.unpack(body);
    },
  };
}

function markOf(key: Uint8Array, number: bigint, body: Uint8Array): Buffer {
  const counted = Buffer.alloc(8);
  counted.writeBigUInt64BE(number);
  return createHmac('sha256', key).update(counted).update(body).digest().subarray(0, mark_bytes);
}
