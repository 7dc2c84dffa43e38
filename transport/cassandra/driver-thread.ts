// driver-thread.ts: the thread in which the driver of Cassandra runs: a question is a message, and so is its answer.

import { parentPort, workerData } from 'node:worker_threads';
import cassandra from 'cassandra-driver';

export type DriverOptions = {
  readonly contact_points: readonly string[];
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly timeout_ms: number;
};
export type Question = {
  readonly id: number;
  readonly what: 'connect' | 'execute';
  readonly query?: string;
  readonly values?: readonly unknown[];
  readonly consistency?: number;
  readonly isIdempotent?: boolean;
};
export type Answer =
  | { readonly id: number; readonly rows: readonly Readonly<Record<string, unknown>>[] }
  /** `refused`: it will never be taken. */
  | { readonly id: number; readonly message: string; readonly refused: boolean };

const { contact_points, port, user, password, timeout_ms } = workerData as DriverOptions;
const client = new cassandra.Client({
  contactPoints: [...contact_points],
  protocolOptions: { port },
  // Whichever data centre it is: a row now and then needs no nearest one.
  policies: { loadBalancing: new cassandra.policies.loadBalancing.RoundRobinPolicy() },
  socketOptions: { connectTimeout: timeout_ms, readTimeout: timeout_ms },
  // Nothing is asked of the schema but names.
  isMetadataSyncEnabled: false,
  ...(user === undefined || password === undefined ? {} : { credentials: { username: user, password } }),
});
const { ResponseError } = cassandra.errors;
const { responseErrorCodes } = cassandra.types;
const final = new Set([responseErrorCodes.syntaxError, responseErrorCodes.invalid]);

parentPort!.on('message', (question: Question) => {
  const { id } = question;
  const say = (answer: Answer) => parentPort!.postMessage(answer);
  answerTo(question).then(
    rows => say({ id, rows }),
    error => {
      const message = error instanceof Error ? error.message : String(error);
      say({ id, message, refused: error instanceof ResponseError && final.has(error.code) });
    },
  );
});

async function answerTo({ what, query = '', values = [], consistency, isIdempotent }: Question) {
  if (what === 'connect') {
    await client.connect();
    return [];
  }
  const { rows } = await client.execute(query, [...values], {
    prepare: values.length > 0,
    ...(consistency === undefined ? {} : { consistency }),
    ...(isIdempotent === undefined ? {} : { isIdempotent }),
  });
  return (rows ?? []).map(row => Object.fromEntries(row.keys().map(name => [name, plain(row.get(name))])));
}

/** What a message can carry: a counter is a number of 64 bits, which has a class of its own. */
const plain = (value: unknown): unknown => (cassandra.types.Long.isLong(value) ? String(value) : value);
