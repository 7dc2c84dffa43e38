// hash.ts: a number that only a text decides.
//
// Spreading load wants chance, repeating a decision wants none: a hash of the job's key gives both. It is FNV-1a with a
// last stir (its low bits alone are poor), written out here because these numbers decide when jobs run: no runtime or
// library update may move them.

/** A whole number from 0 to 2^32 - 1. */
export function stableHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
