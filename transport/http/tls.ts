// tls.ts: whether a certificate and its key will do, asked before anybody listens.
//
// OpenSSL's own words name neither the file nor what would be right, and come when the port is opened.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

export type TlsProblem = { readonly what: 'cert' | 'key'; readonly message: string };

/** What is wrong with this pair, in PEM; undefined when it will do. */
export function checkTls({ cert, key }: { readonly cert: string; readonly key: string }): TlsProblem | undefined {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch (error) {
    return wrong('cert', 'there is no certificate in it that can be read', '-----BEGIN CERTIFICATE-----', error);
  }
  let secret: KeyObject;
  try {
    secret = createPrivateKey(key);
  } catch (error) {
    const closed = /BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED/m.test(key);
    const message = closed ? 'its key is locked by a passphrase' : 'there is no private key in it that can be read';
    return wrong('key', message, closed ? 'a key without one' : '-----BEGIN PRIVATE KEY-----', error);
  }
  if (!certificate.checkPrivateKey(secret))
    return { what: 'key', message: 'it is the key of another certificate: expected the one of --tls-cert' };
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    return wrong('cert', 'it cannot be used', 'a certificate chain and its key that TLS accepts', error);
  }
  return undefined;
}

/** Whether there is a certificate in PEM in it. */
export function isCertificate(text: string): boolean {
  try {
    new X509Certificate(text);
    return true;
  } catch {
    return false; // The one way to ask OpenSSL what a text is.
  }
}

const wrong = (what: TlsProblem['what'], message: string, expected: string, error: unknown): TlsProblem => ({
  what,
  message: `${message}: expected ${expected} (${error instanceof Error ? error.message : String(error)})`,
});
