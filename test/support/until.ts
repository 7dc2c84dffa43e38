// until.ts: waiting for something to become true, never for time to pass.
//
// A test that sleeps is either too slow or wrong on a busy machine. It asks again and again instead, and gives up at a
// deadline that is far beyond anything healthy, saying what it waited for.

export const deadline_ms_default = 30_000;
const pause_ms_max = 50;

/** Resolves with the first value of `probe` that is neither undefined nor false. `what` says in the error what never came. */
export async function until<T>(
  what: string | (() => string),
  probe: () => T | Promise<T>,
  deadline_ms = deadline_ms_default,
): Promise<Exclude<T, undefined | false>> {
  const given_up_at = performance.now() + deadline_ms;
  for (let pause_ms = 1; ; pause_ms = Math.min(pause_ms * 2, pause_ms_max)) {
    const value = await probe();
    if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    if (performance.now() > given_up_at)
      throw new Error(`waited ${deadline_ms} ms in vain for ${typeof what === 'string' ? what : what()}`);
    await new Promise(resolve => setTimeout(resolve, pause_ms));
  }
}
