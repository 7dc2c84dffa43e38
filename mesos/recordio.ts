// recordio.ts: where one record ends and the next begins.
//
// Mesos writes its events one after the other into an HTTP body that never ends: the length in decimal digits, a line feed,
// that many bytes, and at once the next length. Only the lengths count. Chunks of HTTP or of TCP may cut anywhere, also in
// the middle of a length, and may hold a thousand records or a crumb of one. A record that lies within one chunk is handed
// out as a view of that chunk; only what is cut is copied.

/** What stood where a length should be, and where: `at` counts bytes from the beginning of the stream. */
export type Garbled = { readonly at: number; readonly message: string };

export type RecordRead = {
  /** Complete records, in order. They are views, of the chunk or of the parser's own room: read them before the next. */
  readonly records: readonly Uint8Array[];
  /** Nothing can be read from here on: after a wrong length nobody knows where the next record begins. */
  readonly garbled?: Garbled;
};

/** Where a parser stands; two that have read the same bytes stand alike, however the bytes were cut. */
export type RecordState = {
  readonly reading: 'length' | 'record' | 'nothing';
  /** Bytes taken in so far. */
  readonly position: number;
  /** The length as far as it has been read; that of the record when that is being read. */
  readonly length: number;
  /** Digits of the length, or bytes of the record, that have been read. */
  readonly have: number;
};

export type RecordParser = {
  readonly feed: (chunk: Uint8Array) => RecordRead;
  readonly state: () => RecordState;
};

/** Digits in a length: no record has ten thousand million bytes, and a row of zeros is nobody's length. */
const digits_max = 10;
/** First room for a record that comes in pieces; it doubles as bytes arrive, so that a lying length costs no memory. */
const room_bytes = 4 * 1024;
/** Room up to this is kept for the next record: to get some anew for each would cost more than the copying. */
const kept_bytes_max = 1024 * 1024;

const line_feed = 0x0a;
const zero = 0x30;
const nine = 0x39;
const none = new Uint8Array(0);

/** Cuts a stream of bytes into records of at most `record_bytes_max` bytes. */
export function recordParser(record_bytes_max: number): RecordParser {
  let reading: RecordState['reading'] = 'length';
  let position = 0;
  let length = 0;
  let have = 0;
  let held: Uint8Array = none;
  // The record that was handed out last may lie in `held` when the next begins in the same chunk: two rooms, in turn.
  let spare: Uint8Array = none;
  let garbled: Garbled | undefined;

  /** Copies up to the end of the record out of the chunk; tells how many bytes that were. */
  const hold = (chunk: Uint8Array, from: number): number => {
    const count = Math.min(length - have, chunk.length - from);
    if (held.length < have + count) {
      const wider = new Uint8Array(Math.max(room_bytes, Math.min(length, Math.max(2 * held.length, have + count))));
      wider.set(held.subarray(0, have));
      held = wider;
    }
    held.set(chunk.subarray(from, from + count), have);
    have += count;
    return count;
  };
  const nextRecord = () => {
    reading = 'length';
    length = 0;
    have = 0;
  };
  const handOut = (): Uint8Array => {
    const record = held.subarray(0, length);
    [held, spare] = [spare, held.length > kept_bytes_max ? none : held];
    return record;
  };
  const stop = (at: number, message: string) => {
    reading = 'nothing';
    garbled = { at, message };
  };
  /** Takes one byte of a length. */
  const readLength = (byte: number, at: number) => {
    if (byte === line_feed && have > 0) {
      reading = 'record';
      have = 0;
    } else if (byte < zero || byte > nine)
      stop(at, `byte 0x${byte.toString(16).padStart(2, '0')} at ${at} of the stream: expected the length of a record`);
    else {
      length = length * 10 + byte - zero;
      have++;
      if (length > record_bytes_max)
        stop(at, `a record of ${length} bytes or more at ${at} of the stream: expected at most ${record_bytes_max}`);
      else if (have > digits_max)
        stop(at, `a length of more than ${digits_max} digits at ${at} of the stream: expected a decimal number`);
    }
  };

  return {
    feed(chunk) {
      const records: Uint8Array[] = [];
      let next = 0;
      while (reading !== 'nothing') {
        if (reading === 'record') {
          if (have === 0 && chunk.length - next >= length) {
            records.push(chunk.subarray(next, next + length));
            next += length;
            nextRecord();
          } else {
            next += hold(chunk, next);
            if (have < length) break;
            records.push(handOut());
            nextRecord();
          }
        } else if (next < chunk.length) readLength(chunk[next]!, position + next++);
        else break;
      }
      position += chunk.length;
      return garbled === undefined ? { records } : { records, garbled };
    },
    state: () => ({ reading, position, length, have }),
  };
}
