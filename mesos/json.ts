// json.ts: what somebody else wrote as JSON, which may be anything.

/** Undefined for what is no JSON at all. */
export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
