// doctor.ts: `horae doctor`: looks at the Mesos that --mesos names, and says what is well and what is not.

import { capabilitiesOf, rolesOf } from '../actors/limits.ts';
import { withoutPassword } from '../mesos/detector.ts';
import { type Finding, isHealthy, reportText } from '../mesos/doctor.ts';
import { visit, visitZooKeeper } from '../mesos/doctor-visit.ts';
import { offerConstraints } from '../mesos/offer-constraints.ts';
import { systemClock } from '../schedules/clock.ts';
import type { Settings } from '../settings.ts';
import { asksHelp } from '../transport/cli/arguments.ts';
import { doctor_usage, readDoctor } from '../transport/cli/doctor.ts';
import { visitServersets } from '../transport/discovery/visit.ts';
import { readEnsemble } from '../transport/zookeeper/servers.ts';
import { authIn } from './announcing.ts';
import { credentialsOf, identityOf, isSecure, mastersOf, trustOf } from './masters.ts';
import { fail } from './refused.ts';
import { settingsOf } from './start.ts';

/** Status 0 when nothing is wrong, 1 when something is, 2 when the question was. */
export async function doctor(argv: readonly string[]): Promise<void> {
  if (asksHelp(argv)) {
    console.log(doctor_usage);
    return;
  }
  const read = readDoctor(argv);
  if (!read.ok) fail(read.problems);
  const { json, archive, offers_ms_max } = read.value;
  const settings = settingsOf(read.value.rest);
  const findings = await examine(settings, archive, offers_ms_max);
  const healthy = isHealthy(findings);
  process.stdout.write(
    json
      ? `${JSON.stringify({ mesos: withoutPassword(settings.mesos ?? ''), healthy, findings }, undefined, 2)}\n`
      : reportText(findings),
  );
  process.exitCode = healthy ? 0 : 1;
}

/** All that the doctor finds. Takes seconds where somebody does not answer. */
export async function examine(
  settings: Settings,
  archive: string | undefined,
  offers_ms_max: number,
): Promise<readonly Finding[]> {
  // Timers of a clock keep no process alive, and between two attempts to connect there is nothing else.
  const awake = setInterval(() => undefined, 60_000);
  try {
    const found = await Promise.all([look(settings, archive, offers_ms_max), lookAtServersets(settings)]);
    return found.flat();
  } finally {
    clearInterval(awake);
  }
}

async function look(
  settings: Settings,
  archive: string | undefined,
  offers_ms_max: number,
): Promise<readonly Finding[]> {
  const clock = systemClock();
  const masters = mastersOf(settings);
  const tls = trustOf(settings);
  const quiet = { info: () => undefined, error: () => undefined };
  const credentials = credentialsOf(settings, quiet, clock.monotonic)?.();
  const { user, hostname, principal, roles, capabilities, offer_constraints: fences } = identityOf(settings);
  const framework = { user, hostname, principal, roles: rolesOf(roles), capabilities: capabilitiesOf(capabilities) };
  const offer_constraints = offerConstraints(framework.roles, fences ?? []);
  const answer_ms_max = Math.min(settings.subscribe_timeout_ms, answer_ms_max_here);
  const visiting = { clock, tls, credentials, framework, offer_constraints, archive, answer_ms_max, offers_ms_max };
  if (masters.type === 'addresses') return visit({ ...visiting, urls: masters.urls });

  // Not loaded where nobody asks for it.
  const { connectZooKeeper } = await import('../transport/zookeeper/client.ts');
  const { servers, path, auth } = masters;
  const zookeeper = connectZooKeeper({
    servers,
    session_timeout_ms: settings.detection_timeout_ms,
    call_timeout_ms: answer_ms_max,
    ...(auth === undefined ? {} : { auth: { scheme: 'digest', id: auth } }),
    clock,
  });
  try {
    const { finding, url } = await visitZooKeeper(zookeeper, servers, path, isSecure(settings) ? 'https' : 'http');
    return [finding, ...(url === undefined ? [] : await visit({ ...visiting, urls: [url] }))];
  } finally {
    await zookeeper.close();
  }
}

/** Nothing where nobody wants them. */
async function lookAtServersets({
  serversets_zk: ensemble,
  serversets_zk_auth_file,
  zk_session_timeout_ms,
}: Settings): Promise<readonly Finding[]> {
  if (ensemble === undefined) return [];
  const read = readEnsemble(ensemble, '--serversets-zk');
  if (!read.ok) fail(read.problems);
  const { connectZooKeeper } = await import('../transport/zookeeper/client.ts');
  const auth = authIn('--serversets-zk-auth-file', serversets_zk_auth_file);
  const zookeeper = connectZooKeeper({
    servers: ensemble.slice(0, ensemble.indexOf('/')),
    session_timeout_ms: zk_session_timeout_ms,
    call_timeout_ms: answer_ms_max_here,
    ...(auth === undefined ? {} : { auth: { scheme: 'digest', id: auth } }),
    clock: systemClock(),
  });
  try {
    return [{ check: 'serversets', ...(await visitServersets(zookeeper, read.value.path, ensemble)) }];
  } finally {
    await zookeeper.close();
  }
}

/** A person waits. */
const answer_ms_max_here = 10_000;
