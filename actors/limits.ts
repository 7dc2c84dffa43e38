// limits.ts: the settings that the tree obeys, handed to each of its actors under the names that they know.

import { offerConstraints } from '../mesos/offer-constraints.ts';
import type { Capability, Subscribe } from '../mesos/protocol.ts';
import type { Settings } from '../settings.ts';
import { type ChannelName, notice_events } from './model/notices.ts';
import type { NoticesSettings, TreeSettings } from './tree.ts';

/** What Mesos is told of this framework. */
export type Identity = {
  readonly name: string;
  readonly user: string;
  readonly hostname: string;
  readonly webui_url?: string | undefined;
  /** The one that is authenticated; quotas and rate limits go by it. */
  readonly principal?: string | undefined;
  /** Whose offers we want; empty or left out: the role that everybody has. */
  readonly roles?: readonly string[];
  /** Agents write down what they run for us; true when left out. */
  readonly checkpoint?: boolean;
  /** Beside those that a careful framework has. */
  readonly capabilities?: readonly string[];
  /** Only agents that satisfy all of these are offered (mesos/offer-constraints.ts). */
  readonly offer_constraints?: readonly string[];
  /** Whether agents hand secrets to containers of type docker; true when left out, as ours do. */
  readonly docker_secrets?: boolean;
  /** Where agents find Horae's own executor; only simulations do without. */
  readonly archive?: () => string | undefined;
};
/** The role that everybody has, where none is wanted in particular. */
export const rolesOf = (roles: readonly string[] | undefined): readonly string[] =>
  roles === undefined || roles.length === 0 ? ['*'] : [...new Set(roles)];

/** Those that a careful framework has, and those that are wanted besides. */
export const capabilitiesOf = (wanted: readonly string[] | undefined): readonly Capability[] =>
  [...new Set([...capabilities_always, ...(wanted ?? [])])].map(type => ({ type }));
const capabilities_always = ['MULTI_ROLE', 'PARTITION_AWARE', 'TASK_KILLING_STATE', 'RESERVATION_REFINEMENT'];

/** `standing`: channels for which the settings name a place. */
export function treeSettings(
  settings: Settings,
  identity: Identity,
  standing: readonly ChannelName[] = [],
): TreeSettings {
  const notices = noticesSettings(settings, standing, identity.webui_url);
  return {
    directory: {
      jobs_max: settings.jobs_max,
      held_max: settings.submissions_held_max,
      docker_secrets: identity.docker_secrets ?? true,
    },
    framework: {
      resubscribe_ms: settings.resubscribe_delay_ms,
      resubscribe_ms_max: settings.resubscribe_delay_ms_max,
      reconcile_ms: settings.reconcile_delay_ms,
      reconcile_ms_max: settings.reconcile_delay_ms_max,
      reconcile_interval_ms: settings.reconcile_interval_ms,
      reconcile_batch_max: settings.reconcile_batch_max,
      removed: settings.framework_removed,
    },
    offers: {
      hold_ms: settings.offer_hold_ms,
      offers_max: settings.offers_max,
      refuse_seconds: settings.refuse_seconds,
      revive_interval_ms: settings.revive_interval_ms,
    },
    placement: { placements_max: settings.placement_batch_max, priority_step_ms: settings.priority_step_ms },
    timetable: {
      due_batch_max: settings.due_batch_max,
      backlog_max: settings.due_backlog_max,
      sleep_ms_max: settings.timer_sleep_ms_max,
    },
    trigger: {
      default_zone: settings.default_zone,
      late_grace_ms: settings.late_grace_ms,
      verdicts_max: settings.verdict_batch_max,
      waiting_max: settings.runs_waiting_max,
      runs_max: settings.runs_active_max,
      watch: notices,
    },
    instance: {
      retry_delay_ms: settings.retry_delay_ms,
      retry_delay_ms_max: settings.retry_delay_ms_max,
      kill_retry_ms: settings.kill_retry_ms,
      start_timeout_ms: settings.start_timeout_ms,
      well_after_ms: settings.well_after_ms,
      call_back_ms: settings.call_back_ms,
      executor: { cpus: settings.executor_cpus, mem: settings.executor_mem_mb, disk: settings.executor_disk_mb },
      withdraw_wait_ms: settings.serversets_zk === undefined ? 0 : settings.withdraw_wait_ms,
      ...(identity.archive === undefined ? {} : { archive: identity.archive }),
    },
    notices,
    instances_max: settings.instances_max,
    tokens_max: settings.tokens_max,
    entity_crashes: { crashes_max: settings.entity_crash_count_max, period_ms: settings.entity_crash_period_ms },
    subscribe: framework_id => subscribeRequest(framework_id, identity, settings.failover_timeout_days),
  };
}

function noticesSettings(
  settings: Settings,
  standing: readonly ChannelName[],
  console_url: string | undefined,
): NoticesSettings {
  const { notify_log_bytes_max, notify_listed_max } = settings;
  return {
    cluster: settings.notification_prefix ?? '',
    console_url,
    words: {
      ...(settings.notify_subject === undefined ? {} : { subject: settings.notify_subject }),
      ...(settings.notify_text === undefined ? {} : { text: settings.notify_text }),
    },
    standing,
    on: notice_events.filter(event => settings.notify_on.split(',').includes(event)),
    gather_ms: settings.notify_gather_ms,
    interval_ms: settings.notify_interval_ms,
    backoff: {
      delay_ms: settings.notify_retry_ms,
      factor: 2,
      delay_ms_max: settings.notify_retry_ms_max,
      jitter: 0.2,
    },
    give_up_ms: settings.notify_give_up_ms,
    notices_max: settings.notices_max,
    letters_max: settings.notify_letters_max,
    sending_max: settings.notify_sending_max,
    listed_max: notify_listed_max,
    dead_max: settings.notify_dead_max,
    // What may stand in a notice beside its log is bounded where it is made (wishes.ts).
    text_max: notify_listed_max * (notify_log_bytes_max + 4_096),
    log_ms_max: settings.notify_log_timeout_ms,
    // A channel ends by itself; this is for one that does not.
    delivery_ms_max: settings.notify_timeout_ms + 5_000,
    late_after_ms: settings.notify_late_after_ms,
    long_running_after_ms: settings.notify_long_running_after_ms,
    pending_after_ms: settings.notify_pending_after_ms,
  };
}

/** SUBSCRIBE as a careful framework says it: tasks outlive us, partitions are told apart from losses. */
export function subscribeRequest(
  framework_id: string | undefined,
  identity: Identity,
  failover_timeout_days: number,
): Subscribe {
  const roles = rolesOf(identity.roles);
  const offer_constraints = offerConstraints(roles, identity.offer_constraints ?? []);
  // Mesos wants the id in both places, and alike.
  return {
    type: 'SUBSCRIBE',
    ...(framework_id === undefined ? {} : { framework_id: { value: framework_id } }),
    subscribe: {
      framework_info: {
        user: identity.user,
        name: identity.name,
        hostname: identity.hostname,
        ...(identity.webui_url === undefined ? {} : { webui_url: identity.webui_url }),
        ...(framework_id === undefined ? {} : { id: { value: framework_id } }),
        ...(identity.principal === undefined ? {} : { principal: identity.principal }),
        roles,
        checkpoint: identity.checkpoint ?? true,
        failover_timeout: Math.round(failover_timeout_days * 86_400),
        capabilities: capabilitiesOf(identity.capabilities),
      },
      ...(offer_constraints === undefined ? {} : { offer_constraints }),
    },
  };
}
