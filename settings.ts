// settings.ts: everything that can be set, and every limit on what waits, in one list.
//
// An entry of the list is all there is to say about a setting: its group, default, range, unit and one sentence. Its
// flag (`--offer-hold-ms`), its variable (`HORAE_OFFER_HOLD_MS`), its key in horae.yaml (`offer-hold-ms`), its type in
// `Settings` and its lines in `--help` follow from the entry, so adding a setting is adding a line. A flag goes before
// the variable, the variable before the file, the file before the default. Reading is pure: texts in, settings or all
// problems at once out.

import { bad, type Problem, type Result } from './schedules/problem.ts';
import { agentSettings } from './transport/cli/agent-settings.ts';
import { fromChronos, notesOnVariables } from './transport/cli/chronos-options.ts';
import {
  address,
  choice,
  file,
  list,
  number,
  path,
  peer,
  resources,
  type SettingsOf,
  text,
  whole,
  yes,
  zone,
} from './transport/cli/setting.ts';
import { shownOf, withoutTyped } from './transport/cli/setting-shown.ts';
import {
  defaultsOf,
  type Environment,
  flagOf,
  helpOf,
  namedFile,
  readList,
  unknownVariables as unknownIn,
} from './transport/cli/settings-reader.ts';

// The headings of --help.
const general = 'General';
const server = 'Listening, and who may come in';
const clients = 'Limits on clients';
const agent = "This machine as an agent (horae dev), and what a task's executor takes";
const cluster = 'Which Mesos, and who we are there (horae serve, horae doctor)';
const nodes = 'Several nodes as one scheduler (horae serve --zk)';
const discovery = 'Services that are found in ZooKeeper (ServerSets)';
const mesos = 'The conversation with Mesos';
const placement = 'Offers and placement';
const instances = 'Retries, restarts, kills';
const timetable = 'Jobs, due times, runs';
const chronos = 'Jobs that come by the API of Chronos';
const notices = 'Who is told what becomes of jobs';
const channels = 'How people are told of jobs: mail, chat, Sentry, webhooks';
const journal = 'The journal and history';
const supervision = 'Supervision';
const graphite = 'Figures for Graphite';
const cassandra = 'History in Cassandra, in the tables of Chronos';

// What may stand in a template of a letter: names that actors/model/letter-template.ts fills in.
const template_names = 'job|name|event|reason|command|host|task|run|attempt|attempts|owner|at|link|log|cluster';
const template_words = `text with names in double braces: ${template_names.replaceAll('|', ', ')}`;
const template_form = new RegExp(`^(?:(?!\\{\\{)[^]|\\{\\{\\s*(?:${template_names})\\s*\\}\\}){1,8192}$`);

/** Every setting there is. Units and bounds come last in a name; a limit's sentence says what happens when it is reached. */
// biome-ignore format: one setting, one line, so that the list can be read down its columns.
export const settings = {
  config: file({ group: general, help: 'Settings file, YAML, keys as these flags without the dashes. Without this, horae.yaml in the working directory if it is there.' }),
  data_dir: path({ group: general, default: './.horae', help: 'Where the journal, the history and the sandboxes of tasks live. One running Horae per directory.' }),
  log_level: choice({ group: general, of: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'], default: 'info', help: 'The least severe log lines that are written. While it runs: horae log-level, by module if wanted.' }),
  log_lines_max: whole({ group: general, unit: 'lines', default: 2_000, min: 0, max: 100_000, help: 'The last lines of the log that are kept in memory for "horae debug bundle"; older ones go.' }),
  default_zone: zone({ group: general, default: 'UTC', help: 'Time zone of a cron schedule that names none.' }),

  http: address({ group: server, default: { host: '127.0.0.1', port: 8080 }, help: 'Where REST and the console listen. Port 0 takes any free one and prints it.' }),
  credentials: file({ group: server, help: 'File of principals, their roles and their hashed passwords and tokens. Needed beyond loopback.' }),
  insecure: yes({ group: server, help: 'Listen beyond loopback without credentials: whoever reaches the port can run commands here.' }),
  tls_cert: file({ group: server, help: 'Certificate chain in PEM; with --tls-key the server speaks HTTPS.' }),
  tls_key: file({ group: server, help: 'Private key in PEM of --tls-cert.' }),
  allow_origin: list({ group: server, value: 'ORIGIN', expected: 'an origin such as https://ops.example.com', matches: /^https?:\/\/[^/?#\s,]+$/, help: 'Further web origin whose pages may use the API and the WebSocket. May be repeated.' }),
  allow_host: list({ group: server, value: 'HOST', expected: 'a host name without port such as horae.example.com', matches: /^[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$/, help: 'Further name by which clients may call this server (Host header). May be repeated.' }),

  body_bytes_max: whole({ group: clients, unit: 'bytes', default: 1_048_576, min: 1_024, max: 67_108_864, help: 'Longest request body; a longer one is answered 413 without being read.' }),
  http_connections_max: whole({ group: clients, unit: 'connections', default: 1_000, min: 1, max: 100_000, help: 'Open HTTP connections; further ones are closed at once.' }),
  request_timeout_ms: whole({ group: clients, unit: 'ms', default: 30_000, min: 1_000, max: 600_000, help: 'How long a client may take to send a request; then it is answered 408.' }),
  commands_max: whole({ group: clients, unit: 'commands', default: 1_000, min: 1, max: 1_000_000, help: 'Writes waiting for their answer; further ones are answered 503 with Retry-After.' }),
  page_rows_max: whole({ group: clients, unit: 'rows', default: 1_000, min: 1, max: 10_000, help: 'Rows in one page of a listing; asking for more gives this many.' }),
  sockets_max: whole({ group: clients, unit: 'sockets', default: 200, min: 1, max: 10_000, help: 'Open WebSockets and event streams; further ones are answered 503.' }),
  socket_frames_max: whole({ group: clients, unit: 'frames', default: 1_000, min: 10, max: 100_000, help: 'Frames waiting for one slow WebSocket; then they are dropped and it is sent the whole picture anew.' }),
  log_follow_bytes_max: whole({ group: clients, unit: 'bytes', default: 65_536, min: 1_024, max: 1_048_576, help: 'Bytes in one piece of a followed log; more waits in the file.' }),
  sessions_max: whole({ group: clients, unit: 'sessions', default: 50, min: 0, max: 10_000, help: 'Commands run in tasks at once (horae task exec); further ones are answered 503. 0: nobody may.' }),
  session_idle_ms: whole({ group: clients, unit: 'ms', default: 1_800_000, min: 100, max: 86_400_000, help: 'How long such a command may neither write nor be written to; then it is ended.' }),
  log_followers_max: whole({ group: clients, unit: 'followers', default: 100, min: 1, max: 10_000, help: 'Logs being followed at once; further followers are answered 503.' }),
  reader_stall_ms: whole({ group: clients, unit: 'ms', default: 30_000, min: 100, max: 3_600_000, help: 'How long a client may take for the next piece (64 KiB) of a list that is on its way; then its connection is closed.' }),

  agent_resources: resources({ group: agent, help: 'What the agent offers. A resource left out is measured: all cores, 75% of memory, the free disk, ports 31000-32000.' }),
  ...agentSettings(agent),
  executor_cpus: number({ group: agent, unit: 'cpus', default: 0.01, min: 0.01, max: 64, help: "What a task's executor takes beside the task." }),
  executor_mem_mb: whole({ group: agent, unit: 'MB', default: 32, min: 1, max: 65_536, help: "Memory that a task's executor takes beside the task." }),
  executor_disk_mb: whole({ group: agent, unit: 'MB', default: 1, min: 0, max: 65_536, help: "Disk that a task's executor takes beside the task." }),

  executor_archive: text({ group: cluster, value: 'URL', expected: 'an address that ends with .tar.gz', matches: /^(https?|hdfs|ftp|file):\/\/\S+\.tar\.gz$/, help: "Where agents fetch Horae's executor. Without this, from this server, below /executor/, where they can reach it by --advertise or --http." }),
  mesos: text({ group: cluster, value: 'MASTERS', expected: 'http://HOST:5050 (or https, or several with commas), or zk://HOST:2181,HOST:2181/PATH', matches: /^(https?:\/\/[^\s,]+(,https?:\/\/[^\s,]+)*|zk:\/\/([^\s@/]+@)?[^\s@/]+\/[^\s]*)$/, help: 'The masters: addresses, or where in ZooKeeper they write down who leads them.' }),
  mesos_https: yes({ group: cluster, help: 'Masters that are found in ZooKeeper speak HTTPS. Follows from --mesos-ca or --mesos-cert.' }),
  mesos_ca: file({ group: cluster, help: 'Certificates in PEM of whoever may vouch for masters and agents. Without it, those that Node knows.' }),
  mesos_cert: file({ group: cluster, help: 'Our certificate chain in PEM, for masters that ask for one; with --mesos-key.' }),
  mesos_key: file({ group: cluster, help: 'Private key in PEM of --mesos-cert.' }),
  mesos_principal: text({ group: cluster, value: 'NAME', expected: 'a principal such as horae, without a colon', matches: /^[^\s:]+$/, help: 'The principal as which we are known to Mesos, and to its quotas and rate limits.' }),
  mesos_secret_file: file({ group: cluster, help: 'File with the secret of --mesos-principal, for HTTP Basic authentication; one line, its newline is no part of it. It is read again when it changes.' }),
  mesos_token_file: file({ group: cluster, help: 'File with a token (such as a JWT) that is shown as a bearer, instead of a secret. It is read again when it changes.' }),
  mesos_agents_authenticate: yes({ group: cluster, help: 'Show principal and secret, or the token, to agents too when logs are read from them.' }),
  mesos_roles: list({ group: cluster, value: 'ROLE', expected: 'a role of Mesos such as prod or ops/batch', matches: /^(\*|(?!-|\.)[^\s/\\*]+(\/(?!-|\.)[^\s/\\*]+)*)$/, help: 'Role whose offers we want; may be repeated. Without this, the role * that everybody has.' }),
  mesos_offer_constraints: list({ group: cluster, value: 'CONSTRAINT', expected: 'a constraint on offers, such as rack=a, rack!=a, rack~a.* or !rack', matches: /^(?:!?(?:@(?:hostname|region|zone)|\w[\w.-]*)|(?:@(?:hostname|region|zone)|\w[\w.-]*)(?:=|!=|~|!~).+)$/, help: 'Only agents that satisfy it are offered to us (rack=a, rack!=a, rack~REGEX, rack!~REGEX, rack, !rack; @hostname, @region, @zone); may be repeated, and then all hold.' }),
  mesos_capabilities: list({ group: cluster, value: 'CAPABILITY', expected: 'a capability as Mesos writes it, such as GPU_RESOURCES', matches: /^[A-Z][A-Z_]*$/, help: 'Further capability of a framework, such as GPU_RESOURCES or REVOCABLE_RESOURCES; may be repeated.' }),
  framework_name: text({ group: cluster, value: 'NAME', expected: 'a name in one line', matches: /^[^\n]+$/, default: 'horae', help: 'Under which name Mesos lists us.' }),
  framework_user: text({ group: cluster, value: 'USER', expected: 'the name of a user on the agents', matches: /^[^\s:/]+$/, help: 'User as whom tasks run on agents. Without this, the user who started Horae. Mesos does not let it change later.' }),
  framework_webui_url: text({ group: cluster, value: 'URL', expected: 'an http or https address', matches: /^https?:\/\/\S+$/, help: 'Address of the console for links in the pages of Mesos and in letters. Without this, that of --http where others can reach it.' }),
  framework_removed: choice({ group: cluster, of: ['stop', 'register-anew'], default: 'stop', help: 'What to do when Mesos has removed our framework, and so has killed its tasks: stop and say so, or count them as lost, register anew and start them by their policies.' }),
  checkpoint: yes({ group: cluster, default: true, help: 'Agents write down what they run for us, so that tasks outlive a restart of the agent. Mesos does not let it change later.' }),
  docker_secrets: yes({ group: cluster, help: 'Agents hand secrets to containers of type docker too, as those of `horae mesos` do. Those of Apache Mesos leave them out and say nothing, so without this such a job is refused.' }),
  detection_timeout_ms: whole({ group: cluster, unit: 'ms', default: 10_000, min: 1_000, max: 600_000, help: 'Session with the ZooKeeper of --mesos zk://; when it ends, the last known leader holds until another is found.' }),

  zk: text({ group: nodes, value: 'ENSEMBLE', expected: 'servers and a path such as zk1:2181,zk2:2181,zk3:2181/horae', matches: /^[^\s/]+\/\S*[^\s/]$/, help: 'ZooKeeper, and where in it the cluster lives: one of several nodes leads, and the journal is kept there. Without this the node is the only one, with its journal in --data-dir.' }),
  zk_auth_file: file({ group: nodes, help: 'File with USER:PASSWORD on one line, shown to ZooKeeper (digest); what the cluster makes there is then its own.' }),
  zk_session_timeout_ms: whole({ group: nodes, unit: 'ms', default: 10_000, min: 500, max: 600_000, help: 'A leader that ZooKeeper has not heard of for so long is replaced. The servers may grant another.' }),
  zk_call_timeout_ms: whole({ group: nodes, unit: 'ms', default: 10_000, min: 100, max: 600_000, help: 'How long a call to ZooKeeper may go unanswered; then its fate is unknown, and is looked at.' }),
  zk_commit_timeout_ms: whole({ group: nodes, unit: 'ms', default: 60_000, min: 100, max: 3_600_000, help: 'How long a commit may wait for ZooKeeper while the session lives; then the leader lets go, and its successor finds out.' }),
  zk_journal_mb: whole({ group: nodes, unit: 'MB', default: 256, min: 4, max: 65_536, help: 'Largest size of what the cluster keeps in ZooKeeper, which holds it in memory; three quarters of it are said in the log, beyond it the scheduler stops.' }),
  cluster_name: text({ group: nodes, value: 'NAME', expected: 'a name without spaces', matches: /^[\x21-\x7e]{1,100}$/, default: 'horae', help: 'Two clusters that are given one path by mistake are told apart by this.' }),
  cluster_key_file: file({ group: nodes, help: 'File with a secret of at least 32 characters, the same on every node, by which nodes know each other. Needed with --zk.' }),
  node_id: text({ group: nodes, value: 'ID', expected: 'an id without spaces', matches: /^[\x21-\x7e]{1,100}$/, help: 'Names this node, unlike any other. Host and port of --advertise when left out.' }),
  advertise: text({ group: nodes, value: 'URL', expected: 'an address such as http://node1.example.com:8080', matches: /^https?:\/\/[^/?#\s]+$/, help: 'Where the other nodes, and clients that are sent to the leader, reach this one. What --http says when left out.' }),
  cluster_ca: file({ group: nodes, help: 'Certificates in PEM of whoever may vouch for the nodes, when they speak HTTPS with each other. Without it those that Node trusts.' }),
  leader_wait_ms: whole({ group: nodes, unit: 'ms', default: 15_000, min: 100, max: 600_000, help: 'How long a write waits for a leader, and a consistent read until this node has caught up; then they are answered 503.' }),
  leave_ms_max: whole({ group: nodes, unit: 'ms', default: 10_000, min: 100, max: 600_000, help: 'How long a leader that hands over may take to finish what it has decided; then it lets go, and its successor decides.' }),
  link_window: whole({ group: nodes, unit: 'questions', default: 256, min: 1, max: 100_000, help: 'Questions of one other node under way here; it holds back what is more.' }),
  links_waiting_max: whole({ group: nodes, unit: 'questions', default: 1_000, min: 1, max: 1_000_000, help: 'Questions waiting here for the leader; further ones are answered 503.' }),
  link_beat_ms: whole({ group: nodes, unit: 'ms', default: 1_000, min: 10, max: 60_000, help: 'Between signs of life on a link between nodes; five missed ones end it.' }),

  serversets_zk: text({ group: discovery, value: 'ENSEMBLE', expected: 'servers and a path such as zk1:2181,zk2:2181/aurora', matches: /^[^\s/]+\/\S*[^\s/]$/, help: 'ZooKeeper, and where in it the ServerSets of jobs that are announced lie: PATH/ROLE/ENV/NAME/member_*. Without this nobody is announced there.' }),
  serversets_zk_auth_file: file({ group: discovery, help: 'File with USER:PASSWORD on one line, shown to that ZooKeeper (digest); what is made there can then be changed by us alone, and be read by all.' }),
  serversets_check_ms: whole({ group: discovery, unit: 'ms', default: 60_000, min: 100, max: 86_400_000, help: 'How often it is looked whether somebody else has changed a ServerSet; then it is mended.' }),
  withdraw_wait_ms: whole({ group: discovery, unit: 'ms', default: 5_000, min: 1, max: 3_600_000, help: 'How long the end of a task that is announced waits until ZooKeeper has it off its ServerSet; then it is ended all the same, and that is counted.' }),

  resubscribe_delay_ms: whole({ group: mesos, unit: 'ms', default: 500, min: 1, max: 60_000, help: 'Before the first attempt to subscribe again; doubles with each.' }),
  resubscribe_delay_ms_max: whole({ group: mesos, unit: 'ms', default: 30_000, min: 1, max: 600_000, help: 'The longest time between attempts to subscribe again.' }),
  redirects_max: whole({ group: mesos, unit: 'redirects', default: 5, min: 0, max: 100, help: 'Redirects from master to master that one subscription follows; then the next master is tried.' }),
  heartbeat_missed_max: whole({ group: mesos, unit: 'heartbeats', default: 5, min: 1, max: 100, help: 'Heartbeats missed in a row; then the subscription counts as broken.' }),
  subscribe_timeout_ms: whole({ group: mesos, unit: 'ms', default: 20_000, min: 100, max: 600_000, help: 'How long a subscription may go unanswered; then another is tried.' }),
  call_timeout_ms: whole({ group: mesos, unit: 'ms', default: 30_000, min: 100, max: 600_000, help: 'How long a call may go unanswered; then its fate is unknown and is reconciled.' }),
  calls_in_flight_max: whole({ group: mesos, unit: 'calls', default: 64, min: 1, max: 10_000, help: 'Calls written and not yet answered; further ones wait in order.' }),
  calls_waiting_max: whole({ group: mesos, unit: 'calls', default: 200_000, min: 1, max: 10_000_000, help: 'Calls waiting to be written; further ones are told unsent, and are tried again.' }),
  record_bytes_max: whole({ group: mesos, unit: 'bytes', default: 67_108_864, min: 65_536, max: 1_073_741_824, help: 'Longest event; a longer one breaks the subscription.' }),
  failover_timeout_days: number({ group: mesos, unit: 'days', default: 21, min: 0.01, max: 3_650, help: 'How long Mesos keeps our tasks alive without us.' }),
  reconcile_delay_ms: whole({ group: mesos, unit: 'ms', default: 1_000, min: 10, max: 600_000, help: 'Before a reconciliation that was not fully answered is asked again; doubles with each.' }),
  reconcile_delay_ms_max: whole({ group: mesos, unit: 'ms', default: 60_000, min: 10, max: 3_600_000, help: 'The longest time between repeated reconciliations.' }),
  reconcile_interval_ms: whole({ group: mesos, unit: 'ms', default: 900_000, min: 1_000, max: 86_400_000, help: 'Between reconciliations of all live tasks when nothing seems wrong.' }),
  reconcile_batch_max: whole({ group: mesos, unit: 'tasks', default: 1_000, min: 1, max: 100_000, help: 'Tasks in one RECONCILE call; more are asked in further calls.' }),

  offer_hold_ms: whole({ group: placement, unit: 'ms', default: 5_000, min: 0, max: 600_000, help: 'How long an offer that nobody wants is held before it is declined.' }),
  offers_max: whole({ group: placement, unit: 'offers', default: 20_000, min: 1, max: 1_000_000, help: 'Offers held at once; further ones are declined.' }),
  refuse_seconds: number({ group: placement, unit: 'seconds', default: 5, min: 0, max: 86_400, help: 'How long Mesos keeps a declined offer from us.' }),
  revive_interval_ms: whole({ group: placement, unit: 'ms', default: 1_000, min: 0, max: 86_400_000, help: 'When somebody begins to wait, Mesos is asked for what was declined a moment ago, but not more often than this.' }),
  placement_batch_max: whole({ group: placement, unit: 'instances', default: 1_000, min: 1, max: 100_000, help: 'Instances placed in one round; more wait for the next.' }),
  priority_step_ms: whole({ group: placement, unit: 'ms', default: 600_000, min: 0, max: 2_678_400_000, help: 'How much longer an instance must have waited to get a place before one whose priority is higher by one: nobody waits for ever behind others.' }),

  instances_max: whole({ group: instances, unit: 'instances', default: 200_000, min: 1, max: 10_000_000, help: 'Instances of all active runs together, with a place or waiting for one; what would be more is refused, and a target is skipped and says why.' }),
  retry_delay_ms: whole({ group: instances, unit: 'ms', default: 1_000, min: 0, max: 86_400_000, help: 'Before a failed instance is tried again; doubles with each failure.' }),
  retry_delay_ms_max: whole({ group: instances, unit: 'ms', default: 60_000, min: 0, max: 86_400_000, help: 'The longest time between retries.' }),
  well_after_ms: whole({ group: instances, unit: 'ms', default: 300_000, min: 0, max: 86_400_000, help: 'A service that ran this long was well: its restart waits no longer than the first. One that ends sooner is flapping, and waits twice as long each time.' }),
  start_timeout_ms: whole({ group: instances, unit: 'ms', default: 900_000, min: 1_000, max: 86_400_000, help: 'How long a task may take from its place to running, images and fetches included; then it is killed and begun again elsewhere. Noticed when Mesos is next asked about it.' }),
  call_back_ms: whole({ group: instances, unit: 'ms', default: 86_400_000, min: 1, max: 31_622_400_000, help: 'How long the call-back of an async task is waited for after its command has ended, where its job does not say; then it has failed.' }),
  kill_retry_ms: whole({ group: instances, unit: 'ms', default: 5_000, min: 100, max: 3_600_000, help: 'Before a kill that nobody confirmed is asked again; doubles each time, up to five minutes.' }),

  due_batch_max: whole({ group: timetable, unit: 'targets', default: 500, min: 1, max: 100_000, help: 'Due targets handed out in one turn; more follow in the next.' }),
  due_backlog_max: whole({ group: timetable, unit: 'records', default: 3_000, min: 1, max: 10_000_000, help: 'While more records than this wait for the journal, due targets wait too: those that were handed out go first.' }),
  verdict_batch_max: whole({ group: timetable, unit: 'targets', default: 1_000, min: 1, max: 100_000, help: 'Targets of one schedule decided in one turn after an absence; more follow in the next.' }),
  late_grace_ms: whole({ group: timetable, unit: 'ms', default: 5_000, min: 0, max: 3_600_000, help: 'A target this little late is on time; a later one is for the catch-up policy.' }),
  timer_sleep_ms_max: whole({ group: timetable, unit: 'ms', default: 1_000, min: 10, max: 86_400_000, help: 'The timer looks at the clock at least this often, so that a clock that was set is noticed.' }),
  jobs_max: whole({ group: timetable, unit: 'jobs', default: 100_000, min: 1, max: 10_000_000, help: 'Jobs there may be; a further one is refused.' }),
  submissions_held_max: whole({ group: timetable, unit: 'submissions', default: 16, min: 1, max: 10_000, help: 'Submissions of one key held while its old job is being deleted; further ones are refused.' }),
  runs_active_max: whole({ group: timetable, unit: 'runs', default: 100, min: 1, max: 10_000, help: 'Runs of a job side by side where overlap is allowed and the job does not say; a further target is skipped.' }),
  runs_waiting_max: whole({ group: timetable, unit: 'runs', default: 100, min: 1, max: 10_000, help: 'Runs of a job waiting for an active one where the job does not say; a further target is skipped.' }),
  tokens_max: whole({ group: timetable, unit: 'runs', default: 100, min: 1, max: 10_000, help: "Runs of a parent waiting for those of a job's other parents where the job does not say; the oldest is forgotten for a further one." }),

  chronos_generation: choice({ group: chronos, of: ['3', '2'], default: '3', help: 'Whose rules hold for jobs that come by the API of Chronos: 3 never drops a run, 2 drops what is later than epsilon.' }),
  chronos_compat: choice({ group: chronos, of: ['lenient', 'strict'], default: 'lenient', help: 'Statuses of refusals in that API. lenient: the one that says what is wrong (404, 409, 422). strict: 400 for all of them, as Chronos had it.' }),
  task_epsilon: whole({ group: chronos, unit: 'seconds', default: 60, min: 0, max: 31_536_000, help: 'Generation 2: how late a run may begin where its job names no epsilon.' }),
  mesos_task_cpu: number({ group: chronos, unit: 'cpus', default: 0.1, min: 0.001, max: 100_000, help: 'CPUs of a Chronos job that asks for none.' }),
  mesos_task_mem: number({ group: chronos, unit: 'MB', default: 128, min: 1, max: 1_000_000_000, help: 'Memory of a Chronos job that asks for none.' }),
  mesos_task_disk: number({ group: chronos, unit: 'MB', default: 256, min: 0, max: 1_000_000_000, help: 'Disk of a Chronos job that asks for none.' }),
  failure_retry: whole({ group: chronos, unit: 'ms', default: 60_000, min: 0, max: 86_400_000, help: 'Before a failed attempt of a Chronos job is repeated.' }),
  disable_after_failures: whole({ group: chronos, unit: 'runs', default: 0, min: 0, max: 10_000, help: 'Failed runs in a row after which a Chronos job starts no more by itself, until it is posted again or resumed; 0: never.' }),
  job_history_limit: whole({ group: chronos, unit: 'tasks', default: 5, min: 0, max: 1_000, help: 'Tasks in the history that job/stat of that API shows; how much is kept is said by --history-per-job.' }),

  notify_on: text({ group: notices, value: 'EVENTS', default: 'failed,disabled,deleted,exhausted', expected: 'events with commas: failed, disabled, deleted, exhausted, succeeded, missed, late, long-running, stuck-pending; or none', matches: /^(none|(failed|disabled|deleted|exhausted|succeeded|missed|late|long-running|stuck-pending)(,(failed|disabled|deleted|exhausted|succeeded|missed|late|long-running|stuck-pending))*)$/, help: 'What is told of jobs that do not say it themselves: to their owners by mail, and to the channels that are set.' }),
  notify_subject: text({ group: notices, value: 'TEMPLATE', expected: template_words, matches: template_form, help: 'Subject of letters of one notice, where a job has none of its own, such as "{{name}} {{event}}".' }),
  notify_text: text({ group: notices, value: 'TEMPLATE', expected: template_words, matches: template_form, help: 'What a letter says of each notice, where a job has no text of its own, with the same names.' }),
  notify_gather_ms: whole({ group: notices, unit: 'ms', default: 3_000, min: 0, max: 3_600_000, help: 'How long the first notice after a silence waits for others to share its letter.' }),
  notify_interval_ms: whole({ group: notices, unit: 'ms', default: 300_000, min: 0, max: 86_400_000, help: 'Between two letters to one place; what comes meanwhile goes together into the next.' }),
  notify_retry_ms: whole({ group: notices, unit: 'ms', default: 10_000, min: 1, max: 86_400_000, help: 'Before a letter that could not be delivered is sent again; doubles with each attempt.' }),
  notify_retry_ms_max: whole({ group: notices, unit: 'ms', default: 900_000, min: 1, max: 86_400_000, help: 'The longest time between such attempts.' }),
  notify_give_up_ms: whole({ group: notices, unit: 'ms', default: 86_400_000, min: 0, max: 2_678_400_000, help: 'How long a letter is tried; then it is put aside, where people see it.' }),
  notices_max: whole({ group: notices, unit: 'notices', default: 10_000, min: 1, max: 1_000_000, help: 'Notices that wait for one channel; for a further one the oldest success goes, or else the oldest, and the next letter says so.' }),
  notify_letters_max: whole({ group: notices, unit: 'letters', default: 200, min: 1, max: 100_000, help: 'Letters of one channel that are under way; further notices wait to be put into one.' }),
  notify_sending_max: whole({ group: notices, unit: 'letters', default: 4, min: 1, max: 1_000, help: 'Letters of one channel that are being sent at once; the others stand in line.' }),
  notify_listed_max: whole({ group: notices, unit: 'notices', default: 10, min: 1, max: 100, help: 'Notices that one letter lists; it says how many there are beyond those.' }),
  notify_dead_max: whole({ group: notices, unit: 'letters', default: 1_000, min: 0, max: 100_000, help: 'Letters kept that were given up; then the oldest go.' }),
  notify_sent_max: whole({ group: notices, unit: 'letters', default: 1_000, min: 1, max: 1_000_000, help: 'Letters kept that were delivered; then the oldest go.' }),
  notify_log_bytes_max: whole({ group: notices, unit: 'bytes', default: 2_048, min: 0, max: 65_536, help: "How much of a task's last lines a letter quotes; 0: nothing." }),
  notify_log_timeout_ms: whole({ group: notices, unit: 'ms', default: 5_000, min: 1, max: 600_000, help: 'How long those lines are waited for; then the letter goes without them.' }),
  notify_late_after_ms: whole({ group: notices, unit: 'ms', default: 0, min: 0, max: 31_622_400_000, help: 'A run that has not begun so long after its target is late, where its job does not say; 0: never.' }),
  notify_long_running_after_ms: whole({ group: notices, unit: 'ms', default: 0, min: 0, max: 31_622_400_000, help: 'A run that goes on for so long is long-running, where its job does not say; 0: never.' }),
  notify_pending_after_ms: whole({ group: notices, unit: 'ms', default: 0, min: 0, max: 31_622_400_000, help: 'An instance that waits so long for a place is stuck-pending, where its job does not say; 0: never.' }),

  notification_prefix: text({ group: channels, value: 'WORDS', expected: 'words on one line', matches: /^[^\p{Cc}]+$/u, help: 'What stands in square brackets before the subject of each letter, such as the name of this cluster.' }),
  mail_server: text({ group: channels, value: 'HOST:PORT', expected: 'host:port such as mail.example.com:587', matches: /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, help: 'The SMTP server that takes our mail. With --mail-from; without it no mail is sent.' }),
  mail_from: text({ group: channels, value: 'ADDRESS', expected: 'a mail address such as horae@example.com', matches: /^[^\s@<>()[\],;:"]+@[^\s@<>()[\],;:"]+$/, help: 'From whom our mail is.' }),
  mail_user: text({ group: channels, value: 'USER', expected: 'a user of the mail server', matches: /^[^\p{Cc}]+$/u, help: 'As whom we log in to the mail server. With --mail-password-file, or HORAE_MAIL_PASSWORD.' }),
  mail_password: text({ group: channels, value: 'PASSWORD', expected: 'a password on one line', matches: /^[^\r\n]+$/, secret: true, help: 'The password of --mail-user. On the command line others can read it: rather --mail-password-file.' }),
  mail_password_file: file({ group: channels, help: 'File with the password of --mail-user; one line, its newline is no part of it.' }),
  mail_ssl: yes({ group: channels, help: 'The mail server speaks TLS from the first byte. Without this STARTTLS is used where it is offered, and must be before a password is sent to another machine.' }),
  mail_insecure: yes({ group: channels, help: 'Send the password of --mail-user also without TLS, or over TLS that nobody vouches for.' }),
  mail_connections_max: whole({ group: channels, unit: 'connections', default: 2, min: 1, max: 100, help: 'Connections to the mail server; further letters wait for one of them.' }),
  slack_url: text({ group: channels, value: 'URL', expected: 'an http or https address, without a user in it', matches: /^https?:\/\/[^\s@]+$/, secret: true, help: 'Incoming webhook of Slack.' }),
  mattermost_url: text({ group: channels, value: 'URL', expected: 'an http or https address, without a user in it', matches: /^https?:\/\/[^\s@]+$/, secret: true, help: 'Incoming webhook of Mattermost.' }),
  raven_dsn: text({ group: channels, value: 'DSN', expected: 'a data source name such as https://KEY@sentry.example.com/42', matches: /^https?:\/\/[\w.-]+(:[\w.-]*)?@[^\s/@?#]+(\/[^\s?#]*)?\/\d{1,20}\/?$/, secret: true, help: 'Project of Sentry that events go to; Sentry 20.6 or newer.' }),
  http_notification_url: text({ group: channels, value: 'URL', expected: 'an http or https address, without a user in it', matches: /^https?:\/\/[^\s@]+$/, secret: true, help: 'Address that is POSTed what Chronos would have, one job at a time.' }),
  http_notification_credentials: text({ group: channels, value: 'USER:PASSWORD', expected: 'a user and a password with a colon between them', matches: /^[^:\r\n]+:[^\r\n]+$/, secret: true, help: 'For --http-notification-url, by HTTP Basic. On the command line others can read it: rather in a file.' }),
  http_notification_credentials_file: file({ group: channels, help: 'File with USER:PASSWORD for --http-notification-url; one line, its newline is no part of it.' }),
  webhook_secret: text({ group: channels, value: 'SECRET', expected: 'a secret of at least 8 characters on one line', matches: /^[^\r\n]{8,}$/, secret: true, help: 'What letters to webhooks of jobs are signed with. On the command line others can read it: rather in a file.' }),
  webhook_secret_file: file({ group: channels, help: 'File with what letters to webhooks of jobs are signed with: one line for all, or lines with an address and its secret, the longest beginning of an address counts.' }),
  notify_private_allowed: yes({ group: channels, help: 'Webhooks that jobs name may be on this machine or in a private network. Addresses in these settings always may.' }),
  notify_ca: file({ group: channels, help: 'Certificates in PEM of whoever may vouch for mail servers and receivers, beside those that Node knows.' }),
  notify_timeout_ms: whole({ group: channels, unit: 'ms', default: 30_000, min: 100, max: 600_000, help: 'How long one attempt to deliver a letter may take; then it has failed, and comes again.' }),
  notify_answer_bytes_max: whole({ group: channels, unit: 'bytes', default: 4_096, min: 0, max: 1_048_576, help: "How much of a receiver's words is read when it would not have a letter." }),
  notify_chat_characters_max: whole({ group: channels, unit: 'characters', default: 3_500, min: 200, max: 16_000, help: 'Longest message to a chat; of a longer one the middle is left out. Slack breaks messages at 4000.' }),

  segments_per_snapshot: whole({ group: journal, unit: 'segments', default: 10_000, min: 10, max: 1_000_000, help: 'Commits between snapshots; more make restoring slower, fewer make more writing.' }),
  journal_map_mb: whole({ group: journal, unit: 'MB', default: 16_384, min: 16, max: 4_194_304, help: 'Largest size of the journal; when it is reached the scheduler stops and says so.' }),
  commit_interval_ms: number({ group: journal, unit: 'ms', default: 4, min: 0, max: 1_000, help: 'Between the beginnings of two commits, unless many records wait; what comes meanwhile is committed together.' }),
  batch_changes_max: whole({ group: journal, unit: 'changes', default: 4_096, min: 1, max: 1_000_000, help: 'Records in one commit; more go into the next.' }),
  history_days: number({ group: journal, unit: 'days', default: 30, min: 0, max: 36_500, help: 'How long outcomes, finished runs and their attempts are kept.' }),
  history_per_job: whole({ group: journal, unit: 'rows', default: 10_000, min: 1, max: 100_000_000, help: 'Rows of each kind of history kept for one job; then the oldest go first.' }),
  update_days: number({ group: journal, unit: 'days', default: 30, min: 0, max: 3_650, help: 'How long updates that are over are kept, with what happened in them.' }),
  updates_per_job: whole({ group: journal, unit: 'updates', default: 10, min: 1, max: 10_000, help: 'Updates that are over and kept per job; then the oldest go.' }),
  audit_days: number({ group: journal, unit: 'days', default: 365, min: 0, max: 36_500, help: 'How long it is kept who did what.' }),

  graphite: peer({ group: graphite, help: "Where a Graphite server takes lines (its plaintext port): it is sent what /metrics tells, and the figures of jobs under Chronos's names." }),
  graphite_prefix: text({ group: graphite, value: 'PATH', expected: 'names with dots between, such as prod.horae', matches: /^[\w.:#%=+-]*$/, default: '', help: 'Stands before each path. Of several nodes each puts its id behind it; the figures of jobs are sent by whoever leads, without one.' }),
  graphite_interval_ms: whole({ group: graphite, unit: 'ms', default: 60_000, min: 100, max: 86_400_000, help: 'Between two times that it is sent figures.' }),
  graphite_timeout_ms: whole({ group: graphite, unit: 'ms', default: 10_000, min: 10, max: 600_000, help: 'How long it may take to connect, or to take a piece; then it is tried again the next time.' }),
  graphite_lines_max: whole({ group: graphite, unit: 'lines', default: 100_000, min: 100, max: 100_000_000, help: 'Lines kept for it while it is away (about 60 bytes each); then the oldest go, and are counted.' }),

  cassandra: list({ group: cassandra, value: 'HOST:PORT', expected: 'a host, with its port if it is not that of --cassandra-port', matches: /^([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/, help: 'Where Cassandra is first looked for; may be repeated. What becomes of tasks is then written there too, as Chronos did, by whoever leads.' }),
  cassandra_port: whole({ group: cassandra, unit: 'port', default: 9_042, min: 1, max: 65_535, help: 'Of those that name none.' }),
  cassandra_user: text({ group: cassandra, value: 'USER', expected: 'a user of Cassandra', matches: /^\S+$/, help: 'As whom, where Cassandra asks; with --cassandra-password-file.' }),
  cassandra_password: text({ group: cassandra, value: 'PASSWORD', expected: 'a password on one line', matches: /^[^\r\n]+$/, secret: true, help: 'The password of --cassandra-user. A file is better.' }),
  cassandra_password_file: file({ group: cassandra, help: 'File with the password of --cassandra-user; one line, its newline is no part of it.' }),
  cassandra_keyspace: text({ group: cassandra, value: 'NAME', expected: 'letters, digits and "_", a letter first, at most 48', matches: /^[A-Za-z]\w{0,47}$/, default: 'metrics', help: 'The keyspace; made, with one replica, if it is not there.' }),
  cassandra_table: text({ group: cassandra, value: 'NAME', expected: 'letters, digits and "_", a letter first, at most 40', matches: /^[A-Za-z]\w{0,39}$/, default: 'chronos', help: 'The table of what became of tasks; NAME_cursor beside it says how far it is written.' }),
  cassandra_stat_count_table: text({ group: cassandra, value: 'NAME', expected: 'letters, digits and "_", a letter first, at most 48', matches: /^[A-Za-z]\w{0,47}$/, default: 'chronos_stat_count', help: 'The table of how many elements tasks have processed.' }),
  cassandra_consistency: choice({ group: cassandra, of: ['ANY', 'ONE', 'TWO', 'THREE', 'QUORUM', 'ALL', 'LOCAL_QUORUM', 'EACH_QUORUM', 'LOCAL_ONE'], default: 'ANY', help: 'How many replicas must have a row. Reading and counting take ONE for ANY.' }),
  cassandra_ttl: whole({ group: cassandra, unit: 'seconds', default: 31_536_000, min: 0, max: 630_720_000, help: 'How long a row is kept from the moment that it tells of; 0: for ever. What is older is not written.' }),
  cassandra_timeout_ms: whole({ group: cassandra, unit: 'ms', default: 10_000, min: 100, max: 600_000, help: 'How long Cassandra may take to connect or to answer; then it is tried again, from where it was.' }),
  cassandra_waiting_max: whole({ group: cassandra, unit: 'rows', default: 10_000, min: 10, max: 10_000_000, help: 'What waits in memory for Cassandra; beyond it, it is read again from the history on disk.' }),
  cassandra_in_flight_max: whole({ group: cassandra, unit: 'rows', default: 16, min: 1, max: 1_000, help: 'Rows being written at once.' }),

  crash_count_max: whole({ group: supervision, unit: 'crashes', default: 5, min: 0, max: 1_000, help: 'Crashes that the tree of singletons survives within --crash-period-ms; one more ends the program.' }),
  crash_period_ms: whole({ group: supervision, unit: 'ms', default: 60_000, min: 100, max: 3_600_000, help: 'The window in which crashes are counted.' }),
  entity_crash_count_max: whole({ group: supervision, unit: 'crashes', default: 2, min: 0, max: 1_000, help: 'Crashes that a job, trigger or instance survives within --entity-crash-period-ms; one more puts it aside, and the others go on.' }),
  entity_crash_period_ms: whole({ group: supervision, unit: 'ms', default: 60_000, min: 100, max: 86_400_000, help: 'The window in which the crashes of one entity are counted.' }),
};

export type Settings = SettingsOf<typeof settings>;
const flags = Object.keys(settings).map(flagOf);

export type { Address, AgentResources } from './transport/cli/setting.ts';

/** The settings that hold for these arguments (after the command), variables and settings file, or all that is wrong. */
export function readSettings(argv: readonly string[], env: Environment, fileText?: string): Result<Settings> {
  const chronos = fromChronos(argv, flags);
  const read = readList(settings, chronos.rest, env, fileText, chronos.given);
  if (!read.ok) return bad(...chronos.problems, ...read.problems);
  if (chronos.problems.length > 0) return bad(...chronos.problems);
  const clashes = crossCheck(read.value);
  return clashes.length > 0 ? bad(...clashes) : read;
}

/** The settings when nothing is set: for tests and benchmarks. */
export function defaultSettings(): Settings {
  return defaultsOf(settings);
}

/** Which file to read before `readSettings`: one that was named must be there, horae.yaml need not. */
export function settingsFile(argv: readonly string[], env: Environment): { path: string; required: boolean } {
  const named = namedFile(settings, argv, env);
  return named === undefined ? { path: 'horae.yaml', required: false } : { path: named, required: true };
}

/** What Chronos would have followed and nobody follows here, though nothing depends on it: worth a warning. */
export function notesOnChronos(argv: readonly string[], env: Environment): readonly Problem[] {
  return [...fromChronos(argv, flags).notes, ...notesOnVariables(env)];
}

/** Variables that look like settings and are none: worth a warning, no more, since others may own the prefix too. */
export function unknownVariables(env: Environment): readonly Problem[] {
  return unknownIn(settings, env);
}

/** The settings as they may be shown to somebody else, and the texts in them that may not. */
export const shownSettings = (read: Settings) => shownOf(settings, read);

/** The words of a command line without the secrets that stand in it, and the flags that brought them. */
export const withoutTypedSecrets = (words: readonly string[], read: Settings) => withoutTyped(settings, words, read);

/** The part of `--help` that lists the settings, by group. */
export function settingsHelp(width = 100): string {
  return helpOf(settings, width);
}

/** What no setting can see alone. A delay that grows must have its start below its end. */
function crossCheck(read: Settings): readonly Problem[] {
  const problems: Problem[] = [];
  const refuse = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place, value, message: `${message}: expected ${expected}`, expected });
  if (read.tls_cert !== undefined && read.tls_key === undefined)
    refuse('--tls-cert', read.tls_cert, '--tls-cert is given without --tls-key', 'both, or neither');
  if (read.tls_key !== undefined && read.tls_cert === undefined)
    refuse('--tls-key', read.tls_key, '--tls-key is given without --tls-cert', 'both, or neither');
  for (const [one, other] of [
    ['mesos_cert', 'mesos_key'],
    ['mesos_key', 'mesos_cert'],
    ['mesos_secret_file', 'mesos_principal'],
  ] as const)
    if (read[one] !== undefined && read[other] === undefined)
      refuse(flagOf(one), read[one], `${flagOf(one)} is given without ${flagOf(other)}`, 'both, or neither');
  outwardClashes(read, refuse);
  if (read.zk !== undefined && read.cluster_key_file === undefined)
    refuse('--zk', read.zk, '--zk is given without --cluster-key-file', 'both: nodes must know each other');
  if (read.serversets_zk_auth_file !== undefined && read.serversets_zk === undefined)
    refuse(
      '--serversets-zk-auth-file',
      read.serversets_zk_auth_file,
      '--serversets-zk-auth-file is given without --serversets-zk',
      'both, or neither',
    );
  if (read.mesos_secret_file !== undefined && read.mesos_token_file !== undefined)
    refuse(
      '--mesos-token-file',
      read.mesos_token_file,
      '--mesos-token-file is given beside --mesos-secret-file',
      'one of them',
    );
  if (!isLoopback(read.http.host) && read.credentials === undefined && !read.insecure)
    refuse(
      '--http',
      `${read.http.host}:${read.http.port}`,
      `--http ${read.http.host}:${read.http.port} listens beyond loopback without credentials, and whoever reaches it could run commands here`,
      '--credentials FILE, a loopback host such as 127.0.0.1, or --insecure',
    );
  const values = new Map<string, unknown>(Object.entries(read));
  for (const [first, low] of values) {
    const last = `${first}_max`;
    const high = values.get(last);
    if (typeof low === 'number' && typeof high === 'number' && low > high)
      refuse(
        flagOf(first),
        low,
        `${flagOf(first)} is ${low}, above ${flagOf(last)}, which is ${high}`,
        `at most ${high}`,
      );
  }
  return problems;
}

type Refuse = (place: string, value: unknown, message: string, expected: string) => void;

/** What belongs together where something goes out to others, and what excludes what. None of the values is shown: most are secrets. */
function outwardClashes(read: Settings, refuse: Refuse): void {
  const has = (name: keyof Settings) => read[name] !== undefined;
  for (const [one, other] of [
    ['mail_password', 'mail_password_file'],
    ['http_notification_credentials', 'http_notification_credentials_file'],
    ['webhook_secret', 'webhook_secret_file'],
    ['cassandra_password', 'cassandra_password_file'],
  ] as const)
    if (has(one) && has(other))
      refuse(flagOf(other), undefined, `${flagOf(other)} is given beside ${flagOf(one)}`, 'one of them');
  const alone = (one: keyof Settings, other: keyof Settings) =>
    refuse(flagOf(one), undefined, `${flagOf(one)} is given without ${flagOf(other)}`, 'both, or neither');
  if (has('mail_server') && !has('mail_from')) alone('mail_server', 'mail_from');
  for (const name of ['mail_from', 'mail_user'] as const)
    if (has(name) && !has('mail_server')) alone(name, 'mail_server');
  const passwords = (['mail_password', 'mail_password_file'] as const).filter(has);
  if (has('mail_user') && passwords.length === 0) alone('mail_user', 'mail_password_file');
  for (const name of passwords) if (!has('mail_user')) alone(name, 'mail_user');
  const keys = (['cassandra_password', 'cassandra_password_file'] as const).filter(has);
  if (has('cassandra_user') && keys.length === 0) alone('cassandra_user', 'cassandra_password_file');
  for (const name of keys) if (!has('cassandra_user')) alone(name, 'cassandra_user');
  for (const name of ['http_notification_credentials', 'http_notification_credentials_file'] as const)
    if (has(name) && !has('http_notification_url')) alone(name, 'http_notification_url');
}

/** Whether only programs of this machine can reach a server that listens on `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
