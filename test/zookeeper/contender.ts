// contender.ts: a candidate in a process of its own, which a test can stop and kill.
//
// Arguments: servers, path, id, session timeout. It writes a line for each change of its standing, and one whenever it
// becomes sure, or unsure, that it leads.

import { systemClock } from '../../schedules/clock.ts';
import { connectZooKeeper } from '../../transport/zookeeper/client.ts';
import { standForLeader } from '../../transport/zookeeper/election.ts';

const [servers, path, id, session_timeout_ms] = process.argv.slice(2) as [string, string, string, string];
const clock = systemClock();
const zk = connectZooKeeper({ servers, session_timeout_ms: Number(session_timeout_ms), clock });
const candidate = { id, http: `http://${id}`, link: `ws://${id}`, version: '1' };
const election = standForLeader({ zk, path, candidate, clock });
election.onChange((standing, before) => {
  if (standing !== before) console.log(`${id} ${standing}`);
});
let sure = false;
setInterval(() => {
  if (election.sure() === sure) return;
  sure = !sure;
  console.log(`${id} ${sure ? 'sure' : 'unsure'} while ${election.standing()}`);
}, 5);
