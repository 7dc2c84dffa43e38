// byte-names.ts: names of files as what they are on Linux: bytes, of which some are no text.
//
// A byte string has one character for each byte (Latin-1), so nothing is lost in it, and slashes and dots are where they were.

/** Names as bytes, in a string. */
export type ByteString = string;

export const bytesOf = (text: string): ByteString => Buffer.from(text, 'utf8').toString('latin1');
export const rawOf = (name: ByteString): Buffer => Buffer.from(name, 'latin1');

/** For a query: every byte that could mean something there, or is no letter, by its number. */
export const percentOf = (name: ByteString): string =>
  name.replace(/[^\w./~-]/g, byte => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);

/** What a query holds under a name, byte by byte; undefined when it does not. */
export function inQuery(query: string, field: string): ByteString | undefined {
  for (const pair of query.split('&')) {
    const [name = '', ...value] = pair.split('=');
    if (name !== field) continue;
    const text = bytesOf(value.join('=')).replaceAll('+', ' ');
    return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
  return undefined;
}
