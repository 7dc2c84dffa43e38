// plan.ts: what goes wrong during a chaos run, and for how long, drawn from its seed.
//
// Think of a pack of cards: every kind of fault lies in it once, it is dealt to the end and shuffled again. So a run that
// is long enough meets each kind, in an order that its seed decides. Pure; the machine decides how far the cluster has
// come when a card falls, so a seed repeats the plan and not every detail.

export type Whom = 'leader' | 'standby';
/**
 * `break`: connections end, and new ones are taken. `cut`: and are refused. `stall`: they stay, and nothing passes; `mute`:
 * what the node says is lost, and it still hears; `deaf`: the other way round.
 */
export type Harm = 'break' | 'cut' | 'stall' | 'mute' | 'deaf';
export type Fault =
  /** SIGKILL; it is started again after that time. */
  | { readonly kind: 'kill-leader' | 'kill-standby'; readonly for_ms: number }
  /** SIGSTOP, for longer than a session lasts. */
  | { readonly kind: 'pause-leader' | 'pause-standby'; readonly for_ms: number }
  /** SIGSTOP at the moment when ZooKeeper has a commit that places an instance, and the leader does not know it yet. */
  | { readonly kind: 'pause-before-accept'; readonly for_ms: number }
  | { readonly kind: 'kill-member'; readonly member: number; readonly for_ms: number }
  | { readonly kind: 'pause-member'; readonly member: number; readonly for_ms: number }
  /** All ZooKeeper servers at once; and a leader that dies while there are none. */
  | { readonly kind: 'kill-quorum' | 'kill-leader-in-the-dark'; readonly for_ms: number }
  /** Every node at once: nobody is left to notice. */
  | { readonly kind: 'kill-nodes'; readonly for_ms: number }
  /** A leader that reaches neither ZooKeeper nor Mesos, and is reached by people still. */
  | { readonly kind: 'isolate-leader'; readonly for_ms: number }
  /** The cable of its machine is out: nobody reaches it, and the kernels at both ends wait for it to come back. */
  | { readonly kind: 'unplug-leader' | 'unplug-standby'; readonly for_ms: number }
  | { readonly kind: 'cut-zookeeper'; readonly whom: Whom; readonly harm: Harm; readonly for_ms: number }
  | { readonly kind: 'cut-mesos'; readonly harm: Harm; readonly for_ms: number }
  /** The links of the other nodes with the leader, over which they carry what they are asked to do. */
  | { readonly kind: 'cut-links'; readonly harm: Harm; readonly for_ms: number }
  /** Mesos with all its agents; tasks live on and are adopted. */
  | { readonly kind: 'kill-mesos'; readonly for_ms: number }
  /** Leadership handed over as a person would. */
  | { readonly kind: 'transfer'; readonly for_ms: number };
export type Kind = Fault['kind'];

export const kinds: readonly Kind[] = [
  'kill-leader',
  'kill-standby',
  'pause-leader',
  'pause-standby',
  'pause-before-accept',
  'kill-member',
  'pause-member',
  'kill-quorum',
  'kill-leader-in-the-dark',
  'kill-nodes',
  'isolate-leader',
  'unplug-leader',
  'unplug-standby',
  'cut-zookeeper',
  'cut-mesos',
  'cut-links',
  'kill-mesos',
  'transfer',
];
/** Those that take a machine for each node. */
export const machine_kinds: readonly Kind[] = ['unplug-leader', 'unplug-standby'];
export type Step = {
  readonly fault: Fault;
  /** Until the next fault, counted from the end of this one. */
  readonly rest_ms: number;
  /** Whether the next one waits until somebody leads; else it may fall into the middle of a failover. */
  readonly calm: boolean;
};

type Chance = () => number;
export const members = 3;
const rest_ms_max = 6_000;
const calm_share = 0.75;
/** Beyond the session's end: long enough that another node has taken over. */
const beyond_ms = { min: 1_500, max: 8_000 };

export function* plan(chance: Chance, session_ms: number, among: readonly Kind[] = kinds): Generator<Step, void> {
  if (among.length === 0) return;
  for (;;)
    for (const kind of shuffled(among, chance))
      yield {
        fault: faultOf(kind, chance, session_ms),
        rest_ms: between(chance, 0, rest_ms_max),
        calm: chance() < calm_share,
      };
}

function faultOf(kind: Kind, chance: Chance, session_ms: number): Fault {
  const beyond = () => session_ms + between(chance, beyond_ms.min, beyond_ms.max);
  const brief = () => between(chance, 200, session_ms / 2);
  switch (kind) {
    case 'kill-leader':
    case 'kill-standby':
      return { kind, for_ms: between(chance, 500, session_ms * 1.2) };
    case 'pause-leader':
    case 'pause-before-accept':
    case 'isolate-leader':
    case 'unplug-leader':
      return { kind, for_ms: beyond() };
    case 'pause-standby':
    case 'unplug-standby':
      return { kind, for_ms: chance() < 0.5 ? brief() : beyond() };
    case 'kill-member':
    case 'pause-member':
      return { kind, member: between(chance, 0, members - 1), for_ms: between(chance, 1_000, session_ms) };
    case 'kill-quorum':
    case 'kill-leader-in-the-dark':
    case 'kill-nodes':
      return { kind, for_ms: between(chance, 500, session_ms * 1.5) };
    case 'cut-zookeeper': {
      const harm = harmOf(chance);
      return { kind, harm, whom: chance() < 0.7 ? 'leader' : 'standby', for_ms: chance() < 0.5 ? brief() : beyond() };
    }
    case 'cut-links':
      return { kind, harm: harmOf(chance), for_ms: beyond() };
    case 'cut-mesos':
      return { kind, harm: harmOf(chance), for_ms: brief() };
    case 'kill-mesos':
      return { kind, for_ms: between(chance, 200, 5_000) };
    case 'transfer':
      return { kind, for_ms: 0 };
  }
}

const harms: readonly Harm[] = ['break', 'cut', 'stall', 'mute', 'deaf'];
const harmOf = (chance: Chance): Harm => harms[between(chance, 0, harms.length - 1)]!;
/** Whole numbers, both ends among them. */
const between = (chance: Chance, low: number, high: number) => Math.floor(low + chance() * (high - low + 1));

function shuffled<T>(list: readonly T[], chance: Chance): readonly T[] {
  const left = [...list];
  return list.map(() => left.splice(Math.floor(chance() * left.length), 1)[0]!);
}
