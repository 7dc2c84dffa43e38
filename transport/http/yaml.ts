// yaml.ts: YAML from strangers: the part of it that says what JSON can say.
//
// YAML is for people who write jobs by hand, so its comforts stay (comments, block text, a few anchors) and its traps are
// refused: keys given twice, several documents in one, tags that make other types, aliases that unfold without end.

import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from 'yaml';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { depth_max } from './json.ts';

/** More than a job can need; the parser takes about a second for a hostile megabyte. */
export const yaml_bytes_max = 262_144;
/** How often aliases may stand for what they name, all together. */
export const aliases_max = 100;

const whole = (message: string, expected: string): Problem => ({ place: '', message, expected });

export function readYaml(text: string): Result<unknown> {
  const read = readPlacedYaml(text);
  return read.ok ? good(read.value.value) : read;
}

/** `placeOf`: line and column (from 1) of what a JSON pointer names, or of the last part of its way that is there. */
export type PlacedYaml = {
  readonly value: unknown;
  readonly placeOf: (pointer: string) => { readonly line: number; readonly column: number };
};

/** The same, for whoever tells people with an editor where something stands. */
export function readPlacedYaml(text: string): Result<PlacedYaml> {
  const deep = bad(whole(`nested more than ${depth_max} levels deep`, `at most ${depth_max} levels`));
  if (Buffer.byteLength(text) > yaml_bytes_max)
    return bad(
      whole(`the document has ${Buffer.byteLength(text)} bytes`, `at most ${yaml_bytes_max} in YAML, or JSON`),
    );
  if (flowDepth(text) > depth_max || indicators.test(text)) return deep;
  const lines = new LineCounter();
  const placeOf = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  let last_alias: number | undefined;
  try {
    const documents = parseAllDocuments(text, {
      version: '1.2',
      schema: 'core',
      // Its own check compares every key with every other: 60,000 keys take it minutes. Ours is below.
      uniqueKeys: false,
      stringKeys: true,
      merge: false,
      prettyErrors: false,
      logLevel: 'silent',
      lineCounter: lines,
    });
    if (!Array.isArray(documents) || documents.length === 0)
      return bad(whole('the document is empty', 'a document with one job'));
    if (documents.length > 1) {
      const message = `there are ${documents.length} documents in one`;
      const place = placeOf(documents[1]!.range[0]);
      return bad({ place, message, expected: 'one document; send each job on its own' });
    }
    const [document] = documents;
    const problems: Problem[] = [...document!.errors, ...document!.warnings].slice(0, 20).map(finding => {
      const place = placeOf(finding.pos[0]);
      return { place, message: `malformed YAML at ${place}: ${finding.message}`, expected: 'YAML 1.2' };
    });
    if (problems.length > 0) return bad(...problems);
    visit(document!, {
      Alias(_key, { range }) {
        last_alias = range?.[0] ?? last_alias;
      },
      Map(_key, map) {
        const keys = new Set<unknown>();
        for (const { key } of map.items) {
          if (!isScalar(key)) continue;
          const refused = keys.has(key.value) ? 'is given twice' : key.value === '__proto__' ? 'is not accepted' : '';
          keys.add(key.value);
          if (refused === '') continue;
          const place = placeOf(key.range?.[0] ?? 0);
          const message = `malformed YAML at ${place}: the key ${JSON.stringify(key.value)} ${refused}`;
          problems.push({ place, value: key.value, message, expected: 'each key once' });
          if (problems.length === 20) return visit.BREAK;
        }
        return undefined;
      },
    });
    if (problems.length > 0) return bad(...problems);
    const value: unknown = document!.toJS({ maxAliasCount: aliases_max });
    if (!depthBelow(value, depth_max)) return deep;
    return good({
      value: plain(value),
      placeOf(pointer) {
        const { line, col } = lines.linePos(offsetOf(document!, pointer));
        return { line, column: col };
      },
    });
  } catch (error) {
    // The library recurses: what is too deep for the stack ends here, as does an alias bomb, which it refuses itself.
    if (error instanceof RangeError) return deep;
    const message = error instanceof Error ? error.message : String(error);
    const expected = `YAML 1.2 with at most ${aliases_max} uses of aliases`;
    if (last_alias === undefined) return bad(whole(`malformed YAML: ${message}`, expected));
    const place = placeOf(last_alias);
    return bad({ place, message: `malformed YAML at ${place}: ${message}`, expected });
  }
}

/** Where a key stands, or an entry of a list; what an alias stands for is where it was written. */
function offsetOf(document: Document.Parsed, pointer: string): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  const steps = pointer === '' ? [] : pointer.slice(1).split('/');
  for (const step of steps.map(each => each.replaceAll('~1', '/').replaceAll('~0', '~'))) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
      if (pair === undefined) break;
      offset = (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      if (node === undefined) break;
      offset = (node as { range?: readonly [number, number, number] | null }).range?.[0] ?? offset;
    } else break;
  }
  return offset;
}

/** A line that opens more lists, keys or anchors than any document has levels. */
const indicators = /^[ \t]*(?:(?:[-?:]|[&!]\S*)[ \t]+){65}/m;

/** How deep flow brackets stand open at most: seen before the parser, which would walk into all of them. */
function flowDepth(text: string): number {
  let open = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x5b || char === 0x7b) deepest = Math.max(deepest, ++open);
    else if (char === 0x5d || char === 0x7d) open = Math.max(0, open - 1);
    // Brackets inside a line of shell script open and close at will; a flow collection as deep as that is on few lines.
    else if (char === 0x0a && open <= depth_max && deepest <= depth_max) open = Math.max(0, open - 1);
  }
  return deepest;
}

function depthBelow(value: unknown, left: number): boolean {
  if (value === null || typeof value !== 'object') return true;
  return left > 0 && Object.values(value).every(each => depthBelow(each, left - 1));
}

/** A tree of its own: aliases make one object stand in several places. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
