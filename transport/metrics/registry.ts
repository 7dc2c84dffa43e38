// registry.ts: the name of every metric, told once.
//
// A metric that is not in this list does not exist: code that counts under another name does not compile, or throws when
// the name came as data. The table in the documentation is printed from here, so it cannot fall behind.

export type Declaration = {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly unit: string;
  /** Upper bounds of a histogram's buckets; +Inf is understood. */
  readonly buckets?: readonly number[];
};

const counter = <const L extends readonly string[]>(unit: string, labels: L, help: string) =>
  ({ type: 'counter', unit, labels, help }) as const;
const gauge = <const L extends readonly string[]>(unit: string, labels: L, help: string) =>
  ({ type: 'gauge', unit, labels, help }) as const;
const histogram = <const L extends readonly string[]>(
  unit: string,
  labels: L,
  buckets: readonly number[],
  help: string,
) => ({ type: 'histogram', unit, labels, buckets, help }) as const;

const seconds_fine = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600,
] as const;
const sizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000] as const;

// biome-ignore format: one metric, one line, so that the list can be read down its columns.
export const registry = {
  horae_build_info: gauge('constant 1', ['version', 'node'], 'The running version, in labels.'),
  horae_start_time_seconds: gauge('seconds since 1970', [], 'When this process began.'),

  horae_jobs: gauge('jobs', [], 'Jobs that exist.'),
  horae_task_health: gauge('tasks', ['health'], 'Live tasks with health checks, as their executors last said: well, sick (or not well yet), snoozed.'),
  horae_instances: gauge('instances', ['status'], 'Instances of active runs, by where they stand.'),
  horae_waiting_instances: gauge('instances', [], 'Instances waiting for an offer.'),
  horae_timetable_armed: gauge('jobs', [], 'Jobs with a next target in the timetable.'),
  horae_targets_total: counter('targets', ['outcome'], 'Targets decided, by outcome: ran, caught-up, missed, superseded, skipped, backfilled.'),
  horae_tokens_forgotten_total: counter('tokens', [], "Runs of parents that were forgotten because too many waited for those of a job's other parents."),
  horae_starts_dropped_total: counter('starts', ['why'], 'Manual starts that an overlap policy or a deletion dropped.'),
  horae_runs_total: counter('runs', ['outcome'], 'Runs that ended, by outcome.'),
  horae_job_updates_total: counter('updates', ['status'], 'Rolling updates that ended, by the status in which they did.'),
  horae_attempts_total: counter('attempts', ['outcome'], 'Attempts that ended, by outcome.'),
  horae_timeouts_total: counter('instances', ['which'], 'Instances that took too long, by the time-out: start, run, total, call-back.'),
  horae_start_lag_seconds: histogram('seconds', [], seconds_fine, 'From the nominal instant of a target to the start of its first process, as the agent records it.'),

  horae_notices_total: counter('notices', ['channel', 'event'], 'Notices that came in for a channel, by what they tell of.'),
  horae_notices_left_out_total: counter('notices', ['channel'], 'Notices that were dropped because too many waited for the channel.'),
  horae_notices_waiting: gauge('notices', ['channel'], 'Notices that wait to be put into a letter.'),
  horae_letters_total: counter('letters', ['channel', 'result'], 'What came of attempts to deliver letters: delivered, failed, refused; dead: given up.'),
  horae_letters_waiting: gauge('letters', ['channel'], 'Letters that were not delivered yet.'),
  horae_letters_dead: gauge('letters', ['channel'], 'Letters that were given up, and are kept.'),

  horae_placement_attempts_total: counter('instances', [], 'Instances looked at in rounds of placement.'),
  horae_placements_total: counter('instances', [], 'Instances given a host.'),
  horae_vetoes_total: counter('groups', ['code'], 'Groups of equal instances that found no host in a round, by reason.'),
  horae_offers_open: gauge('offers', [], 'Offers held now.'),
  horae_offers_received_total: counter('offers', [], 'Offers received.'),
  horae_offers_declined_total: counter('offers', [], 'Offers given back unused.'),
  horae_offers_rescinded_total: counter('offers', [], 'Offers that Mesos took back.'),

  horae_events_ignored_total: counter('events', [], 'Events of Mesos put aside: of an unknown type, or not whole.'),
  horae_calls_total: counter('calls', ['type', 'answer'], 'Calls made to Mesos, by type and by how they were answered.'),
  horae_updates_total: counter('updates', ['state'], 'Task status updates received, by state.'),
  horae_acknowledgements_total: counter('updates', [], 'Task status updates acknowledged.'),
  horae_reconciliations_total: counter('rounds', [], 'Rounds in which Mesos was asked what it knows of our tasks.'),
  horae_mesos_subscribed: gauge('1 or 0', [], 'Whether a master has us as its framework at present.'),
  horae_resubscriptions_total: counter('subscriptions', [], 'Times the subscription was made anew after a break.'),

  horae_serverset_writable: gauge('1 or 0', [], 'Whether the ServerSets in ZooKeeper are being kept by this node at present.'),
  horae_serverset_members: gauge('members', [], 'Members in ServerSets, as last written or read.'),
  horae_serverset_lists_waiting: gauge('lists', [], 'ServerSets that wait to be written.'),
  horae_serverset_writes_total: counter('lists', ['answer'], 'ServerSets written, and failed attempts.'),
  horae_serverset_withdrawals_total: counter('tasks', ['answer'], 'Tasks taken off their ServerSet before their end: gone, or late (ended while they may still be in it).'),
  horae_serverset_withdrawal_seconds: histogram('seconds', [], seconds_fine, 'How long the end of a task waited for that.'),

  horae_journal_commit_seconds: histogram('seconds', [], seconds_fine, 'From handing a batch to the journal until it is durable.'),
  horae_journal_batch_records: histogram('records', [], sizes, 'Records in one commit.'),
  horae_journal_records_total: counter('records', [], 'Records made durable.'),

  horae_leading: gauge('1 or 0', [], 'Whether this node of a cluster leads.'),
  horae_epoch: gauge('reigns', [], 'The reign that this node began last; 0 when it has not led since it was started.'),
  horae_node_parts_total: counter('changes', ['part'], 'Times this node of a cluster took another part: connecting, standing, taking-over, leading, leaving, felling.'),
  horae_node_links: gauge('links', [], 'Other nodes that have linked themselves with this one.'),
  horae_cluster_journal_bytes: gauge('bytes', [], 'What the journal takes in ZooKeeper, as the leader counts it.'),

  horae_actor_crashes_total: counter('crashes', ['actor'], 'Crashes of actors, by kind.'),
  horae_tree_restarts_total: counter('restarts', [], 'Times the tree of actors was planted again after a singleton crashed.'),
  horae_quarantined: gauge('jobs', [], 'Jobs put aside because they crashed twice.'),

  horae_http_requests_total: counter('requests', ['route', 'method', 'status'], 'HTTP requests answered.'),
  horae_http_request_seconds: histogram('seconds', [], seconds_fine, 'From the head of a request to the end of its answer; followed logs are left out.'),
  horae_http_refused_total: counter('requests', ['why'], 'Requests turned away at the door, by reason.'),
  horae_console_sockets: gauge('sockets', [], 'Consoles connected.'),
  horae_console_resnapshots_total: counter('snapshots', [], 'Times a slow console was sent the whole picture anew.'),
  horae_log_followers: gauge('streams', [], 'Logs being followed.'),
  horae_task_sessions: gauge('sessions', [], 'Commands being run in tasks.'),

  horae_cassandra_connected: gauge('1 or 0', [], 'Whether there is a Cassandra (--cassandra) to which this node writes history.'),
  horae_cassandra_waiting: gauge('entries', [], 'What waits in memory for Cassandra; what does not fit is read again from disk.'),
  horae_cassandra_lag_seconds: gauge('seconds', [], 'How old the oldest is that may not be in Cassandra; 0 when all is.'),
  horae_cassandra_rows_total: counter('rows', ['answer'], 'Rows of history for Cassandra: written, expired (older than they are kept), or refused.'),

  horae_graphite_connected: gauge('1 or 0', [], 'Whether a Graphite server (--graphite) has a connection with us.'),
  horae_graphite_lines_waiting: gauge('lines', [], 'Lines for Graphite that have not left, or of which it is not sure.'),
  horae_graphite_lines_total: counter('lines', ['what'], 'Lines for Graphite: sent, or dropped because too many waited.'),

  process_cpu_seconds_total: counter('seconds', [], 'CPU time of this process, user and system.'),
  process_resident_memory_bytes: gauge('bytes', [], 'Resident memory of this process.'),
  nodejs_heap_used_bytes: gauge('bytes', [], 'JavaScript heap in use.'),
  nodejs_eventloop_delay_p50_seconds: gauge('seconds', [], 'Median delay of the event loop since the last scrape.'),
  nodejs_eventloop_delay_p99_seconds: gauge('seconds', [], '99th percentile of the delay of the event loop since the last scrape.'),
  nodejs_eventloop_delay_max_seconds: gauge('seconds', [], 'Longest delay of the event loop since the last scrape.'),
} as const satisfies Readonly<Record<string, Declaration>>;

export type MetricName = keyof typeof registry;
/** The names of one type of metric. */
export type NamesOf<T extends Declaration['type']> = {
  [N in MetricName]: (typeof registry)[N]['type'] extends T ? N : never;
}[MetricName];
/** The labels that a metric asks for, each with a text. */
export type LabelsOf<N extends MetricName> = Readonly<Record<(typeof registry)[N]['labels'][number], string>>;

/** Every metric as a table in Markdown, for the documentation. */
export function metricsTable(): string {
  const rows = Object.entries(registry).map(
    ([name, { type, unit, labels, help }]) => `| \`${name}\` | ${type} | ${unit} | ${labels.join(', ')} | ${help} |`,
  );
  return ['| metric | type | unit | labels | what it says |', '|---|---|---|---|---|', ...rows, ''].join('\n');
}
