// store.ts: those tables in a Cassandra that is there: made where they are missing, written to, and asked how far we came.
//
// What it asks of the driver is a type of its own (driver.ts has the real one). What that throws is of two kinds: a `Refusal`,
// when this very statement will never be taken, and anything else, when Cassandra is away or busy.

import { type Names, type Row, statementsFor, valuesOf } from './layout.ts';
import type { Elements } from './rows.ts';

/** What is asked of the driver. */
export interface Driver {
  connect(): Promise<void>;
  execute(
    query: string,
    values: readonly unknown[],
    options: { readonly consistency: number; readonly isIdempotent: boolean },
  ): Promise<readonly Readonly<Record<string, unknown>>[]>;
  close(): Promise<void>;
}

export const consistencies = [
  'ANY',
  'ONE',
  'TWO',
  'THREE',
  'QUORUM',
  'ALL',
  'LOCAL_QUORUM',
  'EACH_QUORUM',
  'LOCAL_ONE',
] as const;
export type Consistency = (typeof consistencies)[number];

/** As the protocol numbers them. */
const codes: Readonly<Record<Consistency, number>> = {
  ANY: 0,
  ONE: 1,
  TWO: 2,
  THREE: 3,
  QUORUM: 4,
  ALL: 5,
  LOCAL_QUORUM: 6,
  EACH_QUORUM: 7,
  LOCAL_ONE: 10,
};

/** Cassandra has understood, and will not have it: trying again would end the same way. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

export interface Store {
  /** `expired`: it is older than rows are kept, so it was not written. */
  write(row: Row): Promise<'written' | 'expired'>;
  /** Brings the counter to that many. One writer at a time. */
  count(elements: Elements): Promise<void>;
  /** Up to when everything was written; undefined when nothing was ever. */
  cursor(): Promise<number | undefined>;
  keepCursor(at: number): Promise<void>;
  close(): Promise<void>;
}

export type StoreOptions = {
  readonly names: Names;
  readonly consistency: Consistency;
  /** How long a row is kept from the moment that it tells of; 0: for ever. */
  readonly ttl_s: number;
  /** Whose history it is: several schedulers may share the tables. */
  readonly source: string;
  readonly now: () => number;
};

/** Resolves when the tables are there. */
export async function openStore(driver: Driver, options: StoreOptions): Promise<Store> {
  const { names, ttl_s, source, now } = options;
  const statements = statementsFor(names);
  const writing = codes[options.consistency];
  // Nothing can be read at ANY, and no counter changed.
  const reading = codes[options.consistency === 'ANY' ? 'ONE' : options.consistency];
  const ask = (query: string, values: readonly unknown[], consistency = reading) =>
    driver.execute(query, values, { consistency, isIdempotent: true });
  try {
    await driver.connect();
    await makeTables(names.keyspace.toLowerCase(), statements, ask);
  } catch (error) {
    await driver.close();
    throw error;
  }
  return {
    async write(row) {
      const age_s = Math.floor((now() - row.ts) / 1_000);
      if (ttl_s > 0 && age_s >= ttl_s) return 'expired';
      await ask(statements.insert, valuesOf(row, ttl_s === 0 ? 0 : Math.min(ttl_s, ttl_s - age_s)), writing);
      return 'written';
    },
    async count({ job_name, task_id, elements }) {
      const [row] = await ask(statements.read_elements, [job_name, task_id]);
      const more = elements - Number(row?.elements_processed ?? 0);
      // Counters cannot be set. Made twice it would count twice, so the driver must not repeat it: we look again instead.
      if (more > 0)
        await driver.execute(statements.add_elements, [more, job_name, task_id], {
          consistency: reading,
          isIdempotent: false,
        });
    },
    async cursor() {
      const [row] = await ask(statements.read_cursor, [source]);
      return row?.written_up_to instanceof Date ? row.written_up_to.getTime() : undefined;
    },
    keepCursor: async at => void (await ask(statements.keep_cursor, [source, new Date(at)], writing)),
    close: () => driver.close(),
  };
}

/** What is there is left as it is, and needs no permission to be made. */
async function makeTables(
  keyspace: string,
  { create_keyspace, create }: ReturnType<typeof statementsFor>,
  ask: (query: string, values: readonly unknown[]) => ReturnType<Driver['execute']>,
): Promise<void> {
  const there = await ask('SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?', [keyspace]);
  if (there.length === 0) await ask(create_keyspace, []);
  const tables = await ask('SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?', [keyspace]);
  const known = new Set(tables.map(row => row.table_name));
  for (const [table, making] of create) if (!known.has(table)) for (const query of making) await ask(query, []);
}
