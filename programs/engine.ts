// engine.ts: which Docker engine runs containers on this machine, as a flag or Docker's own variable says.

import { join } from 'node:path';
import type { DockerOptions } from '../mesos/local/docker/containers.ts';
import { readAddress } from '../mesos/local/index.ts';
import { Refused } from './refused.ts';

export function engineOf(docker: string | undefined): Partial<DockerOptions> {
  const folder = process.env.DOCKER_CONFIG;
  return {
    ...addressOf(docker),
    ...(folder === undefined || folder === '' ? {} : { login: join(folder, 'config.json') }),
  };
}

function addressOf(docker: string | undefined): Pick<DockerOptions, 'address'> | undefined {
  const variable = process.env.DOCKER_HOST;
  const [name, text] = docker === undefined ? ['DOCKER_HOST', variable] : ['--docker', docker];
  if (text === undefined || text === '') return undefined;
  const address = readAddress(text);
  if (address !== undefined) return { address };
  throw new Refused(`${name} is ${text}: expected unix:///PATH or tcp://HOST:PORT`);
}
