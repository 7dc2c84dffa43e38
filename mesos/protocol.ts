// protocol.ts: the calls and events of the Mesos v1 scheduler API that we use, as they stand in its JSON.
//
// Names and nesting are Mesos's own (mesos/v1/mesos.proto, mesos/v1/scheduler/scheduler.proto), so that a recorded
// conversation can be laid beside them. Fields that we neither send nor read are left out; unknown ones are ignored.

export type Id = { readonly value: string };

// --- resources and offers ---------------------------------------------------------------------------------------

export type Range = { readonly begin: number; readonly end: number };
export type Reservation = {
  readonly type?: 'STATIC' | 'DYNAMIC';
  readonly role?: string;
  readonly principal?: string;
  readonly labels?: Labels;
};
export type DiskInfo = {
  /** A persistent volume: what is in it outlives its task. */
  readonly persistence?: { readonly id: string; readonly principal?: string };
  readonly volume?: { readonly mode: 'RW' | 'RO'; readonly container_path: string; readonly host_path?: string };
  /** A disk of its own (a mount, a path, what a storage plugin made), which cannot be cut as the agent's own can. */
  readonly source?: unknown;
};
export type Resource = {
  readonly name: string;
  readonly type: 'SCALAR' | 'RANGES' | 'SET';
  readonly scalar?: { readonly value: number };
  readonly ranges?: { readonly range: readonly Range[] };
  readonly set?: { readonly item: readonly string[] };
  readonly role?: string;
  readonly allocation_info?: { readonly role: string };
  readonly reservations?: readonly Reservation[];
  readonly revocable?: Record<string, never>;
  readonly disk?: DiskInfo;
};
export type Attribute = {
  readonly name: string;
  readonly type: 'SCALAR' | 'RANGES' | 'SET' | 'TEXT';
  readonly scalar?: { readonly value: number };
  readonly ranges?: { readonly range: readonly Range[] };
  readonly set?: { readonly item: readonly string[] };
  readonly text?: { readonly value: string };
};
export type Url = {
  readonly scheme: string;
  readonly address: { readonly hostname?: string; readonly ip?: string; readonly port: number };
  readonly path?: string;
};
export type Unavailability = {
  readonly start: { readonly nanoseconds: number };
  readonly duration?: { readonly nanoseconds: number };
};
export type Offer = {
  readonly id: Id;
  readonly framework_id: Id;
  readonly agent_id: Id;
  readonly hostname: string;
  readonly url?: Url;
  readonly resources: readonly Resource[];
  readonly attributes?: readonly Attribute[];
  readonly executor_ids?: readonly Id[];
  readonly allocation_info?: { readonly role: string };
  readonly unavailability?: Unavailability;
};
/** A request to give an agent back: it is going into maintenance. */
export type InverseOffer = {
  readonly id: Id;
  readonly framework_id: Id;
  readonly agent_id?: Id;
  readonly url?: Url;
  readonly unavailability: Unavailability;
  readonly resources?: readonly Resource[];
};

// --- tasks --------------------------------------------------------------------------------------------------------

/** By reference: whoever runs the task finds out what it is. */
export type Secret = { readonly type: string; readonly reference?: { readonly name: string; readonly key?: string } };
export type Variable = {
  readonly name: string;
  /** Absent in a secret. */
  readonly value?: string;
  readonly type?: 'VALUE' | 'SECRET';
  readonly secret?: Secret;
};
export type Environment = { readonly variables: readonly Variable[] };
export type Uri = {
  readonly value: string;
  readonly executable?: boolean;
  readonly extract?: boolean;
  readonly cache?: boolean;
  readonly output_file?: string;
};
export type CommandInfo = {
  /** true (the default): `/bin/sh -c value`. false: exec of `value` with `arguments` as argv, [0] included. */
  readonly shell?: boolean;
  readonly value?: string;
  readonly arguments?: readonly string[];
  readonly environment?: Environment;
  readonly uris?: readonly Uri[];
  readonly user?: string;
};
export type KillPolicy = { readonly grace_period?: { readonly nanoseconds: number } };
export type HealthCheck = {
  readonly type: 'COMMAND' | 'HTTP' | 'TCP';
  readonly command?: CommandInfo;
  readonly http?: { readonly scheme?: string; readonly port: number; readonly path?: string };
  readonly tcp?: { readonly port: number };
  readonly delay_seconds?: number;
  readonly interval_seconds?: number;
  readonly timeout_seconds?: number;
  readonly consecutive_failures?: number;
  readonly grace_period_seconds?: number;
};
export type Labels = { readonly labels: readonly { readonly key: string; readonly value?: string }[] };
export type ExecutorInfo = {
  readonly type?: 'DEFAULT' | 'CUSTOM' | 'UNKNOWN';
  readonly executor_id: Id;
  readonly framework_id?: Id;
  readonly command?: CommandInfo;
  readonly resources?: readonly Resource[];
  readonly shutdown_grace_period?: { readonly nanoseconds: number };
  readonly name?: string;
  readonly container?: ContainerInfo;
  readonly data?: string;
};
export type PortMapping = { readonly host_port: number; readonly container_port: number; readonly protocol?: string };
export type NetworkInfo = {
  readonly name?: string;
  readonly ip_addresses?: readonly { readonly protocol?: 'IPv4' | 'IPv6'; readonly ip_address?: string }[];
  readonly labels?: Labels;
  readonly port_mappings?: readonly PortMapping[];
};
type Parameter = { readonly key: string; readonly value: string };
export type Volume = {
  readonly mode: 'RW' | 'RO';
  readonly container_path: string;
  readonly host_path?: string;
  readonly source?: {
    readonly type: string;
    readonly secret?: Secret;
    readonly docker_volume?: {
      readonly driver?: string;
      readonly name: string;
      readonly driver_options?: { readonly parameter: readonly Parameter[] };
    };
  };
};
export type ContainerInfo = {
  readonly type: 'DOCKER' | 'MESOS';
  readonly docker?: {
    readonly image: string;
    readonly network?: 'HOST' | 'BRIDGE' | 'USER' | 'NONE';
    readonly port_mappings?: readonly PortMapping[];
    readonly parameters?: readonly Parameter[];
    readonly privileged?: boolean;
    readonly force_pull_image?: boolean;
  };
  readonly mesos?: {
    readonly image?: {
      readonly type: 'DOCKER' | 'APPC';
      readonly docker?: { readonly name: string };
      readonly cached?: boolean;
    };
  };
  readonly volumes?: readonly Volume[];
  readonly network_infos?: readonly NetworkInfo[];
  readonly rlimit_info?: { readonly rlimits: readonly RLimit[] };
  readonly hostname?: string;
};
/** Neither soft nor hard: without limit. */
export type RLimit = { readonly type: string; readonly soft?: number; readonly hard?: number };
export type TaskInfo = {
  readonly name: string;
  readonly task_id: Id;
  readonly agent_id: Id;
  readonly resources: readonly Resource[];
  readonly command?: CommandInfo;
  readonly executor?: ExecutorInfo;
  readonly container?: ContainerInfo;
  readonly kill_policy?: KillPolicy;
  readonly health_check?: HealthCheck;
  readonly check?: unknown;
  readonly max_completion_time?: { readonly nanoseconds: number };
  readonly labels?: Labels;
  readonly discovery?: DiscoveryInfo;
  readonly data?: string;
};

/** For name servers that listen to the master, such as Mesos-DNS. */
export type DiscoveryInfo = {
  readonly visibility: 'FRAMEWORK' | 'CLUSTER' | 'EXTERNAL';
  readonly name?: string;
  readonly environment?: string;
  readonly ports?: {
    readonly ports: readonly { readonly number: number; readonly name?: string; readonly protocol?: string }[];
  };
};

export const task_states = [
  'TASK_STAGING',
  'TASK_STARTING',
  'TASK_RUNNING',
  'TASK_KILLING',
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_UNREACHABLE',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
  'TASK_UNKNOWN',
] as const;
export type TaskState = (typeof task_states)[number];
/** After these nothing more is heard of a task. UNREACHABLE and UNKNOWN are none: it may come back. */
export const terminal_states: ReadonlySet<TaskState> = new Set([
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
]);
/** Every reason of the v1 API, as far as masters of today have them. The set is open: others may come. */
export const status_reasons = [
  'REASON_AGENT_DISCONNECTED',
  'REASON_AGENT_DRAINING',
  'REASON_AGENT_REMOVED',
  'REASON_AGENT_REMOVED_BY_OPERATOR',
  'REASON_AGENT_REREGISTERED',
  'REASON_AGENT_RESTARTED',
  'REASON_AGENT_UNKNOWN',
  'REASON_COMMAND_EXECUTOR_FAILED',
  'REASON_CONTAINER_LAUNCH_FAILED',
  'REASON_CONTAINER_LIMITATION',
  'REASON_CONTAINER_LIMITATION_DISK',
  'REASON_CONTAINER_LIMITATION_MEMORY',
  'REASON_CONTAINER_PREEMPTED',
  'REASON_CONTAINER_UPDATE_FAILED',
  'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
  'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
  'REASON_EXECUTOR_TERMINATED',
  'REASON_EXECUTOR_UNREGISTERED',
  'REASON_FRAMEWORK_REMOVED',
  'REASON_GC_ERROR',
  'REASON_INVALID_FRAMEWORKID',
  'REASON_INVALID_OFFERS',
  'REASON_IO_SWITCHBOARD_EXITED',
  'REASON_MASTER_DISCONNECTED',
  'REASON_MAX_COMPLETION_TIME_REACHED',
  'REASON_RECONCILIATION',
  'REASON_RESOURCES_UNKNOWN',
  'REASON_TASK_CHECK_STATUS_UPDATED',
  'REASON_TASK_GROUP_INVALID',
  'REASON_TASK_GROUP_UNAUTHORIZED',
  'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED',
  'REASON_TASK_INVALID',
  'REASON_TASK_KILLED_DURING_LAUNCH',
  'REASON_TASK_UNAUTHORIZED',
] as const;
export type StatusSource = 'SOURCE_MASTER' | 'SOURCE_AGENT' | 'SOURCE_EXECUTOR';

export type TaskStatus = {
  readonly task_id: Id;
  readonly state: TaskState;
  readonly message?: string;
  readonly source?: StatusSource;
  /** `REASON_...` as Mesos writes it; the set is open. */
  readonly reason?: string;
  /** base64. */
  readonly data?: string;
  readonly agent_id?: Id;
  readonly executor_id?: Id;
  /** Seconds since the epoch, with a fraction. */
  readonly timestamp?: number;
  /** base64; present when the update wants an ACKNOWLEDGE, which echoes it. */
  readonly uuid?: string;
  readonly healthy?: boolean;
  readonly labels?: Labels;
  readonly container_status?: {
    readonly container_id?: Id;
    readonly network_infos?: readonly NetworkInfo[];
    readonly executor_pid?: number;
  };
  readonly check_status?: unknown;
  /** What it would have had to make do with, when the agent ended it for using more. */
  readonly limitation?: { readonly resources?: readonly Resource[] };
  readonly unreachable_time?: { readonly nanoseconds: number };
};

export const operation_states = [
  'OPERATION_PENDING',
  'OPERATION_FINISHED',
  'OPERATION_FAILED',
  'OPERATION_ERROR',
  'OPERATION_DROPPED',
  'OPERATION_UNREACHABLE',
  'OPERATION_GONE_BY_OPERATOR',
  'OPERATION_RECOVERING',
  'OPERATION_UNKNOWN',
] as const;
export type OperationState = (typeof operation_states)[number];
export type OperationStatus = {
  readonly operation_id?: Id;
  readonly state: OperationState;
  readonly message?: string;
  /** Present when the update wants an ACKNOWLEDGE_OPERATION_STATUS. */
  readonly uuid?: Id;
  readonly agent_id?: Id;
  readonly converted_resources?: readonly Resource[];
};

// --- calls ----------------------------------------------------------------------------------------------------------

export type Capability = { readonly type: string };
export type FrameworkInfo = {
  readonly user: string;
  readonly name: string;
  readonly id?: Id;
  readonly failover_timeout?: number;
  readonly checkpoint?: boolean;
  readonly hostname?: string;
  readonly webui_url?: string;
  readonly principal?: string;
  readonly role?: string;
  readonly roles?: readonly string[];
  readonly capabilities?: readonly Capability[];
  readonly labels?: Labels;
};
export type Filters = { readonly refuse_seconds?: number };
/** What is done with offered resources. One that has an `id` is answered with UPDATE_OPERATION_STATUS; launches are not. */
export type Operation =
  | { readonly type: 'LAUNCH'; readonly launch: { readonly task_infos: readonly TaskInfo[] } }
  | {
      readonly type: 'LAUNCH_GROUP';
      readonly launch_group: {
        readonly executor: ExecutorInfo;
        readonly task_group: { readonly tasks: readonly TaskInfo[] };
      };
    }
  | { readonly type: 'RESERVE'; readonly id?: Id; readonly reserve: { readonly resources: readonly Resource[] } }
  | { readonly type: 'UNRESERVE'; readonly id?: Id; readonly unreserve: { readonly resources: readonly Resource[] } }
  | { readonly type: 'CREATE'; readonly id?: Id; readonly create: { readonly volumes: readonly Resource[] } }
  | { readonly type: 'DESTROY'; readonly id?: Id; readonly destroy: { readonly volumes: readonly Resource[] } };

export type AttributeSelector =
  | { readonly attribute_name: string }
  | { readonly pseudoattribute_type: 'HOSTNAME' | 'REGION' | 'ZONE' };
export type AttributePredicate =
  | { readonly exists: Record<string, never> }
  | { readonly not_exists: Record<string, never> }
  | { readonly text_equals: { readonly value: string } }
  | { readonly text_not_equals: { readonly value: string } }
  | { readonly text_matches: { readonly regex: string } }
  | { readonly text_not_matches: { readonly regex: string } };
/** Offers of a role come only from agents that satisfy all constraints of at least one of its groups. */
export type OfferConstraints = {
  readonly role_constraints: {
    readonly [role: string]: {
      readonly groups: readonly {
        readonly attribute_constraints: readonly {
          readonly selector: AttributeSelector;
          readonly predicate: AttributePredicate;
        }[];
      }[];
    };
  };
};
/** Who we are, and on what terms we take offers. */
export type FrameworkTerms = {
  readonly framework_info: FrameworkInfo;
  readonly suppressed_roles?: readonly string[];
  readonly offer_constraints?: OfferConstraints;
};
type InverseAnswer = { readonly inverse_offer_ids: readonly Id[]; readonly filters?: Filters };

export type Subscribe = {
  readonly type: 'SUBSCRIBE';
  readonly framework_id?: Id;
  readonly subscribe: FrameworkTerms;
};
/** Every call but SUBSCRIBE, less `framework_id`, which whoever sends it adds. */
export type Call =
  | { readonly type: 'TEARDOWN' }
  | {
      readonly type: 'ACCEPT';
      readonly accept: {
        readonly offer_ids: readonly Id[];
        readonly operations: readonly Operation[];
        readonly filters?: Filters;
      };
    }
  | { readonly type: 'DECLINE'; readonly decline: { readonly offer_ids: readonly Id[]; readonly filters?: Filters } }
  | { readonly type: 'REVIVE'; readonly revive?: { readonly roles?: readonly string[] } }
  | { readonly type: 'SUPPRESS'; readonly suppress?: { readonly roles?: readonly string[] } }
  | {
      readonly type: 'KILL';
      readonly kill: { readonly task_id: Id; readonly agent_id?: Id; readonly kill_policy?: KillPolicy };
    }
  | { readonly type: 'SHUTDOWN'; readonly shutdown: { readonly executor_id: Id; readonly agent_id: Id } }
  | {
      readonly type: 'ACKNOWLEDGE';
      readonly acknowledge: { readonly agent_id: Id; readonly task_id: Id; readonly uuid: string };
    }
  | {
      readonly type: 'RECONCILE';
      readonly reconcile: { readonly tasks: readonly { readonly task_id: Id; readonly agent_id?: Id }[] };
    }
  | {
      readonly type: 'MESSAGE';
      readonly message: { readonly agent_id: Id; readonly executor_id: Id; readonly data: string };
    }
  /** The only call that is answered when it has taken effect, with 200. */
  | { readonly type: 'UPDATE_FRAMEWORK'; readonly update_framework: FrameworkTerms }
  | { readonly type: 'ACCEPT_INVERSE_OFFERS'; readonly accept_inverse_offers: InverseAnswer }
  | { readonly type: 'DECLINE_INVERSE_OFFERS'; readonly decline_inverse_offers: InverseAnswer }
  | {
      readonly type: 'ACKNOWLEDGE_OPERATION_STATUS';
      readonly acknowledge_operation_status: {
        readonly agent_id?: Id;
        /** Bare base64, although the event has it as a message. */
        readonly uuid: string;
        readonly operation_id: Id;
      };
    }
  | {
      readonly type: 'RECONCILE_OPERATIONS';
      readonly reconcile_operations: {
        readonly operations: readonly { readonly operation_id: Id; readonly agent_id?: Id }[];
      };
    };
export type CallOnWire = Call & { readonly framework_id: Id };

// --- events ---------------------------------------------------------------------------------------------------------

export type MasterInfo = {
  readonly id: string;
  readonly port: number;
  readonly ip?: number;
  readonly pid?: string;
  readonly hostname?: string;
  readonly version?: string;
  readonly address?: { readonly hostname?: string; readonly ip?: string; readonly port: number };
  readonly capabilities?: readonly Capability[];
};
export type Event =
  | {
      readonly type: 'SUBSCRIBED';
      readonly subscribed: {
        readonly framework_id: Id;
        readonly heartbeat_interval_seconds?: number;
        readonly master_info?: MasterInfo;
      };
    }
  | { readonly type: 'HEARTBEAT' }
  | { readonly type: 'OFFERS'; readonly offers: { readonly offers: readonly Offer[] } }
  | { readonly type: 'INVERSE_OFFERS'; readonly inverse_offers: { readonly inverse_offers: readonly InverseOffer[] } }
  | { readonly type: 'RESCIND'; readonly rescind: { readonly offer_id: Id } }
  | {
      readonly type: 'RESCIND_INVERSE_OFFER';
      readonly rescind_inverse_offer: { readonly inverse_offer_id: Id };
    }
  | { readonly type: 'UPDATE'; readonly update: { readonly status: TaskStatus } }
  | {
      readonly type: 'UPDATE_OPERATION_STATUS';
      readonly update_operation_status: { readonly status: OperationStatus };
    }
  | {
      readonly type: 'MESSAGE';
      readonly message: { readonly agent_id: Id; readonly executor_id: Id; readonly data: string };
    }
  | {
      readonly type: 'FAILURE';
      readonly failure: { readonly agent_id?: Id; readonly executor_id?: Id; readonly status?: number };
    }
  | { readonly type: 'ERROR'; readonly error: { readonly message: string } };

/** What the framework sees of a connection to a master, whatever carries it. */
export interface MesosLink {
  /**
   * Opens the subscription (again): the listener is told `subscribed` with the master's SUBSCRIBED first, then events in
   * order and in batches, then exactly one `ended`. After `ended` nothing of that subscription arrives any more; whoever
   * holds the link decides when to subscribe again. A second `subscribe` ends the first without a word.
   */
  subscribe(request: Subscribe, listener: LinkListener): void;
  /**
   * Sends one call of the present subscription. Calls reach the master in the order in which they were made.
   * `refused`: the master said no, with its status and words. `unknown`: sent or half sent, and no answer came: it may
   * have taken effect. `unsent`: it surely has not (no subscription, connection refused).
   */
  call(call: Call): Promise<CallAnswer>;
  /** Ends the subscription and everything under way, without a TEARDOWN: tasks live on. */
  close(): Promise<void>;
}
export type LinkListener = {
  readonly events: (events: readonly Event[]) => void;
  readonly ended: (reason: LinkEnd) => void;
  /** After `ended`: a master leads that did not before, so whoever waits to subscribe again need not wait on. */
  readonly found?: () => void;
};
export type LinkEnd = {
  /** `refused`: an HTTP status that is not 200; `silent`: no heartbeat in time; `closed`: end of body or of connection. */
  readonly why: 'refused' | 'unreachable' | 'silent' | 'closed' | 'garbled';
  readonly status?: number;
  readonly message: string;
};
export type CallAnswer =
  | { readonly type: 'accepted' }
  | { readonly type: 'refused'; readonly status: number; readonly message: string }
  | { readonly type: 'unknown'; readonly message: string }
  | { readonly type: 'unsent'; readonly message: string };
