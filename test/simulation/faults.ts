// faults.ts: everything that goes wrong in a simulated hour, drawn from the seed: what, whom, when and for how long.

import type { Fleet } from '../../mesos/local/simulated-agent.ts';
import type { Agenda } from './agenda.ts';
import type { Ensemble } from './ensemble.ts';
import type { Network } from './network.ts';
import { cluster_path, type SimulatedNode } from './node.ts';
import type { Truth } from './truth.ts';

export type Faults = {
  readonly begin: (until: number) => void;
  /** Everything is whole again, everybody runs. */
  readonly heal: () => void;
  readonly counts: ReadonlyMap<string, number>;
  readonly last: () => string;
  /** Whether this write of a node is its last act: asked before it leaves, and after the servers have ordered it. */
  readonly fatal: (place: string, when: 'before' | 'after') => boolean;
};
export type FaultWorld = {
  readonly agenda: Agenda;
  readonly random: () => number;
  readonly network: Network;
  readonly ensemble: Ensemble;
  readonly nodes: readonly SimulatedNode[];
  readonly fleet: Fleet;
  readonly truth: Truth;
};

const pause_between_ms = 45_000;
const restart_ms_max = 20_000;

export function planFaults({ agenda, random, network, ensemble, nodes, fleet, truth }: FaultWorld): Faults {
  const between = (low: number, high: number) => low + random() * (high - low);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  const counts = new Map<string, number>();
  let last = 'nothing';
  let over = false;
  let doomed: { readonly place: string; readonly when: 'before' | 'after'; writes: number } | undefined;
  let held_up: string | undefined;
  const repairs = new Set<() => void>();

  const repairAfter = (delay_ms: number, repair: () => void) => {
    const once = () => {
      if (repairs.delete(once)) repair();
    };
    repairs.add(once);
    agenda.after(delay_ms, once);
  };
  const names = () => nodes.map(({ machine }) => machine.name);
  const leader = () => nodes.find(node => node.leads());
  /** The leader more often than chance would. */
  const someone = () => (random() < 0.6 ? leader() : undefined) ?? pick(nodes);
  const cutAll = (pairs: readonly (readonly [string, string])[]) => {
    for (const [from, to] of pairs) network.cut(from, to);
    repairAfter(between(1_000, 50_000), () => {
      for (const [from, to] of pairs) network.mend(from, to);
    });
  };
  const bothWays = (left: readonly string[], right: readonly string[]) =>
    left.flatMap(a => right.flatMap(b => [[a, b] as const, [b, a] as const]));
  const startAgain = (node: SimulatedNode) => {
    repairAfter(between(100, restart_ms_max), () => {
      if (!node.running()) node.start();
    });
  };
  const die = (node: SimulatedNode) => {
    node.kill();
    startAgain(node);
  };

  const takePlace = () => {
    const line = ensemble.tree.children(`${cluster_path}/election`) ?? [];
    const first = line.toSorted((a, b) => (a.slice(-10) < b.slice(-10) ? -1 : 1))[0];
    if (first !== undefined) ensemble.remove(`${cluster_path}/election/${first}`);
  };

  const kinds: Readonly<Record<string, () => void>> = {
    'leader cut from ZooKeeper': () => cutAll(bothWays([(leader() ?? pick(nodes)).machine.name], ensemble.names)),
    'leader cut from everybody'() {
      const { name } = (leader() ?? pick(nodes)).machine;
      cutAll(bothWays([name], [...ensemble.names, ...names().filter(other => other !== name), 'mesos']));
    },
    'cluster cut in halves'() {
      const sides: [string[], string[]] = [[], []];
      for (const name of [...names(), ...ensemble.names, 'mesos']) pick(sides).push(name);
      cutAll(bothWays(...sides));
    },
    'one way cut to ZooKeeper'() {
      const { name } = someone().machine;
      cutAll(ensemble.names.map(server => [name, server] as const));
    },
    'one way cut from ZooKeeper'() {
      const { name } = someone().machine;
      cutAll(ensemble.names.map(server => [server, name] as const));
    },
    'one way cut with Mesos'() {
      const { name } = someone().machine;
      cutAll([random() < 0.5 ? [name, 'mesos'] : ['mesos', name]]);
    },
    'cut from Mesos': () => cutAll(bothWays([someone().machine.name], ['mesos'])),
    'servers of ZooKeeper cut apart': () => {
      const [one, ...others] = ensemble.names.toSorted(() => random() - 0.5);
      cutAll(bothWays([one!], others));
    },
    'session expired': () => ensemble.expire(someone().machine.name),
    'place in line taken away': takePlace,
    'write held up until another leads'() {
      held_up = leader()?.machine.name;
    },
    'process stands still'() {
      const { machine } = someone();
      machine.pause();
      repairAfter(between(500, 40_000), () => machine.resume());
    },
    'process killed': () => die(someone()),
    'process stopped'() {
      const node = someone();
      void node.stop();
      startAgain(node);
    },
    'killed before a write': () => doom('before'),
    'killed after a write': () => doom('after'),
    'leadership handed over': () => leader()?.transfer(),
    'slow writes'() {
      ensemble.setCommitMs(between(200, 4_000));
      repairAfter(between(5_000, 60_000), () => ensemble.setCommitMs(3));
    },
    'server of ZooKeeper lags'() {
      const server = pick(ensemble.names);
      ensemble.setLag(server, between(200, 6_000));
      repairAfter(between(5_000, 60_000), () => ensemble.setLag(server, 0));
    },
    'server of ZooKeeper down'() {
      const server = pick(ensemble.names);
      ensemble.kill(server);
      repairAfter(between(1_000, 60_000), () => ensemble.revive(server));
    },
    'majority of ZooKeeper down'() {
      for (const server of ensemble.names.slice(random() < 0.5 ? 1 : 0)) {
        ensemble.kill(server);
        repairAfter(between(1_000, 40_000), () => ensemble.revive(server));
      }
    },
    'slow network'() {
      network.slow(between(50, 1_500));
      repairAfter(between(2_000, 30_000), () => network.slow(0));
    },
    'clock set'() {
      const { machine } = someone();
      machine.setSkew(machine.skew() + between(-120_000, 120_000));
      repairAfter(between(5_000, 120_000), () => machine.setSkew(0));
    },
    'clock wrong': () => someone().machine.setSkew(between(-2_000, 2_000)),
    'agent lost': () => lose(false),
    'agent boots anew': () => lose(true),
  };
  /** The next write of a leader is on its way when its place goes, and arrives when there is a successor. */
  const holdUp = (place: string) => {
    for (const server of ensemble.names) network.cut(place, server);
    takePlace();
    repairAfter(between(500, 2_500), () => {
      for (const server of ensemble.names) network.mend(place, server);
    });
  };
  const doom = (when: 'before' | 'after') => {
    const node = leader();
    if (node !== undefined) doomed = { place: node.machine.name, when, writes: 1 + Math.floor(random() * 6) };
  };
  const gone = new Set<string>();
  const lose = (reboot: boolean) => {
    const agent = pick(fleet.ids);
    if (gone.has(agent)) return;
    gone.add(agent);
    truth.lost(agent, reboot);
    fleet.lose(agent, { reboot });
    repairAfter(between(2_000, 150_000), () => {
      gone.delete(agent);
      truth.back(agent);
      fleet.restore(agent);
    });
  };

  const all = Object.keys(kinds);
  const strike = () => {
    if (over) return;
    last = pick(all);
    counts.set(last, (counts.get(last) ?? 0) + 1);
    kinds[last]!();
    // Now and then the next comes before this one is over, or at once.
    agenda.after(random() < 0.3 ? between(0, 3_000) : between(1_000, 2 * pause_between_ms), strike);
  };
  return {
    begin: () => void agenda.after(between(5_000, 30_000), strike),
    heal() {
      over = true;
      doomed = held_up = undefined;
      network.mendAll();
      for (const repair of [...repairs]) repair();
      for (const node of nodes) {
        node.machine.setSkew(0);
        if (!node.running()) node.start();
      }
    },
    counts,
    last: () => last,
    fatal(place, when) {
      if (held_up === place && when === 'before') {
        held_up = undefined;
        holdUp(place);
      }
      if (doomed?.place !== place || doomed.when !== when || --doomed.writes > 0) return false;
      doomed = undefined;
      const node = nodes.find(({ machine }) => machine.name === place)!;
      die(node);
      return true;
    },
  };
}
