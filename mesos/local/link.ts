// link.ts: the way to a master that lives in the same process: no bytes, no sockets, the same conversation.
//
// Everything that would cross a wire crosses one `defer` instead: a call on its way there, its answer and the events on
// their way back. Whoever owns `defer` decides when and in which order things arrive: the event loop in a benchmark, a
// seeded queue in a simulation, which may also cut the wire at any such moment.

import { Roll } from '../../schedules/book.ts';
import type { Call, CallAnswer, CallOnWire, Event, LinkEnd, LinkListener, MesosLink, Subscribe } from '../protocol.ts';
import type { MasterHost } from './host.ts';

/** Runs something later, never at once. */
export type Defer = (work: () => void) => void;

export interface LocalLink extends MesosLink {
  /** Breaks the connection: the master sees it close, the framework its end, and calls under way their unknown fate. */
  cut(why?: LinkEnd): void;
}

type Subscription = {
  readonly listener: LinkListener;
  readonly stream: string;
  /** From SUBSCRIBED; nothing can be called before. */
  framework_id: string | undefined;
  /** Events that have left the master and not arrived yet. */
  readonly under_way: Event[];
  /** Calls that have not reached the master yet, in the order in which they were made. */
  readonly unsent: Unsent[];
  /** Calls without an answer yet. */
  readonly calls: Roll<(answer: CallAnswer) => void>;
  /** Set once the listener has heard its end, or is not to hear anything any more. */
  over: boolean;
};

/** A call that has not left, and who waits for its answer. */
type Unsent = { readonly call: CallOnWire; readonly resolve: (answer: CallAnswer) => void };
type Answer = { readonly status: number; readonly text: string };

/**
 * `bundled`: what is called during a turn crosses together, which is cheap. Without it each call crosses by itself, so that
 * a simulation may cut the wire between any two.
 */
export function localLink(host: MasterHost, defer: Defer, streamId: () => string, bundled = false): LocalLink {
  let present: Subscription | undefined;

  /** Ends a subscription on our side; `told` when the listener is to hear of it. */
  const end = (subscription: Subscription, told: LinkEnd | undefined) => {
    if (subscription.over) return;
    subscription.over = true;
    if (present === subscription) present = undefined;
    if (told !== undefined) subscription.listener.ended(told);
  };

  const deliver = (subscription: Subscription) => {
    if (subscription.over || subscription.under_way.length === 0) return;
    const events = subscription.under_way.splice(0);
    for (const event of events)
      if (event.type === 'SUBSCRIBED') subscription.framework_id = event.subscribed.framework_id.value;
    subscription.listener.events(events);
  };

  const open = (request: Subscribe, subscription: Subscription) => {
    if (subscription.over) return;
    const { stream } = subscription;
    const events = (events: readonly Event[]) => {
      if (subscription.under_way.length === 0) defer(() => deliver(subscription));
      for (const event of events) subscription.under_way.push(event);
    };
    const closed = () =>
      defer(() => {
        deliver(subscription);
        end(subscription, { why: 'closed', message: 'the master ended the stream' });
      });
    host.subscribe({ id: stream, events, closed }, request, ({ status, text }) => {
      if (status !== 200) defer(() => end(subscription, { why: 'refused', status, message: text }));
    });
  };

  const hangUp = (told: LinkEnd | undefined) => {
    const subscription = present;
    if (subscription === undefined) return;
    end(subscription, told);
    subscription.unsent.length = 0;
    for (const answer of subscription.calls)
      answer({ type: 'unknown', message: `the connection ended before an answer came: ${told?.message ?? 'closed'}` });
    subscription.calls.clear();
    defer(() => host.streamClosed(subscription.stream));
  };

  const answered = (subscription: Subscription, { resolve }: Unsent, { status, text }: Answer) => {
    if (!subscription.calls.delete(resolve)) return;
    resolve(status === 202 || status === 200 ? { type: 'accepted' } : { type: 'refused', status, message: text });
  };
  /** Whichever turn comes first takes the call that was made first; after a cut there is none left to take. */
  const sendOne = (subscription: Subscription) => {
    const one = subscription.unsent.shift();
    if (one === undefined) return;
    host.call(subscription.stream, one.call, answer => defer(() => answered(subscription, one, answer)));
  };
  /** All that were made during a turn, and all their answers, in one turn each. */
  const sendAll = (subscription: Subscription) => {
    const answers: [Unsent, Answer][] = [];
    for (const one of subscription.unsent.splice(0))
      host.call(subscription.stream, one.call, answer => {
        answers.push([one, answer]);
        if (answers.length === 1)
          defer(() => {
            for (const [of, what] of answers.splice(0)) answered(subscription, of, what);
          });
      });
  };

  return {
    subscribe(request, listener) {
      hangUp(undefined);
      const subscription: Subscription = {
        listener,
        stream: streamId(),
        framework_id: undefined,
        under_way: [],
        unsent: [],
        calls: new Roll(),
        over: false,
      };
      present = subscription;
      defer(() => open(request, subscription));
    },

    call(call: Call): Promise<CallAnswer> {
      const subscription = present;
      const framework_id = subscription?.framework_id;
      if (subscription === undefined || framework_id === undefined)
        return Promise.resolve({ type: 'unsent', message: `no subscription to send ${call.type} on` });
      return new Promise(resolve => {
        subscription.calls.add(resolve);
        subscription.unsent.push({ call: { ...call, framework_id: { value: framework_id } }, resolve });
        if (!bundled) defer(() => sendOne(subscription));
        else if (subscription.unsent.length === 1) defer(() => sendAll(subscription));
      });
    },

    cut: (why = { why: 'closed', message: 'the connection was cut' }) => hangUp(why),

    close() {
      hangUp(undefined);
      return new Promise(resolve => defer(resolve));
    },
  };
}
