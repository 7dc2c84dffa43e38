// http-answer.ts: the answers on a connection that carries many requests.
//
// Calls go to the master one behind the other on one connection, without waiting (HTTP/1.1 pipelining), and the answers come
// back in the same order. Here the bytes of that connection are cut into answers. Only what answers to calls can contain is
// understood: a status, a few headers, and a body that is counted, chunked, or ends with the connection.

export type HttpAnswer = {
  readonly status: number;
  readonly body: string;
  /** The answerer said that it will not read another request from this connection. */
  readonly closes: boolean;
};

export type AnswerRead = { readonly answers: readonly HttpAnswer[]; readonly garbled?: string };

export type AnswerParser = {
  readonly feed: (chunk: Uint8Array) => AnswerRead;
  /** The connection has ended: the answer whose body was to end with it, if there is one. */
  readonly end: () => HttpAnswer | undefined;
};

/** Bytes of the head or of a line, and bytes of a body, beyond which it is no answer of a master. */
const head_bytes_max = 64 * 1024;
const body_bytes_max = 1024 * 1024;

type Head = { readonly status: number; readonly closes: boolean; readonly length: number | 'chunked' | 'to-end' };

export function answerParser(): AnswerParser {
  const decoder = new TextDecoder();
  let rest: Uint8Array = new Uint8Array(0);
  let head: Head | undefined;
  /** Chunked: the pieces so far. */
  let pieces: string[] = [];
  let pieces_bytes = 0;
  let garbled: string | undefined;

  const takeLine = (): string | undefined => {
    const end = rest.indexOf(0x0a);
    if (end < 0) {
      if (rest.length > head_bytes_max) garbled = `a line of more than ${head_bytes_max} bytes`;
      return undefined;
    }
    const line = decoder.decode(rest.subarray(0, end));
    rest = rest.subarray(end + 1);
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  };
  const takeHead = (): Head | undefined => {
    const end = endOfHead(rest);
    if (end < 0) {
      if (rest.length > head_bytes_max) garbled = `a head of more than ${head_bytes_max} bytes`;
      return undefined;
    }
    const text = decoder.decode(rest.subarray(0, end));
    rest = rest.subarray(end);
    const read = readHead(text);
    if (typeof read !== 'string') return read;
    garbled = read;
    return undefined;
  };
  const takeBody = ({ length }: Head): string | undefined => {
    if (length === 'to-end') {
      if (rest.length > body_bytes_max) garbled = `a body of more than ${body_bytes_max} bytes`;
      return undefined;
    }
    if (length === 'chunked') return takeChunks();
    if (rest.length < length) return undefined;
    const body = decoder.decode(rest.subarray(0, length));
    rest = rest.subarray(length);
    return body;
  };
  const takeChunks = (): string | undefined => {
    for (;;) {
      const before = rest;
      const line = takeLine();
      if (line === undefined) return undefined;
      const size = /^[0-9a-f]{1,8}(?=\s*(?:;|$))/i.exec(line);
      if (size === null) {
        garbled = `"${line.slice(0, 40)}" where the size of a chunk should be`;
        return undefined;
      }
      const bytes = Number.parseInt(size[0], 16);
      // A chunk is followed by a line feed; the last one, of size 0, by an empty line (masters send no trailers).
      if (rest.length < bytes + 2) {
        rest = before;
        if (pieces_bytes + bytes > body_bytes_max) garbled = `a body of more than ${body_bytes_max} bytes`;
        return undefined;
      }
      pieces.push(decoder.decode(rest.subarray(0, bytes)));
      pieces_bytes += bytes;
      rest = rest.subarray(bytes + 2);
      if (pieces_bytes > body_bytes_max) garbled = `a body of more than ${body_bytes_max} bytes`;
      if (garbled !== undefined) return undefined;
      if (bytes === 0) return pieces.join('');
    }
  };
  const answer = ({ status, closes }: Head, body: string): HttpAnswer => {
    head = undefined;
    pieces = [];
    pieces_bytes = 0;
    return { status, body, closes };
  };

  return {
    feed(chunk) {
      rest = rest.length === 0 ? chunk : joined(rest, chunk);
      const answers: HttpAnswer[] = [];
      while (garbled === undefined) {
        head ??= takeHead();
        if (head === undefined) break;
        const body = takeBody(head);
        if (body === undefined) break;
        // 1xx: the real answer is still to come.
        if (head.status < 200) head = undefined;
        else answers.push(answer(head, body));
      }
      return garbled === undefined ? { answers } : { answers, garbled };
    },
    end: () => (head?.length === 'to-end' && garbled === undefined ? answer(head, decoder.decode(rest)) : undefined),
  };
}

/** Reads status line and headers; a sentence when they are none. */
function readHead(text: string): Head | string {
  const [first = '', ...lines] = text.split(/\r?\n/);
  const status_line = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(first);
  if (status_line === null) return `"${first.slice(0, 40)}" where a status line should be`;
  const status = Number(status_line[2]);
  let closes = status_line[1] === '0';
  let length: Head['length'] | undefined;
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'connection' && value.toLowerCase() === 'close') closes = true;
    if (name === 'transfer-encoding' && value.toLowerCase() === 'chunked') length = 'chunked';
    if (name === 'content-length' && length === undefined) {
      if (!/^\d{1,9}$/.test(value) || Number(value) > body_bytes_max)
        return `a content length of ${value.slice(0, 20)}`;
      length = Number(value);
    }
  }
  if (status < 200 || status === 204 || status === 304) return { status, closes, length: 0 };
  return length === undefined ? { status, closes: true, length: 'to-end' } : { status, closes, length };
}

/** Just behind the empty line that ends a head; -1 when it is not there yet. */
function endOfHead(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
    if (bytes[at + 1] === 0x0a) return at + 2;
    if (bytes[at + 1] === 0x0d && bytes[at + 2] === 0x0a) return at + 3;
  }
  return -1;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
