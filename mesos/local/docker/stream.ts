// stream.ts: what a Docker engine sends that is not one JSON document: output of two kinds in one pipe, and news by the line.
//
// Output comes in frames: a kind, a length, bytes. A frame may be longer than we care to hold and may be cut anywhere, so
// its bytes are passed on as they come. Nothing in them is looked at: what a task writes need not be text.

/** 1: stdout. 2: stderr. */
export type Kind = 1 | 2;

const header_bytes = 8;

/** Takes pieces of the pipe and calls `out` with pieces of output, in order. Throws when it is not such a pipe. */
export function demultiplexer(out: (kind: Kind, bytes: Uint8Array) => void): (piece: Uint8Array) => void {
  const header = new Uint8Array(header_bytes);
  let header_got = 0;
  let left = 0;
  return piece => {
    let at = 0;
    while (at < piece.length) {
      if (left > 0) {
        const end = Math.min(piece.length, at + left);
        // 0 is stdin, which the engine gives back on stdout.
        out(header[0] === 2 ? 2 : 1, piece.subarray(at, end));
        left -= end - at;
        at = end;
        continue;
      }
      const end = Math.min(piece.length, at + header_bytes - header_got);
      header.set(piece.subarray(at, end), header_got);
      header_got += end - at;
      at = end;
      if (header_got < header_bytes) return;
      header_got = 0;
      if (header[0]! > 2 || header[1] !== 0 || header[2] !== 0 || header[3] !== 0)
        throw new Error(`a frame of output begins with ${[...header].join(' ')}: expected 0, 1 or 2, then three zeros`);
      left = new DataView(header.buffer).getUint32(4);
    }
  };
}

/** Text by the line, the last one also without an end. Lines that are longer than anything healthy are an error. */
export function lines(
  out: (line: string) => void,
  line_chars_max = 1_048_576,
): { add(text: string): void; end(): void } {
  let rest = '';
  return {
    add(text) {
      rest += text;
      const parts = rest.split('\n');
      rest = parts.pop()!;
      for (const line of parts) if (line.trim() !== '') out(line);
      if (rest.length > line_chars_max) throw new Error(`a line of more than ${line_chars_max} characters`);
    },
    end() {
      if (rest.trim() !== '') out(rest);
      rest = '';
    },
  };
}
