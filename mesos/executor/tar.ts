// tar.ts: files one after the other, in the form that `tar` has read since 1988.
//
// The same files give the same bytes, wherever and whenever they are packed: nobody owns them, they have no age, and their
// order is given.

export type Packed = {
  readonly name: string;
  readonly executable: boolean;
  readonly bytes: number;
};

const block_bytes = 512;
const encoder = new TextEncoder();

/** What stands before a file: its name, its size, what may be done with it, and a sum over all that. */
export function headerOf({ name, executable, bytes }: Packed): Uint8Array {
  const header = new Uint8Array(block_bytes);
  const write = (text: string, at: number, bytes_max: number) => {
    const encoded = encoder.encode(text);
    if (encoded.length > bytes_max)
      throw new Error(`"${text}" has ${encoded.length} bytes: expected at most ${bytes_max} in the head of a tar file`);
    header.set(encoded, at);
  };
  const octal = (value: number, at: number, digits: number) =>
    write(value.toString(8).padStart(digits, '0'), at, digits);
  write(name, 0, 100);
  octal(executable ? 0o755 : 0o644, 100, 7);
  octal(0, 108, 7); // owner
  octal(0, 116, 7); // group
  octal(bytes, 124, 11);
  octal(0, 136, 11); // age
  write(' '.repeat(8), 148, 8);
  write('0', 156, 1); // a regular file
  write('ustar', 257, 6);
  write('00', 263, 2);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  header[154] = 0;
  return header;
}

/** What follows a file, up to the next full block. */
export const paddingOf = (bytes: number): Uint8Array =>
  new Uint8Array((block_bytes - (bytes % block_bytes)) % block_bytes);

export const end_of_tar: Uint8Array = new Uint8Array(2 * block_bytes);
