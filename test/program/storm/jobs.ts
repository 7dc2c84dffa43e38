// jobs.ts: the jobs of a storm: a mix of everything, whose tasks write down what they do as they do it.
//
// Each task signs a ledger outside its sandbox when it starts and when it ends, one line each, appended by one write, so
// that neither a crash of the scheduler nor many writers can tear a line. And each holds a lock of the kernel while
// there is a process of it: a second copy that comes while the first is there finds the lock taken, and says so.

import type { JobKey } from '../../../actors/model/ids.ts';

export type Document = Readonly<Record<string, unknown>> & {
  readonly role: string;
  readonly environment: string;
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
};
/** What the storm has to know of a job in order to judge it. */
export type Sort = {
  /** `once`: runs when it is created. `hand`: that, and by hand. */
  readonly kind: 'recurring' | 'service' | 'once' | 'hand';
  /** Milliseconds between targets, which lie on whole multiples of it. */
  readonly period_ms?: number;
  /** `exact`: every target runs. Else which fates are the policy's own doing, as `outcome why`. */
  readonly fates?: readonly string[];
  /** A service that must have exactly this many live copies when all is quiet. */
  readonly copies?: number;
};
export type Place = { readonly ledger: string; readonly locks: string };
export type Entry = { readonly document: Document; readonly sort: Sort };

export const keyOf = ({ role, environment, name }: Document): JobKey => `${role}/${environment}/${name}`;
const role = 'storm';
const environment = 'test';

/** `$WORK` decides how long it takes and how it ends. SIGTERM is answered by going, with a word. */
const command = [
  `say() { printf '%s %s %s %s %s %s %s %s\\n' "$1" "$HORAE_JOB" "$GENERATION" "$HORAE_RUN_ID" "$HORAE_INSTANCE" ` +
    `"$HORAE_ATTEMPT" "$HORAE_SCHEDULED_AT" "$2" >> "$LEDGER"; }`,
  `leave() { trap '' TERM; say end "$1 $(date +%s%N)"; exit "$1"; }`,
  'say start "$$ $(date +%s%N)"',
  // Not before: one that is asked to go before it has signed goes without a word.
  `trap 'leave 143' TERM`,
  'lock=$LOCKS/$NAME.$HORAE_INSTANCE; [ "$ALONE" = yes ] || lock=$lock.$HORAE_RUN_ID',
  'exec 9>>"$lock"; flock -w 1 9 || say overlap -',
  '( eval "$WORK" )',
  'leave $?',
].join('\n');

type Wanted = {
  readonly name: string;
  readonly work: string;
  readonly alone?: boolean;
  readonly generation?: number;
} & {
  readonly [field: string]: unknown;
};
function document({ ledger, locks }: Place, { name, work, alone, generation, ...fields }: Wanted): Document {
  const env = {
    LEDGER: ledger,
    LOCKS: locks,
    NAME: name,
    WORK: work,
    ALONE: alone === true ? 'yes' : 'no',
    GENERATION: String(generation ?? 1),
  };
  return { role, environment, name, command, cpus: 0.05, mem: 16, env, ...fields };
}

const every = (seconds: number) => `R/2026-01-01T00:00:00Z/PT${seconds}S`;
const all = { policy: 'all' } as const;
const aside = { policy: 'allow', max: 1000 } as const;

/** The jobs that are there from the first moment to the last. */
export function lasting(place: Place): readonly Entry[] {
  return [
    {
      // Ends now well, now badly.
      document: document(place, {
        name: 'beat',
        work: 'sleep 0.2; exit $(( $(date +%s) % 2 * 5 ))',
        schedule: every(1),
        catch_up: all,
        overlap: aside,
      }),
      sort: { kind: 'recurring', period_ms: 1000, fates: [] },
    },
    {
      document: document(place, {
        name: 'pairs',
        work: 'sleep 0.3',
        cron: '*/2 * * * * *',
        instances: 2,
        catch_up: all,
        overlap: { policy: 'buffer-all', max: 10_000 },
        alone: true,
      }),
      sort: { kind: 'recurring', period_ms: 2000, fates: [] },
    },
    {
      document: document(place, {
        name: 'retried',
        work: '[ "$HORAE_ATTEMPT" -ge 2 ] || exit 7',
        schedule: every(2),
        retries: 3,
        retry_delay_ms: 200,
        catch_up: all,
        overlap: aside,
      }),
      sort: { kind: 'recurring', period_ms: 2000, fates: [] },
    },
    {
      document: document(place, {
        name: 'pushy',
        work: 'sleep 3',
        schedule: every(2),
        collision_policy: 'KILL_EXISTING',
        catch_up: all,
        alone: true,
      }),
      sort: { kind: 'recurring', period_ms: 2000, fates: ['superseded overlap'] },
    },
    {
      document: document(place, {
        name: 'shy',
        work: 'sleep 2.3',
        schedule: every(1),
        collision_policy: 'CANCEL_NEW',
        catch_up: all,
        alone: true,
      }),
      sort: { kind: 'recurring', period_ms: 1000, fates: ['skipped overlap'] },
    },
    {
      document: document(place, { name: 'latest', work: ':', schedule: every(1), overlap: aside }),
      sort: { kind: 'recurring', period_ms: 1000, fates: ['superseded later_target'] },
    },
    {
      document: document(place, {
        name: 'web',
        work: 'while :; do sleep 0.5; done',
        service: true,
        instances: 2,
        alone: true,
      }),
      sort: { kind: 'service', copies: 2 },
    },
    {
      document: document(place, { name: 'flappy', work: 'sleep 1.5; exit 9', service: true, alone: true }),
      sort: { kind: 'service' },
    },
    {
      document: document(place, { name: 'hand', work: 'sleep 0.5; exit 4', overlap: aside }),
      sort: { kind: 'hand' },
    },
    {
      document: document(place, { name: 'suicide', work: 'sleep 0.3; kill -KILL $$', retries: 0 }),
      sort: { kind: 'once' },
    },
  ];
}

/** The one whose wrapper is killed: how it ended cannot be known, and must not be guessed. */
export const victim = (place: Place): Entry => ({
  document: document(place, { name: 'victim', work: 'sleep 1000' }),
  sort: { kind: 'once' },
});

/** Lives through several crashes, and ends as it likes. */
export const longRun = (place: Place, number: number, seconds: number, exit_code: number): Entry => ({
  document: document(place, { name: `long-${number}`, work: `sleep ${seconds}; exit ${exit_code}` }),
  sort: { kind: 'once' },
});

/** Created, replaced and deleted again and again; each generation is told from the others by its tasks' words. */
export const passing = (place: Place, number: number, generation: number): Entry => ({
  document: document(place, {
    name: `passing-${number}`,
    work: 'sleep 0.4; exit 6',
    schedule: every(2),
    catch_up: all,
    overlap: { policy: 'buffer-all', max: 10_000 },
    alone: true,
    generation,
  }),
  sort: { kind: 'recurring', period_ms: 2000, fates: [] },
});
export const passingService = (place: Place, number: number, generation: number): Entry => ({
  document: document(place, {
    name: `guest-${number}`,
    work: 'while :; do sleep 0.5; done',
    service: true,
    instances: 2,
    alone: true,
    generation,
  }),
  sort: { kind: 'service', copies: 2 },
});
