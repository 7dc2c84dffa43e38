// certificates.ts: a certificate authority for a test, and certificates that it has signed.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether certificates can be made here. */
export const openssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return 'openssl';
  } catch {
    return undefined; // Not there: tests that need it are skipped, and so named.
  }
})();

export type Pair = {
  readonly cert: string;
  readonly key: string;
  readonly cert_path: string;
  readonly key_path: string;
};
export type Authority = Pair & {
  /** For a server under this name, or for a client. */
  readonly sign: (name: string, host?: string) => Pair;
};

const run = (...argv: string[]) => void execFileSync('openssl', argv, { stdio: 'ignore' });
const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];

export function authority(directory: string, name = 'authority'): Authority {
  const at = (file: string) => join(directory, file);
  const pair = (base: string): Pair => ({
    cert: readFileSync(at(`${base}.pem`), 'utf8'),
    key: readFileSync(at(`${base}.key`), 'utf8'),
    cert_path: at(`${base}.pem`),
    key_path: at(`${base}.key`),
  });
  run('req', '-x509', ...curve, '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`));
  return {
    ...pair(name),
    sign(signed, host) {
      const [request, extensions] = [at(`${signed}.csr`), at(`${signed}.ext`)];
      run('req', ...curve, '-subj', `/CN=${signed}`, '-keyout', at(`${signed}.key`), '-out', request);
      writeFileSync(extensions, host === undefined ? '' : `subjectAltName=${host}\n`);
      const by = ['-CA', at(`${name}.pem`), '-CAkey', at(`${name}.key`), '-CAcreateserial', '-days', '30'];
      run('x509', '-req', '-in', request, ...by, '-extfile', extensions, '-out', at(`${signed}.pem`));
      return pair(signed);
    },
  };
}
