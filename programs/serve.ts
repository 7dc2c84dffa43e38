// serve.ts: `horae serve`: the scheduler on a real Mesos cluster, its journal on this machine.

import { runAlone } from './alone.ts';
import { openMasters } from './masters.ts';
import { standOn } from './start.ts';

export async function serve(argv: readonly string[]): Promise<void> {
  const ground = standOn(argv);
  const url = await runAlone(ground, () => openMasters(ground));
  console.log(`Horae ${ground.version} serves ${ground.settings.mesos}. Console: ${url}`);
}
