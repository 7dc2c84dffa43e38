// glass.ts: a simulated Mesos that a test moves by hand, and a framework that writes down what it hears.

import { resourcesFor, simulatedMesos } from '../../../mesos/local/index.ts';
import type {
  Call,
  CallAnswer,
  Event,
  LinkEnd,
  Offer,
  Subscribe,
  TaskInfo,
  TaskStatus,
} from '../../../mesos/protocol.ts';
import { simulatedClock } from '../../../schedules/clock.ts';

type Glass = Omit<Parameters<typeof simulatedMesos>[0], 'clock' | 'defer' | 'ids_prefix' | 'resources'> &
  Partial<Pick<Parameters<typeof simulatedMesos>[0], 'resources'>>;

export const four_cpus = resourcesFor({ cpus: 4, mem: 4096, disk: 10_000, ports: [31000, 31499] });

export function glass(options: Glass) {
  const clock = simulatedClock(1_000_000_000_000);
  const work: (() => void)[] = [];
  const mesos = simulatedMesos({
    resources: four_cpus,
    ...options,
    clock,
    ids_prefix: 'glass',
    defer: each => {
      work.push(each);
    },
  });
  /** Lets everything arrive that is under way at this instant. */
  const settle = async () => {
    for (;;) {
      while (work.length > 0) {
        work.shift()?.();
        await undefined;
      }
      const next = clock.nextWake();
      if (next === undefined || next > clock.now()) return;
      clock.advanceTo(clock.now());
    }
  };
  const pass = async (ms: number) => {
    const until = clock.now() + ms;
    await settle();
    for (let next = clock.nextWake(); next !== undefined && next <= until; next = clock.nextWake()) {
      clock.advanceTo(next);
      await settle();
    }
    clock.advanceTo(until);
    await settle();
  };
  return { mesos, clock, settle, pass, framework: (id?: string) => framework(mesos.link(), settle, id) };
}

export const capabilities = [{ type: 'MULTI_ROLE' }, { type: 'PARTITION_AWARE' }, { type: 'TASK_KILLING_STATE' }];

export const subscription = (id?: string, more: Partial<Subscribe['subscribe']['framework_info']> = {}): Subscribe => ({
  type: 'SUBSCRIBE',
  ...(id === undefined ? {} : { framework_id: { value: id } }),
  subscribe: {
    framework_info: {
      user: 'root',
      name: 'test',
      roles: ['*'],
      failover_timeout: 3600,
      checkpoint: true,
      capabilities,
      ...(id === undefined ? {} : { id: { value: id } }),
      ...more,
    },
  },
});

function framework(
  link: ReturnType<ReturnType<typeof simulatedMesos>['link']>,
  settle: () => Promise<void>,
  id?: string,
) {
  const events: Event[] = [];
  const ends: LinkEnd[] = [];
  let read = 0;
  const call = async (call: Call): Promise<CallAnswer> => {
    const answer = link.call(call);
    await settle();
    return answer;
  };
  return {
    link,
    events,
    ends,
    call,
    async subscribe(request = subscription(id)) {
      link.subscribe(request, { events: more => events.push(...more), ended: end => ends.push(end) });
      await settle();
    },
    /** Events since the last look. */
    news(): readonly Event[] {
      const news = events.slice(read);
      read = events.length;
      return news;
    },
    offers: (): readonly Offer[] => events.flatMap(event => (event.type === 'OFFERS' ? event.offers.offers : [])),
    statuses: (task?: string): readonly TaskStatus[] =>
      events
        .flatMap(event => (event.type === 'UPDATE' ? [event.update.status] : []))
        .filter(status => task === undefined || status.task_id.value === task),
    states(task: string): readonly string[] {
      return this.statuses(task).map(({ state }) => state);
    },
    accept(offer: Offer | readonly Offer[], tasks: readonly TaskInfo[], refuse_seconds = 0) {
      const offers = 'id' in offer ? [offer] : offer;
      return call({
        type: 'ACCEPT',
        accept: {
          offer_ids: offers.map(({ id }) => id),
          operations: [{ type: 'LAUNCH', launch: { task_infos: tasks } }],
          filters: { refuse_seconds },
        },
      });
    },
    async acknowledge(status: TaskStatus) {
      return call({
        type: 'ACKNOWLEDGE',
        acknowledge: { agent_id: status.agent_id!, task_id: status.task_id, uuid: status.uuid! },
      });
    },
    /** Acknowledges whatever comes for these tasks until one has ended. */
    async acknowledgeAll() {
      for (let index = 0; index < events.length; index++) {
        const event = events[index]!;
        if (event.type === 'UPDATE' && event.update.status.uuid !== undefined)
          await this.acknowledge(event.update.status);
      }
    },
  };
}

export const taskOn = (
  offer: Pick<Offer, 'agent_id'>,
  id: string,
  command = 'sleep 5; exit 0',
  cpus = 0.1,
  mem = 32,
): TaskInfo => ({
  name: id,
  task_id: { value: id },
  agent_id: offer.agent_id,
  resources: resourcesFor({ cpus, mem }),
  command: { shell: true, value: command },
});
