// node.ts: `horae serve --zk`: one of several nodes that make one scheduler.
//
// Every node answers people and programs from its own copy of the cluster's log; one of them leads. What comes to another
// node is carried to the leader (transport/cluster/errand.ts). Leading, doubting and handing over are the keeper's.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Pending, PendingReason } from '../actors/model/views.ts';
import { asideOf } from '../actors/supervision.ts';
import type { Settings } from '../settings.ts';
import type { Brought, Glance } from '../transport/cluster/desk.ts';
import { createDoor, link_path } from '../transport/cluster/door.ts';
import { createErrands, not_leading, reachedWithin } from '../transport/cluster/errand.ts';
import { createForesight } from '../transport/cluster/foresight.ts';
import { type Introduction, mac, nonce_bytes, protocol } from '../transport/cluster/handshake.ts';
import { createHearsay, tellReports } from '../transport/cluster/hearsay.ts';
import { createLine } from '../transport/cluster/line.ts';
import type { Handle, LinkLimits } from '../transport/cluster/link.ts';
import type { Cluster } from '../transport/http/leader.ts';
import { Refused as HttpRefused } from '../transport/http/problems.ts';
import { openReplica } from '../transport/journal/replica.ts';
import { createProjection, type Projection } from '../transport/projection.ts';
import { readEnsemble } from '../transport/zookeeper/servers.ts';
import { compactNowAndThen, frameworkId, type OpenMesos, openHistory } from './alone.ts';
import { authIn, openAnnouncing, withdrawingLink } from './announcing.ts';
import { openCassandra } from './cassandra.ts';
import { openChannels } from './channels.ts';
import { debugBundle } from './debug.ts';
import { certificateOf, openDoor } from './door.ts';
import { tellGraphite } from './graphite.ts';
import { createKeeper, type Keeper } from './keeper.ts';
import { countLetters, lettersOf, standingOf } from './letters.ts';
import { fail, named, Refused } from './refused.ts';
import { beginReign, type Reigning } from './reign.ts';
import { askingLink } from './reports.ts';
import { openSession } from './session.ts';
import { endingOf, type Ground, within } from './start.ts';

const key_characters_min = 32;
/** Frames hold a job with all that belongs to it; as msgpack it is no larger than it came. */
const frame_rim_bytes = 65_536;
/** What only the leader knows is asked of it this often, so that every node can show it. */
const glance_ms = 1_000;
const redial_delay_ms = 100;
const redial_delay_ms_max = 2_000;
const beats_missed_max = 5;

/** Runs until a signal or a fatal reason ends the process. Resolves with the address of its door once it is open. */
export async function runNode(ground: Ground, openMesos: OpenMesos): Promise<string> {
  const { settings, log, clock, metrics, version } = ground;
  const { servers, path } = ensembleOf(settings);
  const key = keyOf(settings);
  const auth = authIn('--zk-auth-file', settings.zk_auth_file);
  const tls = trustOf(settings);
  const certificate = certificateOf(settings);
  const channels = openChannels(ground);
  const ending = endingOf(log);

  const replica = await openReplica({ local: openHistory(within('journal', ground)), log: ground.logs.of('journal') });
  const restored = await replica.restore();
  for (const poison of restored.poison) log.error(poison, 'a record cannot be read: put aside');
  const framework_id = frameworkId(restored.records);
  const mesos = await openMesos(framework_id.now);

  let reign: Reigning | undefined;
  let stopping = false;
  let glance: { readonly why: ReadonlyMap<string, PendingReason>; readonly aside: ReadonlyMap<string, string> } = {
    why: new Map(),
    aside: new Map(),
  };
  const foresee = createForesight(settings.default_zone, name => projection.calendar(name));
  const pending: Pending = {
    keys: () => reign?.scheduler.pending.keys() ?? glance.why.keys(),
    why: key => (reign === undefined ? glance.why.get(key) : reign.scheduler.pending.why(key)),
  };
  const projection: Projection = createProjection({
    history: replica,
    restored: restored.records,
    position: restored.position,
    nextAt(key) {
      if (reign !== undefined) return reign.scheduler.nextAt(key);
      const job = projection.job(key);
      return foresee(key, job?.record, job?.trigger);
    },
    pending,
    quarantined(key) {
      return asideOf(reign === undefined ? glance.aside : reign.scheduler.quarantined(), key);
    },
  });
  replica.onBatch(({ type, records, position }) => {
    framework_id.note(records);
    if (type === 'records') projection.commit(records, position);
    else projection.replace(records, position);
  });

  const announcing = await openAnnouncing(within('discovery', ground), projection);
  const cassandra = await openCassandra(ground, projection, replica);

  // The keeper is made when our address is known, which is when the door is open; until then nobody leads.
  let keeper: Keeper | undefined;
  let advertised = '';
  let node_id = settings.node_id ?? '';
  const desk = () => (cluster.leads() ? reign?.desk : undefined);
  const limits = linkLimits(settings);
  const introduce = (): Introduction => ({
    protocol,
    version,
    cluster: settings.cluster_name,
    id: node_id,
    window: limits.window,
    nonce: randomBytes(nonce_bytes),
  });

  const transfer = async (to: string | undefined, by: string) => {
    const candidates = (await keeper?.session()?.candidates()) ?? [];
    const others = candidates.map(({ id }) => id).filter(id => id !== node_id);
    if (to === node_id) throw new HttpRefused('invalid', `node ${to} leads already: expected another`);
    if (others.length === 0) throw new HttpRefused('invalid', 'there is no other node to hand over to');
    if (to !== undefined && !others.includes(to))
      throw new HttpRefused('not-found', `there is no node ${to.slice(0, 100)}: expected one of ${others.join(', ')}`);
    log.info({ to, by }, 'somebody wants another node to lead');
    keeper!.transfer(to);
    return { from: node_id, ...(to === undefined ? {} : { to }) };
  };
  const handle: Handle = async (method, body) => {
    const own = desk();
    if (own === undefined) return not_leading;
    switch (method) {
      case 'command':
        return own.command(body as Brought);
      case 'position':
        return own.position();
      case 'glance':
        return own.glance();
      case 'reports':
        return tellReports(mesos.reports, body);
      case 'transfer': {
        const { to, by } = body as { readonly to?: string; readonly by: string };
        return transfer(to, by).catch(error => {
          if (error instanceof HttpRefused) return { refused: error.kind, message: error.message };
          throw error;
        });
      }
      default:
        throw new Error(`unknown question "${method}": expected command, position, glance, reports or transfer`);
    }
  };
  const cluster_log = ground.logs.of('cluster');
  const common = { key, introduce, limits, clock, log: cluster_log, handle };
  const links = createDoor(common);
  const line = createLine({
    ...common,
    redial_delay_ms,
    redial_delay_ms_max,
    random: Math.random,
    ...(tls === undefined ? {} : { tls }),
  });
  const errands = createErrands({
    desk,
    line,
    reached: reachedWithin(clock, position => replica.reached(position)),
    wait_ms: settings.leader_wait_ms,
    stopping: () => stopping,
    clock,
  });

  let epoch: number | undefined;
  const cluster: Cluster = {
    get node_id() {
      return node_id;
    },
    mode: () => keeper?.state().mode ?? 'connecting',
    leads() {
      const state = keeper?.state();
      return state?.mode === 'leading' && state.sure;
    },
    leader() {
      const leader = keeper?.session()?.leader();
      return leader === undefined ? undefined : { id: leader.id, url: leader.http, version: leader.version };
    },
    epoch: () => epoch,
    catchUp: errands.catchUp,
    async transfer(to, by) {
      if (desk() !== undefined) return transfer(to, by);
      const answer = (await line.request('transfer', { to, by }, settings.leader_wait_ms)) as TransferAnswer;
      if ('refused' in answer) throw new HttpRefused(answer.refused, answer.message);
      if ('not_leading' in answer) throw new HttpRefused('no-leader', 'no node leads at present: nothing was done');
      return answer;
    },
  };

  const door = await openDoor({
    ...within('http', ground),
    settings: { ...settings, allow_host: [...settings.allow_host, ...hostOf(settings.advertise)] },
    certificate,
    standing: standingOf(channels),
    submit: errands.submit,
    views: projection,
    sandboxes: mesos.sandboxes,
    reports: createHearsay({ own: mesos.reports, leads: () => desk() !== undefined, line }),
    usages: mesos.usages,
    sessions: mesos.sessions,
    ...(announcing === undefined ? {} : { serversets: announcing.state }),
    archive: mesos.archive,
    history: replica,
    debug: debugBundle({ ...ground, views: projection, history: replica, cluster, serversets: announcing?.state }),
    cluster,
    links: { path: link_path, accept: links.accept },
  });
  advertised = settings.advertise ?? reachable(door.url, settings);
  node_id = settings.node_id ?? new URL(advertised).host;
  const candidate = { id: node_id, http: advertised, link: advertised, version };

  let twin_told = false;
  const follow = () => {
    const session = keeper?.session();
    const leader = session?.leader();
    // At our own address nobody else can be: that is ourselves, before we died and came back.
    const twin = leader !== undefined && leader.id === node_id && leader.http !== advertised;
    if (twin && session?.standing() === 'waiting' && !twin_told) {
      twin_told = true;
      log.error(
        { node: node_id, at: leader.http },
        'another node calls itself as we do: give each a --node-id of its own',
      );
    }
    line.to(leader === undefined || leader.id === node_id ? undefined : { id: leader.id, url: leader.link });
  };
  keeper = createKeeper({
    openSession: ended =>
      openSession(
        {
          ...within('cluster', ground),
          servers,
          path,
          auth,
          candidate,
          sign: id => Buffer.from(mac(key, 'cluster', Buffer.from(id))).toString('hex'),
          replica,
          onSize: ({ bytes }) => metrics.record('horae_cluster_journal_bytes', undefined, bytes),
        },
        ended,
      ),
    async plant(opened, guard) {
      epoch = opened.epoch;
      const caught_up = replica.reached(opened.position);
      // The cluster is what owns the lists, whichever node leads it.
      const announcer = announcing?.begin({ id: replica.cluster_id() ?? '', epoch }, caught_up);
      const exporter = cassandra?.begin(replica.cluster_id() ?? '', caught_up);
      const ask = { reports: mesos.reports, views: projection, begun_at: clock.now(), caught_up };
      const made = beginReign({
        ...within('actors', ground),
        link: askingLink(
          announcer === undefined ? mesos.link : withdrawingLink(mesos.link, announcer, projection),
          ask,
        ),
        identity: mesos.identity,
        letters: lettersOf(channels, mesos.sandboxes, settings.notify_log_bytes_max),
        opened,
        guard,
        history: replica,
        caught_up,
      });
      const over = <T>(value: T): T => {
        if (reign === made) reign = undefined;
        // Members stay: they are the successor's now.
        void announcer?.close();
        void exporter?.close();
        return value;
      };
      reign = made;
      return {
        resume: made.resume,
        drain: () => made.drain().then(over),
        fell: why => made.fell(over(why)),
      };
    },
    changed: follow,
    entered: part => metrics.record('horae_node_parts_total', { part }, 1),
    ended(why) {
      if (why !== undefined) ending.fatal(why);
    },
    leave_ms_max: settings.leave_ms_max,
    clock,
    log: cluster_log,
  });
  collectNode(ground, projection, () => ({
    reign,
    leads: cluster.leads(),
    epoch: epoch ?? 0,
    links: links.links().size,
  }));
  glanceNowAndThen(within('cluster', ground), async () => {
    if (reign !== undefined || !line.connected()) return;
    const told = await line.request('glance', undefined, glance_ms).catch(() => undefined);
    if (told === undefined || typeof told !== 'object' || told === null || 'not_leading' in told) return;
    const { pending: reasons, quarantined } = told as Glance;
    glance = { why: new Map(reasons.map(reason => [reason.instance, reason])), aside: new Map(quarantined) };
  });
  const graphite = tellGraphite(ground, projection, { id: node_id, leads: cluster.leads });
  compactNowAndThen(within('journal', ground), replica);
  ending.onSignal(async () => {
    stopping = true;
    graphite?.close();
    await keeper!.stop();
    line.close();
    links.close('this node is stopping');
    await door.close();
    await channels.close();
    await mesos.close();
    await replica.close();
  });
  keeper.begin();
  return door.url;
}

type TransferAnswer =
  | { readonly from: string; readonly to?: string }
  | { readonly refused: HttpRefused['kind']; readonly message: string }
  | typeof not_leading;

// --- what is counted, and asked now and then --------------------------------------------------------------------------

type Shown = {
  readonly reign: Reigning | undefined;
  readonly leads: boolean;
  readonly epoch: number;
  readonly links: number;
};

function collectNode({ metrics }: Ground, projection: Projection, look: () => Shown): void {
  metrics.collect(() => {
    const { reign, leads, epoch, links } = look();
    const scheduler = reign?.scheduler;
    metrics.record('horae_leading', undefined, leads ? 1 : 0);
    metrics.record('horae_epoch', undefined, epoch);
    metrics.record('horae_node_links', undefined, links);
    metrics.record('horae_jobs', undefined, projection.job_count());
    metrics.record('horae_timetable_armed', undefined, scheduler?.counts().armed ?? 0);
    metrics.record('horae_quarantined', undefined, scheduler?.quarantined().size ?? 0);
    metrics.record('horae_waiting_instances', undefined, scheduler?.waiting() ?? 0);
    for (const [status, count] of Object.entries(projection.instance_counts()))
      metrics.record('horae_instances', { status }, count);
    countLetters(metrics, projection);
  });
}

function glanceNowAndThen({ log }: Ground, glance: () => Promise<void>): void {
  const glancing = setInterval(
    () => void glance().catch(error => log.debug({ error: String(error) }, 'the leader could not be asked')),
    glance_ms,
  );
  glancing.unref();
}

// --- the settings of a node -------------------------------------------------------------------------------------------

function ensembleOf({ zk = '' }: Settings): { readonly servers: string; readonly path: string } {
  const read = readEnsemble(zk, '--zk');
  if (!read.ok) fail(read.problems);
  return { servers: zk.slice(0, zk.indexOf('/')), path: read.value.path };
}

function keyOf({ cluster_key_file: path }: Settings): Uint8Array {
  if (path === undefined) throw new Refused('--zk is given without --cluster-key-file: expected both');
  const key = named('--cluster-key-file', path, () => readFileSync(path, 'utf8')).trim();
  if (key.length < key_characters_min)
    throw new Refused(
      `--cluster-key-file is ${path}: it holds ${key.length} characters: expected at least ${key_characters_min}, such as: openssl rand -hex 32`,
    );
  return Buffer.from(key);
}

function trustOf({ cluster_ca: path }: Settings): { readonly ca: string } | undefined {
  return path === undefined ? undefined : { ca: named('--cluster-ca', path, () => readFileSync(path, 'utf8')) };
}

function linkLimits(settings: Settings): LinkLimits {
  return {
    window: settings.link_window,
    waiting_max: settings.links_waiting_max,
    frame_bytes_max: settings.body_bytes_max * 2 + frame_rim_bytes,
    beat_ms: settings.link_beat_ms,
    silence_ms_max: settings.link_beat_ms * beats_missed_max,
    handshake_ms_max: settings.link_beat_ms * beats_missed_max,
  };
}

/** A door that is open to all has no address of its own: the machine's name stands for it. */
function reachable(url: string, { http }: Settings): string {
  if (!['0.0.0.0', '::'].includes(http.host)) return url;
  const found = new URL(url);
  return `${found.protocol}//${hostname()}:${found.port}`;
}

const hostOf = (url: string | undefined): string[] => (url === undefined ? [] : [new URL(url).hostname]);
