// secret-wishes.ts: to which secrets a task or an executor refers, and what each is to become.
//
// Mesos's own words carry the names: a variable of type SECRET, a volume whose source is SECRET.

import type { TaskInfo } from '../protocol.ts';

/** Where a task's secrets lie in its sandbox: never shown, whoever asks. */
export const secrets_folder = '.secrets';

const name_form = /^[A-Za-z0-9_%][A-Za-z0-9_.%-]*(?:\/[A-Za-z0-9_%][A-Za-z0-9_.%-]*)*$/;

/** What a task refers to: variables of its environment, and files by their name in the folder for secrets. */
export type SecretWishes = {
  readonly variables: readonly { readonly name: string; readonly of: string }[];
  readonly files: readonly { readonly name: string; readonly of: string }[];
};

/** Undefined when it refers to none. What is thrown says what this agent cannot do. */
export function secretsOf({ command, container }: Pick<TaskInfo, 'command' | 'container'>): SecretWishes | undefined {
  const variables = (command?.environment?.variables ?? []).flatMap(({ name, type, secret }) =>
    type === 'SECRET' ? [{ name, of: nameOf(secret, name) }] : [],
  );
  const files = (container?.volumes ?? []).flatMap(({ container_path, source }) => {
    if (source?.type !== 'SECRET') return [];
    const [folder, name = '', ...more] = container_path.split('/');
    if (folder !== secrets_folder || name === '' || name === '.' || name === '..' || more.length > 0)
      throw new Error(
        `a secret is to be at "${container_path}": this agent puts them into ${secrets_folder}/NAME alone`,
      );
    return [{ name, of: nameOf(source.secret, container_path) }];
  });
  return variables.length + files.length === 0 ? undefined : { variables, files };
}

type Secret = NonNullable<NonNullable<NonNullable<TaskInfo['command']>['environment']>['variables'][number]['secret']>;

function nameOf(secret: Secret | undefined, place: string): string {
  const name = secret?.type === 'REFERENCE' ? secret.reference?.name : undefined;
  if (name === undefined) throw new Error(`the secret of ${place} is no reference: this agent takes no other`);
  if (!name_form.test(name))
    throw new Error(`the secret of ${place} is called "${name}": expected letters, digits, "_.-"`);
  return name;
}
