// results.ts: the few words that a task may leave for those that follow it.
//
// A note on the kitchen table. The task writes it into the file that `HORAE_RESULT` names; whoever runs the task reads it
// when it has ended, and sends it along with the last status update, first of all in its data.

/** In the sandbox of the task. */
export const result_file = 'horae.result';
/** What is longer is no note: none of it is passed on, since a part may mean something else than the whole. */
export const result_bytes_max = 4_096;

/** What was written, without the line ends after it; undefined when it is nothing that could stand in an environment. */
export function textOfResult(bytes: Uint8Array): string | undefined {
  if (bytes.length > result_bytes_max || bytes.includes(0)) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/[\r\n]+$/, '');
    return text === '' ? undefined : text;
  } catch {
    return undefined; // Bytes of another alphabet.
  }
}

/** How `{"result"` begins in base64: nine bytes are twelve letters, whatever comes after them. */
const beginning = 'eyJyZXN1bHQi';
/** Base64 of what an executor of ours says of a task at most. */
const data_length_max = 131_072;

/** The result in the data of a status. Most have none, and are not decoded to find that out. */
export function resultOf(data: string | undefined): string | undefined {
  if (data?.startsWith(beginning) !== true || data.length > data_length_max) return undefined;
  try {
    const { result } = JSON.parse(Buffer.from(data, 'base64').toString('utf8')) as { result?: unknown };
    // Another executor may say anything.
    return typeof result === 'string' && Buffer.byteLength(result) <= result_bytes_max && !result.includes('\0')
      ? result
      : undefined;
  } catch {
    return undefined;
  }
}
