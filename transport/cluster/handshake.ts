// handshake.ts: how two nodes of one cluster come to know each other over a wire that anybody may have touched.
//
// Think of two guards who share a word and must not say it aloud. Each throws the other a number that was never used
// before; each answers with what only somebody who knows the word could make of both numbers. A recording of an old
// conversation is worth nothing, since the numbers are new; a mirror is worth nothing, since the two sides answer
// differently. From the same numbers both derive the keys that mark every later frame, each direction with its own.
//
//   caller  -> hello      who I am, my number
//   callee  -> challenge  who I am, my number, my proof
//   caller  -> proof      my proof
//   callee  -> the first sealed frame
//
// Pure: numbers are arguments, messages are values.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Packr } from 'msgpackr';
import { bad, good, type Result } from '../../schedules/problem.ts';

/** The protocol that this program speaks. Nodes that speak another are told so and turned away. */
export const protocol = 1;

/** What a node says of itself. */
export type Introduction = {
  readonly protocol: number;
  /** Of the program: for people. */
  readonly version: string;
  /** Names the cluster, so that a node of another one is not taken for ours. */
  readonly cluster: string;
  readonly id: string;
  /** Requests that may be under way towards it. */
  readonly window: number;
  /** 32 bytes that were never used before. */
  readonly nonce: Uint8Array;
};
export type Hello = { readonly type: 'hello' } & Introduction;
export type Challenge = { readonly type: 'challenge' } & Introduction & { readonly proof: Uint8Array };
export type Proof = { readonly type: 'proof'; readonly proof: Uint8Array };
/** Why a node is turned away: said before it is, since whoever set it up wrongly must be able to find out. */
export type TurnedAway = { readonly type: 'turned-away'; readonly why: string };

/** Marks what this side sends, and checks what the other sends. */
export type Keys = { readonly ours: Uint8Array; readonly theirs: Uint8Array };
export type Known = { readonly peer: Introduction; readonly keys: Keys };

export const nonce_bytes = 32;
const id_sane = /^[\x21-\x7e]{1,200}$/;
const packr = new Packr({ useRecords: false });

/** The callee's answer to a hello; or why it has none. */
export function challengeFor(key: Uint8Array, us: Introduction, hello: Hello): Result<Challenge> {
  const unfit = unfitness(us, hello);
  if (unfit !== undefined) return refuse(unfit);
  return good({ type: 'challenge', ...us, proof: mac(key, 'callee', transcriptOf(hello, us)) });
}

/** The caller's answer to a challenge, and what it knows then. */
export function proofFor(key: Uint8Array, us: Introduction, challenge: Challenge): Result<Known & { proof: Proof }> {
  const unfit = unfitness(us, challenge);
  if (unfit !== undefined) return refuse(unfit);
  const transcript = transcriptOf(us, challenge);
  if (!same(challenge.proof, mac(key, 'callee', transcript))) return refuse(wrong_key);
  const proof: Proof = { type: 'proof', proof: mac(key, 'caller', transcript) };
  const keys = { ours: mac(key, 'from caller', transcript), theirs: mac(key, 'from callee', transcript) };
  return good({ peer: introductionOf(challenge), keys, proof });
}

/** What the callee knows when the caller's proof holds. */
export function knownBy(key: Uint8Array, us: Introduction, hello: Hello, { proof }: Proof): Result<Known> {
  const transcript = transcriptOf(hello, us);
  if (!same(proof, mac(key, 'caller', transcript))) return refuse(wrong_key);
  const keys = { ours: mac(key, 'from callee', transcript), theirs: mac(key, 'from caller', transcript) };
  return good({ peer: introductionOf(hello), keys });
}

const wrong_key = 'the proof is wrong: expected the same cluster key on every node (--cluster-key-file)';

function unfitness(us: Introduction, them: Introduction): string | undefined {
  if (them.protocol !== us.protocol)
    return [
      `node ${them.id} of version ${them.version} speaks protocol ${them.protocol}`,
      `expected ${us.protocol}, as version ${us.version} does`,
    ].join(': ');
  if (them.cluster !== us.cluster)
    return `node ${them.id} belongs to cluster ${them.cluster}: expected one of cluster ${us.cluster}`;
  if (them.id === us.id) return `two nodes call themselves ${us.id}: expected an id of its own for each`;
  return undefined;
}

/** Both introductions, the caller's first, as bytes that no other pair has. */
function transcriptOf(caller: Introduction, callee: Introduction): Uint8Array {
  return packr.pack([fieldsOf(caller), fieldsOf(callee)]);
}
const fieldsOf = ({ protocol, version, cluster, id, window, nonce }: Introduction) => [
  protocol,
  version,
  cluster,
  id,
  window,
  Buffer.from(nonce).toString('hex'),
];
const introductionOf = ({ protocol, version, cluster, id, window, nonce }: Introduction): Introduction => ({
  protocol,
  version,
  cluster,
  id,
  window,
  nonce,
});

/** What somebody who knows `key` makes of a text, for one purpose. */
export function mac(key: Uint8Array, purpose: string, text: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(`horae ${purpose}\0`).update(text).digest();
}

/** Whether two proofs are one; takes as long for a near miss as for a far one. */
export const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

// --- reading what strangers send ------------------------------------------------------------------------------------

/** A message of the handshake, or undefined for anything else. */
export function readGreeting(value: unknown): Hello | Challenge | Proof | TurnedAway | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, why, proof, protocol, version, cluster, id, window, nonce } = value as Record<string, unknown>;
  if (type === 'turned-away') return typeof why === 'string' ? { type, why: why.slice(0, 1_000) } : undefined;
  const proven = proof instanceof Uint8Array && proof.length === 32 ? proof : undefined;
  if (type === 'proof') return proven === undefined ? undefined : { type, proof: proven };
  if (type !== 'hello' && type !== 'challenge') return undefined;
  if (typeof protocol !== 'number' || !isSane(version) || !isSane(cluster) || !isSane(id)) return undefined;
  if (typeof window !== 'number' || !Number.isInteger(window) || window < 1) return undefined;
  if (!(nonce instanceof Uint8Array) || nonce.length !== nonce_bytes) return undefined;
  const who = { protocol, version, cluster, id, window, nonce };
  if (type === 'hello') return { type, ...who };
  return proven === undefined ? undefined : { type, ...who, proof: proven };
}

const isSane = (text: unknown): text is string => typeof text === 'string' && id_sane.test(text);

const refuse = (message: string) => bad({ place: 'handshake', message, expected: 'a node of this cluster' });
