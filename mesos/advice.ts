// advice.ts: what a person should look at when a master will not have us.
//
// A master's own words come first, and this beside them: which of our settings, or which of the master's, they are about.

/** For an HTTP status with which a subscription was refused; undefined where the words of the master are all there is. */
export function adviceOn(status: number | undefined): string | undefined {
  switch (status) {
    case 400:
      return 'what the master names in its words; --mesos-principal must be the principal that was authenticated';
    case 401:
      return "--mesos-principal with --mesos-secret-file, or --mesos-token-file, as the master's --credentials know them";
    case 403:
      return "a principal that the master's --acls let register frameworks in these roles";
    case 404:
      return 'the address of a Mesos master, such as http://HOST:5050';
    case 307:
    case 308:
      return 'masters that agree on who leads them; a follower points at a dead leader until its session has ended';
    case 503:
      return 'a master that leads: this one is still recovering, or knows no leader';
    default:
      return undefined;
  }
}

/** A refusal that the same words will meet again: trying it at once is of no use. */
export const isFirm = (status: number | undefined): boolean =>
  status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429;

/** What a code of the network or of TLS is about. */
export function adviceOnError(code: string): string | undefined {
  if (/SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/.test(code))
    return '--mesos-ca FILE with the certificate of whoever signed that of the master';
  if (/ALTNAME_INVALID/.test(code)) return 'the server under a name that its certificate holds';
  if (/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/.test(code)) return 'a certificate of the master that is valid now';
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA/.test(code))
    return '--mesos-cert and --mesos-key, signed by whom the master trusts';
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|EPROTO/.test(code)) return 'http:// where the master speaks no TLS';
  if (/HPE_|Parse Error|socket hang up/.test(code)) return 'https:// where the master speaks TLS, or another port';
  if (/ENOTFOUND|EAI_AGAIN/.test(code)) return 'a name that this machine can resolve';
  if (/ECONNREFUSED/.test(code)) return 'a server that runs and listens there';
  if (/EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|no connection within/.test(code))
    return 'a network, and firewalls, that let us through';
  return undefined;
}
