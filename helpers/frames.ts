// frames.ts: what comes back from a machine that runs something for us, taken apart again.
//
// Lines: `O 12` and `E 12` with that many bytes of output behind them, `X 3` the end with its status, `L why` that nobody
// knows the end, `H` that all is well. Before all that comes a greeting; what a login says before it is not for us.

export type Frame =
  | { readonly type: 'output'; readonly to: 'out' | 'err'; readonly bytes: Uint8Array }
  | { readonly type: 'said'; readonly word: string }
  | { readonly type: 'over'; readonly status: number }
  | { readonly type: 'lost'; readonly why: string }
  | { readonly type: 'beat' };

/** Longer than any line of ours: what has no end by then is no line. */
const line_bytes_max = 4_096;

/** Feeds on pieces as they come. Output is handed on at once, whether its frame is whole or not. */
export class FrameReader {
  #rest = Buffer.alloc(0);
  #left = 0;
  #to: 'out' | 'err' = 'out';
  #greeted = false;
  readonly #greeting: string;

  constructor(greeting: string) {
    this.#greeting = greeting;
  }

  feed(piece: Uint8Array): readonly Frame[] {
    const frames: Frame[] = [];
    this.#rest = Buffer.concat([this.#rest, piece]);
    while (this.#rest.length > 0) {
      if (this.#left > 0) {
        const bytes = this.#rest.subarray(0, this.#left);
        this.#left -= bytes.length;
        this.#rest = this.#rest.subarray(bytes.length);
        frames.push({ type: 'output', to: this.#to, bytes });
        continue;
      }
      const end = this.#rest.indexOf(10);
      if (end < 0) {
        // A login may say a lot before it lets us speak.
        if (this.#rest.length > line_bytes_max) {
          if (this.#greeted) throw new Error(`a line without end: ${this.#rest.subarray(0, 80).toString()}`);
          this.#rest = this.#rest.subarray(-line_bytes_max);
        }
        return frames;
      }
      const line = this.#rest.subarray(0, end).toString();
      this.#rest = this.#rest.subarray(end + 1);
      const frame = this.#line(line);
      if (frame !== undefined) frames.push(frame);
    }
    return frames;
  }

  #line(line: string): Frame | undefined {
    // What was said without an end of line stands before the greeting.
    const at = line.indexOf(this.#greeting);
    if (at >= 0) {
      this.#greeted = true;
      return { type: 'said', word: line.slice(at + this.#greeting.length) };
    }
    if (!this.#greeted) return undefined;
    const [letter = '', value = ''] = line.split(' ');
    if ((letter === 'O' || letter === 'E') && /^\d{1,9}$/.test(value)) {
      this.#to = letter === 'O' ? 'out' : 'err';
      this.#left = Number(value);
      return undefined;
    }
    if (letter === 'X' && /^\d{1,3}$/.test(value)) return { type: 'over', status: Number(value) };
    if (letter === 'L') return { type: 'lost', why: value };
    if (letter === 'H') return { type: 'beat' };
    throw new Error(`a line that means nothing: ${line.slice(0, 80)}`);
  }
}
