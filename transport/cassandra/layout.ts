// layout.ts: the tables in which Chronos kept its history in Cassandra, and a row of them.
//
// One row for each thing that Mesos said of a task: that it runs, and how it ended. Whoever has reports over those tables
// finds the same columns filled in the same way. Beside them is a table of ours that says how far we have come. Names of
// tables are words that were checked; everything else is bound to its place in the statement, never written into it.

/** As they were given; in CQL a name without quotes is the same in small letters. */
export type Names = {
  readonly keyspace: string;
  readonly table: string;
  readonly stat_count_table: string;
};

/** What `--cassandra-keyspace` and the tables may be called. */
export const cassandra_name = /^[A-Za-z]\w{0,47}$/;

export type Row = {
  /** The task, by the name that it had in Chronos. */
  readonly id: string;
  readonly ts: number;
  readonly job_name: string;
  readonly job_owner?: string | undefined;
  readonly job_schedule?: string | undefined;
  readonly job_parents?: readonly string[] | undefined;
  readonly task_state: 'TASK_RUNNING' | 'TASK_FINISHED' | 'TASK_FAILED' | 'TASK_KILLED' | 'TASK_LOST';
  readonly slave_id?: string | undefined;
  readonly message?: string | undefined;
  /** From 0. */
  readonly attempt: number;
  readonly is_failure?: true | undefined;
};

const columns = [
  'id',
  'ts',
  'job_name',
  'job_owner',
  'job_schedule',
  'job_parents',
  'task_state',
  'slave_id',
  'message',
  'attempt',
  'is_failure',
] as const satisfies readonly (keyof Row)[];

/** What is bound to the insertion. A column that has nothing stays unset, and leaves no mark. */
export function valuesOf(row: Row, ttl_s: number): unknown[] {
  const values = columns.map(column => {
    const value = row[column];
    return column === 'ts' ? new Date(row.ts) : column === 'message' ? cut(row.message) : value;
  });
  return [...values, ttl_s];
}

/** A mail that a task printed would be refused as too large, and the row with it. */
const message_characters_max = 8_192;
const cut = (text: string | undefined) => text?.slice(0, message_characters_max);

export type Statements = {
  readonly create_keyspace: string;
  /** By the table that they make. */
  readonly create: ReadonlyMap<string, readonly string[]>;
  readonly insert: string;
  readonly read_elements: string;
  readonly add_elements: string;
  readonly read_cursor: string;
  readonly keep_cursor: string;
};

export function statementsFor(given: Names): Statements {
  for (const name of Object.values(given))
    if (!cassandra_name.test(name)) throw new Error(`"${name}" cannot name a keyspace or a table of Cassandra`);
  const [keyspace, table, counts] = [given.keyspace, given.table, given.stat_count_table].map(name =>
    name.toLowerCase(),
  );
  const cursor = `${table}_cursor`;
  const at = (name: string | undefined) => `"${keyspace}"."${name}"`;
  return {
    create_keyspace: `CREATE KEYSPACE IF NOT EXISTS "${keyspace}" WITH REPLICATION = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
    create: new Map([
      [
        table!,
        [
          `CREATE TABLE IF NOT EXISTS ${at(table)} (id varchar, ts timestamp, job_name varchar, job_owner varchar, job_schedule varchar, job_parents set<varchar>, task_state varchar, slave_id varchar, message varchar, attempt int, is_failure boolean, PRIMARY KEY (id, ts))`,
          `CREATE INDEX IF NOT EXISTS ON ${at(table)} (job_name)`,
        ],
      ],
      [
        counts!,
        [
          `CREATE TABLE IF NOT EXISTS ${at(counts)} (job_name varchar, task_id varchar, elements_processed counter, PRIMARY KEY (job_name, task_id))`,
        ],
      ],
      [cursor, [`CREATE TABLE IF NOT EXISTS ${at(cursor)} (source varchar PRIMARY KEY, written_up_to timestamp)`]],
    ]),
    insert: `INSERT INTO ${at(table)} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) USING TTL ?`,
    read_elements: `SELECT elements_processed FROM ${at(counts)} WHERE job_name = ? AND task_id = ?`,
    add_elements: `UPDATE ${at(counts)} SET elements_processed = elements_processed + ? WHERE job_name = ? AND task_id = ?`,
    read_cursor: `SELECT written_up_to FROM ${at(cursor)} WHERE source = ?`,
    keep_cursor: `INSERT INTO ${at(cursor)} (source, written_up_to) VALUES (?, ?)`,
  };
}
