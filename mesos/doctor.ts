// doctor.ts: what was found when somebody looked at a Mesos, put as a doctor would: well or not, and what to do.
//
// Pure: facts in, findings out. Each finding stands for one thing that usually goes wrong, says what was seen, and, where
// that is not as it should be, what would be right.

import { adviceOn, adviceOnError } from './advice.ts';
import type { LinkEnd, Offer } from './protocol.ts';

export type Finding = {
  readonly check:
    | 'zookeeper'
    | 'master'
    | 'leader'
    | 'clock'
    | 'subscription'
    | 'roles'
    | 'offers'
    | 'agents'
    | 'archive'
    | 'serversets'
    | 'farewell';
  /** `doubtful`: works, and may not be what is wanted. `unseen`: could not be looked at, because of what is wrong elsewhere. */
  readonly state: 'ok' | 'doubtful' | 'wrong' | 'unseen';
  readonly says: string;
  /** What would be right. */
  readonly expected?: string;
};

const found = (check: Finding['check'], state: Finding['state'], says: string, expected?: string): Finding => ({
  check,
  state,
  says,
  ...(expected === undefined ? {} : { expected }),
});

/** An answer to a question by HTTP, or why there was none. */
export type Answered =
  | {
      readonly status: number;
      readonly body: string;
      readonly location: string | undefined;
      /** The answerer's clock less ours, in milliseconds, exact to a second; undefined when it told no time. */
      readonly skew_ms: number | undefined;
    }
  | { readonly error: string };

/** /health of a master, and what /version says. */
export function masterFinding(url: string, health: Answered, version: Answered): Finding {
  if ('error' in health) return found('master', 'wrong', `${url}: ${health.error}`, adviceOnError(health.error));
  if (health.status !== 200)
    return found(
      'master',
      'wrong',
      `${url} answers ${health.status} to /health${words(health.body)}`,
      adviceOn(health.status) ?? 'a Mesos master that is well',
    );
  const told = 'error' in version ? undefined : versionIn(version.body);
  return found('master', 'ok', `${url} is well${told === undefined ? '' : `, Mesos ${told}`}`);
}

/** Whom each master that answers calls the leader, and whether that one answers. */
export function leaderFinding(
  told: readonly { readonly url: string; readonly redirect: Answered }[],
  reach: ReadonlyMap<string, Answered>,
): Finding {
  const leaders = new Map<string, string[]>();
  const silent: string[] = [];
  for (const { url, redirect } of told) {
    const leader = leaderAt(url, redirect);
    if (leader === undefined) silent.push(url);
    else leaders.set(leader, [...(leaders.get(leader) ?? []), url]);
  }
  const named = [...leaders.keys()];
  if (told.length === 0) return found('leader', 'unseen', 'no master answers');
  if (named.length === 0)
    return found(
      'leader',
      'wrong',
      `${silent.join(', ')}: no leader is known`,
      'masters of whom one leads; with --zk, a ZooKeeper that they reach',
    );
  if (named.length > 1)
    return found(
      'leader',
      'wrong',
      `the masters do not agree: ${named.map(leader => `${leaders.get(leader)!.join(', ')} say ${leader}`).join('; ')}`,
      'masters of one cluster, with one --zk',
    );
  const [leader] = named as [string];
  const answer = reach.get(leader);
  if (answer !== undefined && 'error' in answer)
    return found(
      'leader',
      'wrong',
      `${leader} leads, they say, and is not to be reached: ${answer.error}`,
      adviceOnError(answer.error) ?? 'a leader that this machine can reach',
    );
  if (silent.length > 0) return found('leader', 'doubtful', `${leader} leads; ${silent.join(', ')} knows of no leader`);
  return found('leader', 'ok', `${leader} leads`);
}

/** Where a master says that its leader is; undefined when it says nothing of the kind. */
export function leaderAt(url: string, redirect: Answered): string | undefined {
  if ('error' in redirect || redirect.location === undefined || redirect.status !== 307) return undefined;
  return URL.canParse(redirect.location, url) ? new URL(redirect.location, url).origin : undefined;
}

const skew_ms_ok = 2_000;
const skew_ms_max = 30_000;

/** How far clocks are apart. HTTP tells time by the second, so a second or two is nothing. */
export function clockFinding(skews: ReadonlyMap<string, number>): Finding {
  let worst: readonly [string, number] | undefined;
  for (const one of skews) if (worst === undefined || Math.abs(one[1]) > Math.abs(worst[1])) worst = one;
  if (worst === undefined) return found('clock', 'unseen', 'nobody told the time');
  const [who, skew_ms] = worst;
  const apart = `${who} is ${Math.abs(Math.round(skew_ms / 1000))} s ${skew_ms > 0 ? 'ahead of' : 'behind'} this machine`;
  if (Math.abs(skew_ms) <= skew_ms_ok) return found('clock', 'ok', `${skews.size} clocks agree with this one`);
  const expected = 'NTP on every machine: targets go by the clock here, and when tasks began by the clocks of agents';
  return found('clock', Math.abs(skew_ms) > skew_ms_max ? 'wrong' : 'doubtful', apart, expected);
}

/** What a throw-away subscription heard. */
export type Visit = {
  readonly framework_id: string | undefined;
  /** ERROR events, in the master's words. */
  readonly errors: readonly string[];
  readonly end: LinkEnd | undefined;
  readonly offers: readonly Offer[];
  readonly waited_ms: number;
  readonly torn_down: string | undefined;
};
export type Wishes = { readonly principal: string | undefined; readonly roles: readonly string[] };

export function visitFindings(visit: Visit, { principal, roles }: Wishes): readonly Finding[] {
  const as = principal === undefined ? 'without a principal' : `as principal ${principal}`;
  const [words_of_error] = visit.errors;
  if (visit.framework_id === undefined && words_of_error === undefined) {
    const end = visit.end ?? { why: 'silent' as const, message: 'no SUBSCRIBED came' };
    const advice = end.why === 'refused' ? adviceOn(end.status) : adviceOnError(end.message);
    return [found('subscription', 'wrong', `${as}: ${end.message}`, advice), ...unseen('roles', 'offers')];
  }
  if (words_of_error !== undefined)
    return [
      found('subscription', 'ok', `the master listens to us ${as}`),
      found('roles', 'wrong', `${roles.join(', ')}: ${words_of_error}`, '--mesos-roles that the master allows'),
      ...unseen('offers'),
    ];
  return [
    found('subscription', 'ok', `taken ${as}`),
    found('roles', 'ok', roles.join(', ')),
    offersFinding(visit, roles),
    visit.torn_down === undefined
      ? found('farewell', 'ok', 'the throw-away framework of this visit is removed, its offers are given back')
      : found(
          'farewell',
          'doubtful',
          `the throw-away framework ${visit.framework_id} could not be removed: ${visit.torn_down}`,
          'nothing: the master removes it by itself, since it is gone',
        ),
  ];
}

const unseen = (...checks: readonly Finding['check'][]) =>
  checks.map(check => found(check, 'unseen', 'nobody took us, so it could not be seen'));

function offersFinding({ offers, waited_ms }: Visit, roles: readonly string[]): Finding {
  if (offers.length === 0)
    return found(
      'offers',
      'doubtful',
      `none within ${Math.round(waited_ms / 1000)} s for ${roles.join(', ')}`,
      'agents with something free: others may hold all offers, a quota or reservations may keep them from these roles, or no agent is there',
    );
  const agents = new Set(offers.map(({ agent_id }) => agent_id.value));
  const sum = (name: string) =>
    offers.reduce((total, { resources }) => {
      const scalars = resources.filter(resource => resource.name === name && resource.revocable === undefined);
      return total + scalars.reduce((all, { scalar }) => all + (scalar?.value ?? 0), 0);
    }, 0);
  const free = `${round(sum('cpus'))} cpus, ${round(sum('mem'))} MB of memory, ${round(sum('disk'))} MB of disk`;
  const as = [...new Set(offers.map(({ allocation_info }) => allocation_info?.role ?? '*'))].join(', ');
  return found('offers', 'ok', `${offers.length} of ${agents.size} agents for ${as}: ${free} free; all given back`);
}

/** Agents are asked for what tasks wrote. */
export function agentsFinding(health: ReadonlyMap<string, Answered>): Finding {
  if (health.size === 0) return found('agents', 'unseen', 'no offer said where an agent listens');
  const away = [...health].flatMap(([origin, answer]) => {
    if ('error' in answer) return [`${origin}: ${answer.error}`];
    return answer.status === 200 ? [] : [`${origin} answers ${answer.status}`];
  });
  if (away.length === 0)
    return found('agents', 'ok', `${[...health.keys()].join(', ')}: reached, logs can be read there`);
  return found(
    'agents',
    'wrong',
    away.join('; '),
    'agents that this machine can reach, or the logs of tasks cannot be read',
  );
}

/** From where agents will fetch the executor. `agents` are the hosts on which they run. */
export function archiveFinding(url: string, answer: Answered, agents: readonly string[]): Finding {
  const at = URL.canParse(url) ? new URL(url) : undefined;
  if (at === undefined || !/^https?:$/.test(at.protocol))
    return found(
      'archive',
      'wrong',
      `${url} is no http or https address`,
      'an address that every agent can fetch from',
    );
  const elsewhere = agents.filter(host => !isHere(host));
  if (isHere(at.hostname) && elsewhere.length > 0)
    return found(
      'archive',
      'wrong',
      `${url} is this machine to whoever asks, and agents run on ${elsewhere.slice(0, 3).join(', ')}`,
      'an address under which agents find it',
    );
  if ('error' in answer) return found('archive', 'wrong', `${url}: ${answer.error}`, adviceOnError(answer.error));
  if (answer.status !== 200)
    return found('archive', 'wrong', `${url} answers ${answer.status}`, 'the archive of the executor there');
  return found('archive', 'ok', `${url} can be fetched from here; agents must reach it too`);
}

const isHere = (host: string) => host === 'localhost' || host === '[::1]' || host === '::1' || /^127\./.test(host);

// --- how it is told -------------------------------------------------------------------------------------------------

export const isHealthy = (findings: readonly Finding[]): boolean => findings.every(({ state }) => state !== 'wrong');

/** One line for each finding, and one more for what would be right. */
export function reportText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, state, says, expected }) => [
    `${state.padEnd(8)}  ${check.padEnd(width)}  ${says}`,
    ...(expected === undefined ? [] : [`${' '.repeat(12 + width)}expected ${expected}`]),
  ]);
  const wrong = findings.filter(({ state }) => state === 'wrong').length;
  const doubtful = findings.filter(({ state }) => state === 'doubtful').length;
  const verdict = wrong > 0 ? `${wrong} wrong` : doubtful > 0 ? `nothing wrong, ${doubtful} doubtful` : 'nothing wrong';
  return `${[...lines, verdict].join('\n')}\n`;
}

const round = (value: number) => Math.round(value * 100) / 100;
const words = (body: string) => (body.trim() === '' ? '' : `: ${body.trim().slice(0, 200)}`);

function versionIn(body: string): string | undefined {
  const [, version] = /"version":"([^"]{1,40})"/.exec(body) ?? [];
  return version;
}
