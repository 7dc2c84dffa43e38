// tls.test.ts: the same server behind TLS.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import test from 'ava';
import { checkTls } from '../../transport/http/tls.ts';
import { testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { serve } from './support/serve.ts';

/** Makes certificates; on every Debian with certificates of others. */
const openssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return 'openssl';
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
})();

testWith(openssl)('with a certificate the server speaks HTTPS, and knows its own pages by it', async t => {
  const directory = await tempDir(t);
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1'];
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const tls = { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  const { port, url } = await serve(t, { tls });
  t.is(url, `https://127.0.0.1:${port}`);
  const ask = (method: string, headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const path = method === 'GET' ? '/api/v1/health' : '/api/v1/jobs/a/b/c/runs';
      const options = { host: '127.0.0.1', port, path, method, headers, ca: tls.cert, agent: false };
      request(options, response => {
        response.resume();
        resolve(response.statusCode);
      })
        .once('error', reject)
        .end();
    });
  t.is(await ask('GET', {}), 200);
  t.is(await ask('POST', { origin: url }), 404);
  t.is(await ask('POST', { origin: url.replace('https', 'http') }), 403);
});

testWith(openssl)('what is wrong with a certificate or its key is said of the one of which it is true', async t => {
  const directory = await tempDir(t);
  const made = (name: string, ...more: readonly string[]) => {
    const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-days', '1', '-subj', '/CN=localhost'];
    execFileSync('openssl', ['req', '-x509', ...curve, ...more, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  };
  const one = made('one', '-nodes');
  const other = made('other', '-nodes');
  const locked = made('locked', '-passout', 'pass:secret');
  t.is(checkTls(one), undefined);
  t.like(checkTls({ ...one, cert: 'garbage' }), { what: 'cert' });
  t.like(checkTls({ ...one, cert: one.key }), { what: 'cert' });
  t.like(checkTls({ ...one, key: 'garbage' }), { what: 'key' });
  t.regex(checkTls({ ...one, key: one.cert })?.message ?? '', /no private key in it.*expected -----BEGIN PRIVATE KEY/);
  t.deepEqual(checkTls({ ...one, key: other.key }), {
    what: 'key',
    message: 'it is the key of another certificate: expected the one of --tls-cert',
  });
  t.regex(checkTls(locked)?.message ?? '', /locked by a passphrase/);
});

test('a certificate that is none is told at the start', async t => {
  await t.throwsAsync(serve(t, { tls: { cert: 'x', key: 'y' } }), { message: /PEM/i });
});
