// doctor-visit.ts: goes and looks: asks masters and agents, and subscribes for a moment as a framework of no importance.
//
// The visit must leave nothing behind and disturb nobody: it is a framework of its own, never ours, which takes no offer,
// gives back what it is lent, and removes itself. Should it die on the way, the master removes it at once, since it asked
// for no patience.

import type * as tls from 'node:tls';
import type { Clock, Wake } from '../schedules/clock.ts';
import { type ZooKeeper, ZooKeeperError } from '../transport/zookeeper/zookeeper.ts';
import { wordsOf } from './call-pipe.ts';
import { leaderIn, leadingNode } from './detector.ts';
import {
  type Answered,
  agentsFinding,
  archiveFinding,
  clockFinding,
  type Finding,
  leaderAt,
  leaderFinding,
  masterFinding,
  type Visit,
  visitFindings,
} from './doctor.ts';
import { httpGet } from './http-get.ts';
import { authorization, type Credentials, httpLink } from './http-link.ts';
import type { Event, FrameworkInfo, LinkEnd, Offer, OfferConstraints } from './protocol.ts';

export type VisitOptions = {
  /** Masters, or the leader that ZooKeeper names. */
  readonly urls: readonly string[];
  readonly clock: Clock;
  readonly tls?: tls.ConnectionOptions | undefined;
  readonly credentials?: Credentials | undefined;
  readonly framework: Pick<FrameworkInfo, 'user' | 'hostname' | 'principal' | 'roles' | 'capabilities'>;
  /** Those that the framework itself will have. */
  readonly offer_constraints?: OfferConstraints | undefined;
  readonly archive?: string | undefined;
  /** For an answer; and for offers to come. */
  readonly answer_ms_max: number;
  readonly offers_ms_max: number;
};

/** Agents that are asked whether they are there. */
const agents_asked_max = 5;
const answer_bytes_max = 1024 * 1024;
/** There and back; beyond it, the clock of whoever answers is not to be read from the answer. */
const way_ms_max = 2_000;

export async function visit(options: VisitOptions): Promise<readonly Finding[]> {
  const { urls, clock, tls, credentials, framework, archive } = options;
  const skews = new Map<string, number>();
  const ask = async (url: string, headers: Readonly<Record<string, string>> = {}): Promise<Answered> => {
    const from = clock.now();
    try {
      const timeout_ms = options.answer_ms_max;
      const got = await httpGet(new URL(url), { headers, tls, timeout_ms, bytes_max: answer_bytes_max, clock });
      const date = Date.parse(got.headers.date ?? '');
      // The date is when the answer was made, cut to the second. Of an answer that was long on its way it says little.
      const unsure = Number.isNaN(date) || clock.now() - from > way_ms_max;
      const skew_ms = unsure ? undefined : date + 500 - (from + clock.now()) / 2;
      if (skew_ms !== undefined) skews.set(new URL(url).origin, skew_ms);
      return { status: got.status, body: got.body.toString('utf8'), location: got.headers.location, skew_ms };
    } catch (error) {
      return { error: wordsOf(error) };
    }
  };

  const masters = await Promise.all(
    urls.map(async url => {
      const origin = new URL(url).origin;
      const shown = authorization(credentials);
      const [health, version, redirect] = await Promise.all([
        ask(`${origin}/health`),
        ask(`${origin}/version`, shown),
        ask(`${origin}/redirect`),
      ]);
      return { url: origin, health, version, redirect };
    }),
  );
  const told = masters.filter(({ health }) => !('error' in health));
  const leaders = new Set(told.flatMap(({ url, redirect }) => leaderAt(url, redirect) ?? []));
  const reach = new Map<string, Answered>();
  for (const leader of leaders)
    reach.set(leader, masters.find(({ url }) => url === leader)?.health ?? (await ask(`${leader}/health`)));

  const seen = await subscribeOnce(options);
  const origins = [...new Set(seen.offers.flatMap(({ url }) => originOf(url)))].slice(0, agents_asked_max);
  const agents = new Map<string, Answered>();
  for (const [index, answer] of (await Promise.all(origins.map(origin => ask(`${origin}/health`)))).entries())
    agents.set(origins[index]!, answer);
  const hosts = [...new Set(seen.offers.map(({ url, hostname }) => url?.address.ip ?? hostname))];
  const roles = framework.roles ?? ['*'];
  return [
    ...masters.map(({ url, health, version }) => masterFinding(url, health, version)),
    leaderFinding(told, reach),
    ...visitFindings(seen, { principal: framework.principal, roles }),
    ...(seen.offers.length > 0 ? [agentsFinding(agents)] : []),
    ...(archive === undefined
      ? []
      : [archiveFinding(archive, URL.canParse(archive) ? await ask(archive) : { error: 'no address' }, hosts)]),
    clockFinding(skews),
  ];
}

/** Who leads, by ZooKeeper: what was found there, and the address of the leader. */
export async function visitZooKeeper(
  zookeeper: Pick<ZooKeeper, 'children' | 'get'>,
  servers: string,
  path: string,
  scheme: 'http' | 'https',
): Promise<{ readonly finding: Finding; readonly url: string | undefined }> {
  const wrong = (says: string, expected: string) => ({
    finding: { check: 'zookeeper', state: 'wrong', says, expected } as const,
    url: undefined,
  });
  const masters = `masters that are started with --zk zk://${servers}${path}`;
  try {
    const children = await zookeeper.children(path);
    if (children === undefined) return wrong(`${servers}: there is no ${path}`, masters);
    const node = leadingNode(children);
    if (node === undefined) return wrong(`${servers}: no master stands in ${path}`, masters);
    const read = await zookeeper.get(`${path}/${node}`);
    const leader = leaderIn(`${path}/${node}`, read?.data ?? new Uint8Array(), scheme);
    if (typeof leader === 'string') return wrong(leader, 'what a Mesos master writes there');
    const says = `${servers}: ${path}/${node} says that ${leader.url} leads`;
    return { finding: { check: 'zookeeper', state: 'ok', says }, url: leader.url };
  } catch (error) {
    if (!(error instanceof ZooKeeperError)) throw error;
    const denied = error.code === 'no-auth' || error.code === 'auth-failed';
    return wrong(
      `${servers}: ${error.message}`,
      denied
        ? 'a user and password that may read there: zk://user:password@...'
        : 'servers of ZooKeeper that run and listen there',
    );
  }
}

/** A framework for a moment: sees what it is offered, gives it back, and goes. */
async function subscribeOnce(options: VisitOptions): Promise<Visit> {
  const { urls, clock, tls, credentials, framework, offer_constraints, offers_ms_max, answer_ms_max } = options;
  const began = clock.monotonic();
  const lent = new Map<string, Offer>();
  const errors: string[] = [];
  let end: LinkEnd | undefined;
  // A follower may point at a leader that is gone: the others are asked as well, each once.
  for (let n = 0; n < urls.length; n++) {
    const link = httpLink({
      urls: [urls[n]!],
      clock,
      ...(credentials === undefined ? {} : { credentials }),
      ...(tls === undefined ? {} : { tls }),
      subscribe_timeout_ms: answer_ms_max,
      call_timeout_ms: answer_ms_max,
    });
    let framework_id: string | undefined;
    end = undefined;
    await new Promise<void>(resolve => {
      const wakes: Wake[] = [];
      let done = false;
      const enough = () => {
        done = true;
        for (const wake of wakes) wake.cancel();
        resolve();
      };
      const within = (delay_ms: number) => void wakes.push(clock.wakeAt(clock.now() + delay_ms, enough));
      within(answer_ms_max + offers_ms_max);
      const heard = (event: Event) => {
        // What is given back may be offered again before we are gone.
        if (done) return;
        if (event.type === 'ERROR') errors.push(event.error.message);
        if (event.type === 'SUBSCRIBED') {
          framework_id = event.subscribed.framework_id.value;
          within(offers_ms_max);
        }
        if (event.type === 'RESCIND') lent.delete(event.rescind.offer_id.value);
        if (event.type !== 'OFFERS') return;
        // The offers of other agents come in the same moment.
        if (lent.size === 0) within(settle_ms);
        for (const offer of event.offers.offers) lent.set(offer.id.value, offer);
      };
      link.subscribe(
        {
          type: 'SUBSCRIBE',
          subscribe: {
            framework_info: { ...framework, name: 'horae-doctor', failover_timeout: 0, checkpoint: false },
            ...(offer_constraints === undefined ? {} : { offer_constraints }),
          },
        },
        {
          events: events => events.forEach(heard),
          ended(reason) {
            end = reason;
            enough();
          },
        },
      );
    });
    const waited_ms = clock.monotonic() - began;
    const offers = [...lent.values()];
    if (framework_id === undefined && errors.length === 0) {
      await link.close();
      continue;
    }
    let torn_down: string | undefined;
    if (framework_id !== undefined) {
      if (offers.length > 0) {
        const offer_ids = offers.map(({ id }) => id);
        await link.call({ type: 'DECLINE', decline: { offer_ids, filters: { refuse_seconds: 0 } } });
      }
      const farewell = await link.call({ type: 'TEARDOWN' });
      if (farewell.type !== 'accepted') torn_down = farewell.message;
    }
    await link.close();
    return { framework_id, errors, end, offers, waited_ms, torn_down };
  }
  return {
    framework_id: undefined,
    errors,
    end,
    offers: [],
    waited_ms: clock.monotonic() - began,
    torn_down: undefined,
  };
}
const settle_ms = 300;

function originOf(url: Offer['url']): readonly string[] {
  if (url === undefined) return [];
  const { hostname, ip, port } = url.address;
  const host = url.scheme === 'https' ? (hostname ?? ip) : (ip ?? hostname);
  const text = `${url.scheme}://${host?.includes(':') ? `[${host}]` : host}:${port}`;
  return host !== undefined && URL.canParse(text) ? [text] : [];
}
