// differences.ts: where our Mesos and a real one may differ in the conversations that are held again, and why.
//
// Both lists stand as tables in ARCHITECTURE.md. What is in neither fails.

/** What is put aside in every comparison. */
export const masks: readonly (readonly [what: string, how: string])[] = [
  [
    'ids',
    'of frameworks, agents, offers, inverse offers, masters, streams and updates: one of ours for one of theirs, wherever it stands',
  ],
  ['instants', '`timestamp`, `unreachable_time`: there in both or in neither'],
  ['places', '`ip`, `port`, `pid`, `hostname`, `address`: likewise'],
  ['free text', 'what follows "Failed to launch container: "'],
  [
    'order',
    'of resources and executors within an offer, of agents within an event, of what is said of different tasks',
  ],
  ['echoes', 'an update that Mesos says twice within 100 ms when an agent or a master has come back'],
];

export type Difference = {
  readonly what: string;
  /** Absent: everywhere. */
  readonly recordings?: readonly string[];
  readonly why: string;
};

export const differences = {
  container: {
    what: 'no `container_status`',
    why: 'tasks run in no container here',
  },
  data: {
    what: '`data` in statuses of agents',
    why: 'exit code, signal, pid and times as numbers, which Mesos has nowhere',
  },
  capabilities: {
    what: "no `capabilities` in the master's info",
    why: 'they name operator calls, which this Mesos has not',
  },
  override: {
    what: "a KILL's own policy holds",
    recordings: ['06'],
    why: "Mesos's old command executor passes it over; its other executors obey it (06b, 34), and so do ours",
  },
  truth: {
    what: 'an exit code that outlives its agent',
    recordings: ['20'],
    why: "Mesos's old command executor loses it; replayed with an executor that is killed. What our agents do is 20b",
  },
  lingering: {
    what: 'offers after the end of a group',
    recordings: ['15', '35'],
    why: "Mesos's default executor holds its own resources for a second more; here they are free with its last task",
  },
  crowd: {
    what: 'offers after twenty tasks that end at once',
    recordings: ['40'],
    why: 'which of them share an offer is a matter of milliseconds on the recorded machine',
  },
  operator: {
    what: 'operator endpoints but `/slaves` are 404',
    recordings: ['08', '11', '14', '26', '29', '32'],
    why: 'this is no cluster manager; what an operator does to agents is done by `MasterHost.operate`, and what frameworks hear of it is compared',
  },
  protobuf: {
    what: 'a stream in protobuf is 406',
    recordings: ['30'],
    why: 'JSON alone is spoken',
  },
  followers: {
    what: 'calls to masters that do not lead',
    recordings: ['32'],
    why: 'there is one master and no ZooKeeper; the leader that dies and the one that takes over are played',
  },
} as const satisfies Readonly<Record<string, Difference>>;
export type Reason = keyof typeof differences;
export const all: readonly Difference[] = Object.values(differences);
export const differenceOf = (reason: Reason): Difference => differences[reason];

/** The two tables, as they stand in ARCHITECTURE.md. */
export const tables = (): string => {
  return [
    '| put aside | which is |',
    '|---|---|',
    ...masks.map(([what, how]) => `| ${what} | ${how} |`),
    '',
    '| difference | recordings | why |',
    '|---|---|---|',
    ...all.map(({ what, recordings, why }) => `| ${what} | ${recordings?.join(', ') ?? 'all'} | ${why} |`),
  ].join('\n');
};
