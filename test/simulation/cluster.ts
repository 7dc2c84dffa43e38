// cluster.ts: an hour in the life of a whole cluster, from one seed: three nodes, three servers of ZooKeeper, one Mesos with
// its agents, people, and everything that goes wrong between them.
//
// Only what lies outside of Horae is simulated; the nodes are the real ones. Then all is made whole, a while passes, and
// the books are compared: what the log holds, what really ran, what people were told, what was due, and what each node has.

import { seededRandom } from '../../actors/runtime/seeded.ts';
import { defaultSettings } from '../../settings.ts';
import { createAgenda } from './agenda.ts';
import { type Bug, bugs } from './bugs.ts';
import { createEnsemble } from './ensemble.ts';
import { planFaults } from './faults.ts';
import { keepLedger, type Ledger } from './ledger.ts';
import { createMachine } from './machine.ts';
import { createMesos } from './mesos.ts';
import { createNetwork } from './network.ts';
import { cluster_path, createNode, type Meddling, type SimulatedNode } from './node.ts';
import { createExchange } from './office.ts';
import { createPeople } from './people.ts';
import { createReceivers, talkative } from './receivers.ts';
import { compareBooks, decidedBy, isOver } from './reckoning.ts';
import { type Truth, watchTruth } from './truth.ts';
import { endsOf, rolling } from './updates.ts';

export type Options = {
  readonly seed: number;
  /** How long things go wrong; the mending comes on top of it. */
  readonly minutes?: number;
  readonly faults?: boolean;
  readonly bug?: Bug;
  /** Whether people update services meanwhile; true when left out. */
  readonly updates?: boolean;
  /** Whether somebody is told what becomes of jobs; of every fourth seed when left out. */
  readonly letters?: boolean;
  readonly trace?: (line: string) => void;
};
export type Report = {
  readonly seed: number;
  /** What was wrong; empty when everything held. */
  readonly violations: readonly string[];
  readonly simulated_ms: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly commands: Readonly<Record<string, number>>;
  /** Rolling updates by the status in which they ended. */
  readonly updates: Readonly<Record<string, number>>;
  readonly reigns: number;
  readonly records: number;
  readonly targets: number;
  readonly launches: number;
  readonly entries: number;
  /** Letters to people. */
  readonly letters: number;
};

const start = Date.UTC(2026, 0, 1, 0, 0, 20, 137);
const minute = 60_000;
const node_count = 3;
const agent_count = 3;
const quartz_error = 2e-4;
/** After everything is whole: until somebody leads, and everything that is due has been decided. */
const bound_ms = 2 * minute;
/** Until every update that nobody holds up has come to its end, or back to its beginning. */
const rolling_ms = 40 * minute;
/** Until all that was begun has ended; and a while after that, in which nothing may begin. */
const end_ms = 40 * minute;
const quiet_ms = 3 * minute;
const look_ms = 10_000;
const violations_max = 20;

export async function simulate(options: Options): Promise<Report> {
  const { seed, minutes = 60, faults: faulty = true, bug, updates = true, letters = seed % 4 === 1, trace } = options;
  const random = seededRandom(seed ^ 0xc1057e6);
  /** Each has chance of its own, so that a change in one does not make another world of all the others. */
  const chance = () => seededRandom(Math.floor(random() * 2 ** 32));
  const agenda = createAgenda(start);
  const violations: string[] = [];
  let lastFault = () => 'nothing';
  const wrong = (what: string) => {
    const line = `${new Date(agenda.now()).toISOString()} after "${lastFault()}": ${what}`;
    trace?.(`WRONG ${line}`);
    if (violations.length < violations_max) violations.push(line);
  };
  const network = createNetwork(agenda, chance());
  const ensemble = createEnsemble(agenda, network, chance());
  const ledger: Ledger = keepLedger(ensemble, agenda.now, wrong);
  const truth: Truth = watchTruth(agenda.now, () => ledger, wrong);
  const { fleet, host, link } = createMesos(agenda, network, chance(), agent_count, {
    launched: (task, agent) => truth.launched(task, agent, fleet.launches(task.task_id.value)),
    ended: truth.ended,
  });
  let faults: ReturnType<typeof planFaults> | undefined;
  const planted: Meddling = bug === undefined ? {} : bugs[bug];
  const settings = {
    ...defaultSettings(),
    segments_per_snapshot: 60,
    failover_timeout_days: 21,
    ...(letters ? talkative : {}),
  };
  const exchange = createExchange(network);
  // By chance of their own: hours without them are what they were before there were any.
  const receivers = createReceivers({ agenda, random: seededRandom(seed ^ 0x1e77e5), ledger, wrong });
  const nodes: SimulatedNode[] = Array.from({ length: node_count }, (_, n) => {
    const name = `node-${n}`;
    const machine = createMachine(agenda, name, (random() * 2 - 1) * quartz_error);
    return createNode(
      {
        agenda,
        network,
        ensemble,
        exchange,
        link,
        settings,
        ...(letters ? { letters: receivers.letters } : {}),
        random: chance(),
        meddling: {
          ...planted,
          zookeeper(zk) {
            const meddled = planted.zookeeper?.(zk) ?? zk;
            return {
              ...meddled,
              multi: operations =>
                faults?.fatal(name, 'before') === true ? new Promise(() => undefined) : meddled.multi(operations),
            };
          },
        },
        complained: (node, line) => wrong(`${node}: ${line}`),
        ...(trace === undefined
          ? {}
          : { trace: (node, line) => trace(`${new Date(agenda.now()).toISOString()} ${node} ${line.trim()}`) }),
      },
      machine,
    );
  });
  ensemble.onCommit(({ place, effects }) => {
    if (place !== undefined && effects.some(({ path }) => path.startsWith(`${cluster_path}/segments/`)))
      faults?.fatal(place, 'after');
  });
  const people = createPeople({
    ...{ agenda, random: chance(), nodes, ledger, truth, wrong },
    ...(updates ? { updates: seededRandom(seed ^ 0xbda7e) } : {}),
  });
  const plan = planFaults({ agenda, random: chance(), network, ensemble, nodes, fleet, truth });
  faults = plan;
  lastFault = plan.last;

  const until = async (instant: number) => {
    while (agenda.now() < instant && violations.length === 0)
      await agenda.until(Math.min(instant, agenda.now() + look_ms));
  };
  for (const node of nodes) node.start();
  people.begin(start + minutes * minute);
  if (faulty) plan.begin(start + minutes * minute);
  await until(start + minutes * minute);
  plan.heal();
  const healed_at = agenda.now();
  await until(healed_at + bound_ms);
  const leading = nodes.filter(node => node.leads());
  if (violations.length === 0) {
    if (leading.length !== 1) wrong(`${leading.length} nodes lead ${bound_ms} ms after everything was whole`);
    decidedBy(ledger, healed_at, wrong);
  }
  const rolled_by = agenda.now() + rolling_ms;
  while (agenda.now() < rolled_by && violations.length === 0 && rolling(ledger).length > 0)
    await until(agenda.now() + look_ms);
  for (const { id, run, status } of rolling(ledger))
    wrong(`update ${id} of ${run} is ${status} ${rolling_ms} ms after everything was whole`);
  for (const [key] of ledger.living('update')) people.insist({ type: 'steer-update', key, what: 'abort' });
  for (const [key] of ledger.living('job')) people.insist({ type: 'delete', key });
  const give_up_at = agenda.now() + end_ms;
  while (agenda.now() < give_up_at && violations.length === 0 && !isOver({ ledger, truth, people, nodes }))
    await until(agenda.now() + look_ms);
  await until(agenda.now() + quiet_ms);
  const targets = violations.length > 0 ? 0 : compareBooks({ ledger, truth, people, nodes, wrong });
  const told = letters && violations.length === 0 ? receivers.reckon() : 0;
  host.close();
  fleet.close();
  for (const node of nodes) node.kill();
  return {
    seed,
    violations,
    simulated_ms: agenda.now() - start,
    faults: Object.fromEntries(plan.counts),
    commands: Object.fromEntries(people.counts),
    updates: endsOf(ledger),
    reigns: ledger.reigns(),
    records: ledger.position(),
    targets,
    launches: truth.launches(),
    entries: agenda.played(),
    letters: told,
  };
}
