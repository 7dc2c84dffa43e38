// modules.ts: which files a program needs, and what they look like without their types.
//
// A suitcase is packed by following the imports from the first file on. Nothing but Node's own modules may be left outside.

/** Relative imports and re-exports that are still there at run time. */
export function importsOf(text: string): readonly string[] {
  const statements = /^(?:import|export)\s+(?!type\s)(?:[^'"`;()=]*?\sfrom\s+)?'([^']+)'/gm;
  return [...text.matchAll(statements)].map(match => match[1]!);
}

/** The same text with its imports pointing at the files that are packed, which are JavaScript. */
export const asPacked = (text: string): string =>
  text.replace(/^((?:import|export)\s+(?:[^'"`;()=]*?\sfrom\s+)?'\.[^']*)\.ts'/gm, "$1.js'");
