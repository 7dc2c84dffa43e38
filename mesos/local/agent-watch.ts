// agent-watch.ts: word of what appears in a folder, as it comes.

import { type FSWatcher, watch } from 'node:fs';
import type { Log } from './agent-options.ts';

/** Where the machine has no watch left to give, `otherwise` must do. */
export function watchFolder(
  folder: string,
  log: Log,
  otherwise: string,
  came: (name: string) => void,
): FSWatcher | undefined {
  try {
    const watcher = watch(folder, (_, name) => {
      if (name !== null) came(name);
    });
    watcher.on('error', error => log.warn({ error: String(error) }, `${folder} is not watched any more`));
    watcher.unref();
    return watcher;
  } catch (error) {
    log.warn({ error: String(error) }, `${folder} cannot be watched: ${otherwise}`);
    return undefined;
  }
}
