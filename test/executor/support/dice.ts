// dice.ts: chance that can be had again: the same seed, the same throws.

/** Each throw is a whole number from 0 to `most`. */
export function dice(seed: number): (most: number) => number {
  let state = seed >>> 0;
  return most => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * (most + 1));
  };
}
