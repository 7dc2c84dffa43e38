// line.ts: who leads, and whom to watch, as a function of the names that stand in line.
//
// Everybody who may lead puts an ephemeral node at the end of a line; ZooKeeper numbers them. The first leads. Everybody
// else watches the one just before, and nobody else: when a node goes, one candidate is woken, not all of them.

/** What a candidate says of itself, in its node. */
export type Candidate = {
  /** Names the node of the cluster, unique among those that run. */
  readonly id: string;
  /** Where its REST API and its console are. */
  readonly http: string;
  /** Where the other nodes reach it. */
  readonly link: string;
  readonly version: string;
};

/** Where we stand: at the head, behind the node `before`, or not in the line at all. */
export type Place =
  | { readonly at: 'head' }
  | { readonly at: 'behind'; readonly before: string; readonly head: string }
  | { readonly at: 'nowhere' };

const name_pattern = /^candidate-([0-9a-f]{16})-(-?\d{10,11})$/;

/** What a name begins with; the nonce tells whose it is when the answer to its creation was lost. */
export const prefixOf = (nonce: string): string => `candidate-${nonce}-`;

/** The names that are candidates', first of the line first; what others put there is left out. */
export function lineOf(names: readonly string[]): string[] {
  const numbered = names.flatMap(name => {
    const number = name_pattern.exec(name)?.[2];
    return number === undefined ? [] : [{ name, number: Number(number) }];
  });
  return numbered.sort((a, b) => a.number - b.number).map(({ name }) => name);
}

/** Names of the candidate with this nonce. More than one when a creation was repeated and both came to be: the first counts. */
export const namesOf = (names: readonly string[], nonce: string): string[] =>
  lineOf(names).filter(name => name_pattern.exec(name)?.[1] === nonce);

export function placeOf(names: readonly string[], mine: string): Place {
  const line = lineOf(names);
  const index = line.indexOf(mine);
  if (index < 0) return { at: 'nowhere' };
  return index === 0 ? { at: 'head' } : { at: 'behind', before: line[index - 1]!, head: line[0]! };
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();
export const packCandidate = (candidate: Candidate): Uint8Array => encoder.encode(JSON.stringify(candidate));

/** undefined for what is not a candidate's. */
export function unpackCandidate(data: Uint8Array): Candidate | undefined {
  try {
    const { id, http, link, version } = JSON.parse(decoder.decode(data)) as Partial<Candidate>;
    const all = [id, http, link, version].every(part => typeof part === 'string');
    return all ? ({ id, http, link, version } as Candidate) : undefined;
  } catch {
    return undefined;
  }
}

/** Whom the others are asked to let go first, in the data of the line's own node. */
export const packWish = (to: string | undefined): Uint8Array =>
  to === undefined ? new Uint8Array() : encoder.encode(JSON.stringify({ to }));
export function unpackWish(data: Uint8Array): string | undefined {
  if (data.length === 0) return undefined;
  try {
    const { to } = JSON.parse(decoder.decode(data)) as { to?: unknown };
    return typeof to === 'string' ? to : undefined;
  } catch {
    return undefined;
  }
}
