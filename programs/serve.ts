// serve.ts: `horae serve`: the scheduler on a real Mesos cluster, its journal on this machine, or with --zk in ZooKeeper.

import { withoutPassword } from '../mesos/detector.ts';
import { runAlone } from './alone.ts';
import { openMasters } from './masters.ts';
import { standOn, within } from './start.ts';

export async function serve(argv: readonly string[]): Promise<void> {
  const ground = standOn(argv);
  // What makes several nodes one scheduler is not loaded where there is one.
  const run = ground.settings.zk === undefined ? runAlone : (await import('./node.ts')).runNode;
  const url = await run(ground, framework_id => openMasters(within('mesos', ground), framework_id));
  console.log(`Horae ${ground.version} serves ${withoutPassword(ground.settings.mesos ?? '')}. Console: ${url}`);
}
