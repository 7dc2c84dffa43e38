// subscription.ts: from the bytes of a subscription to events that can be trusted in shape.
//
// Between the socket and the framework stands a customs officer. Records that are no JSON end the subscription, since then the
// stream itself is broken. An event that is JSON but not what its type promises (no task id, offers that are no list) is put
// aside and told, and so is a type that we do not know: masters are newer than we are, and one strange event must not cost
// us the others. Whoever reads events behind this line need not ask whether a field is there.

import { isAscii } from 'node:buffer';
import { jsonIn } from './json.ts';
import type { Event, Offer } from './protocol.ts';
import { recordParser } from './recordio.ts';

export type SubscriptionRead = {
  readonly events: readonly Event[];
  /** One sentence for each record that was put aside. */
  readonly ignored: readonly string[];
  /** The stream cannot be read any further, and why. */
  readonly garbled?: string;
};

export type SubscriptionReader = {
  readonly feed: (chunk: Uint8Array) => SubscriptionRead;
  /** What SUBSCRIBED said; undefined before it. */
  readonly subscribed: () => Subscribed | undefined;
};
export type Subscribed = { readonly framework_id: string; readonly heartbeat_ms: number };

/** The interval of Mesos's own masters, for one that does not tell or tells nonsense. */
const heartbeat_ms_default = 15_000;
const heartbeat_ms_max = 600_000;

/** Reads one subscription from its first byte. The first event must be SUBSCRIBED, or ERROR when the master will not have us. */
export function subscriptionReader(record_bytes_max: number): SubscriptionReader {
  const parser = recordParser(record_bytes_max);
  let subscribed: Subscribed | undefined;
  let broken: string | undefined;
  return {
    feed(chunk) {
      const events: Event[] = [];
      const ignored: string[] = [];
      if (broken !== undefined) return { events, ignored, garbled: broken };
      const read = parser.feed(chunk);
      const textOf = textsOf(chunk, read.records);
      for (const record of read.records) {
        const text = textOf(record);
        const value = jsonIn(text);
        if (value === undefined) broken = `a record that is not JSON: ${brief(text)}`;
        else {
          const event = readEvent(value);
          if (typeof event === 'string') ignored.push(event);
          else if (subscribed === undefined && event.type !== 'SUBSCRIBED' && event.type !== 'ERROR')
            broken = `the first event is ${event.type}: expected SUBSCRIBED`;
          else {
            if (event.type === 'SUBSCRIBED') subscribed = readSubscribed(event);
            events.push(event);
          }
        }
        if (broken !== undefined) return { events, ignored, garbled: broken };
      }
      broken = read.garbled?.message;
      return broken === undefined ? { events, ignored } : { events, ignored, garbled: broken };
    },
    subscribed: () => subscribed,
  };
}

/** How long to wait before subscribing again: from half a second doubling to half a minute, the upper half of it by chance. */
export function resubscribeDelay(attempt: number, random01: number): number {
  const whole_ms = Math.min(resubscribe_ms_max, resubscribe_ms_min * 2 ** Math.min(Math.max(0, attempt - 1), 30));
  return Math.round(whole_ms * (0.5 + 0.5 * random01));
}
const resubscribe_ms_min = 500;
const resubscribe_ms_max = 30_000;

// --- events ---------------------------------------------------------------------------------------------------------

/** A parsed record as an event, or the sentence that says why it is none. */
export function readEvent(value: unknown): Event | string {
  if (!isObject(value) || typeof value.type !== 'string')
    return `a record without a type: ${brief(JSON.stringify(value))}`;
  const { type } = value;
  const check = checks[type];
  if (check === undefined) return `an event of unknown type ${brief(type)}`;
  const wrong = check(value);
  if (wrong === undefined) return value as Event;
  if (type !== 'OFFERS') return `${type} without ${wrong}: ${brief(JSON.stringify(value))}`;
  // One bad offer does not spoil the others.
  const list = isObject(value.offers) ? value.offers.offers : undefined;
  const offers = Array.isArray(list) ? list.filter(isOffer) : [];
  if (offers.length === 0) return `OFFERS without ${wrong}: ${brief(JSON.stringify(value))}`;
  return { type: 'OFFERS', offers: { offers } };
}

/** What every event of a type must have; the answer is what is missing. */
const checks: { readonly [type: string]: (event: Fields) => string | undefined } = {
  SUBSCRIBED: event =>
    need(isObject(event.subscribed) && isId(event.subscribed.framework_id), 'subscribed.framework_id'),
  HEARTBEAT: () => undefined,
  OFFERS: ({ offers }) =>
    need(isObject(offers) && Array.isArray(offers.offers) && offers.offers.every(isOffer), 'well-formed offers'),
  RESCIND: event => need(isObject(event.rescind) && isId(event.rescind.offer_id), 'rescind.offer_id'),
  UPDATE: event => need(isObject(event.update) && isStatus(event.update.status), 'a status with task_id and state'),
  MESSAGE: ({ message }) =>
    need(
      isObject(message) && isId(message.agent_id) && isId(message.executor_id) && typeof message.data === 'string',
      'agent_id, executor_id and data',
    ),
  FAILURE: ({ failure }) =>
    need(
      isObject(failure) && optional(failure.agent_id, isId) && optional(failure.executor_id, isId),
      'well-formed ids in failure',
    ),
  ERROR: event => need(isObject(event.error) && typeof event.error.message === 'string', 'error.message'),
  INVERSE_OFFERS: ({ inverse_offers }) =>
    need(
      isObject(inverse_offers) && isList(inverse_offers.inverse_offers, isInverseOffer),
      'inverse offers with id and unavailability',
    ),
  RESCIND_INVERSE_OFFER: ({ rescind_inverse_offer }) =>
    need(isObject(rescind_inverse_offer) && isId(rescind_inverse_offer.inverse_offer_id), 'inverse_offer_id'),
  UPDATE_OPERATION_STATUS: ({ update_operation_status }) =>
    need(
      isObject(update_operation_status) && isOperationStatus(update_operation_status.status),
      'a status with its state',
    ),
};
const need = (there: boolean, what: string) => (there ? undefined : what);

type Fields = { readonly [name: string]: unknown };
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): boolean => isObject(value) && typeof value.value === 'string';
const isList = (value: unknown, each: (item: unknown) => boolean) => Array.isArray(value) && value.every(each);
const optional = (value: unknown, holds: (value: unknown) => boolean) => value === undefined || holds(value);

const isOffer = (value: unknown): value is Offer =>
  isObject(value) &&
  isId(value.id) &&
  isId(value.agent_id) &&
  typeof value.hostname === 'string' &&
  isList(value.resources, isValue) &&
  optional(value.attributes, attributes => isList(attributes, isValue)) &&
  optional(value.allocation_info, isAllocation) &&
  optional(value.url, isUrl) &&
  optional(value.unavailability, isUnavailability);

const isInverseOffer = (value: unknown): boolean =>
  isObject(value) && isId(value.id) && optional(value.agent_id, isId) && isUnavailability(value.unavailability);
const isUnavailability = (value: unknown): boolean =>
  isObject(value) && isNanoseconds(value.start) && optional(value.duration, isNanoseconds);
const isNanoseconds = (value: unknown): boolean => isObject(value) && Number.isFinite(value.nanoseconds);
const isAllocation = (value: unknown): boolean =>
  isObject(value) && optional(value.role, role => typeof role === 'string');
const isUrl = (value: unknown): boolean =>
  isObject(value) && isObject(value.address) && Number.isInteger(value.address.port);

/** A resource or an attribute: a name, and whatever of scalar, ranges, set and text there is has its shape. */
const isValue = (value: unknown): boolean =>
  isObject(value) &&
  typeof value.name === 'string' &&
  optional(value.scalar, scalar => isObject(scalar) && typeof scalar.value === 'number') &&
  optional(value.ranges, ranges => isObject(ranges) && optional(ranges.range, range => isList(range, isObject))) &&
  optional(
    value.set,
    set => isObject(set) && optional(set.item, item => isList(item, text => typeof text === 'string')),
  ) &&
  optional(value.text, text => isObject(text) && typeof text.value === 'string') &&
  optional(value.reservations, reservations => isList(reservations, isObject)) &&
  optional(value.disk, isDisk) &&
  optional(value.allocation_info, isAllocation);
const isDisk = (value: unknown): boolean =>
  isObject(value) &&
  optional(value.persistence, persistence => isObject(persistence) && typeof persistence.id === 'string');

const isStatus = (value: unknown): boolean =>
  isObject(value) &&
  isId(value.task_id) &&
  typeof value.state === 'string' &&
  optional(value.agent_id, isId) &&
  optional(value.executor_id, isId) &&
  optional(value.uuid, uuid => typeof uuid === 'string') &&
  optional(value.message, message => typeof message === 'string') &&
  optional(value.reason, reason => typeof reason === 'string');

const isOperationStatus = (value: unknown): boolean =>
  isObject(value) &&
  typeof value.state === 'string' &&
  optional(value.operation_id, isId) &&
  optional(value.agent_id, isId) &&
  optional(value.uuid, isId);

function readSubscribed(event: Extract<Event, { type: 'SUBSCRIBED' }>): Subscribed {
  const { framework_id, heartbeat_interval_seconds } = event.subscribed;
  const told_ms = (heartbeat_interval_seconds ?? 0) * 1000;
  const heartbeat_ms = told_ms > 0 ? Math.min(told_ms, heartbeat_ms_max) : heartbeat_ms_default;
  return { framework_id: framework_id.value, heartbeat_ms };
}

/**
 * Reads the records of a chunk as text. Masters write little that is not ASCII, and of ASCII a whole chunk can be decoded at
 * once, of which each record is a slice that costs nothing.
 */
function textsOf(chunk: Uint8Array, records: readonly Uint8Array[]): (record: Uint8Array) => string {
  const whole = records.length > 1 && isAscii(chunk) ? decoder.decode(chunk) : undefined;
  return record => {
    const begin = record.byteOffset - chunk.byteOffset;
    // A record that was cut lies in a buffer of its own.
    if (whole === undefined || record.buffer !== chunk.buffer || begin < 0 || begin >= chunk.length)
      return decoder.decode(record);
    return whole.slice(begin, begin + record.length);
  };
}
const decoder = new TextDecoder();

const brief = (text: string | undefined): string => {
  const known = text ?? 'nothing';
  return known.length > 120 ? `${known.slice(0, 120)}...` : known;
};
