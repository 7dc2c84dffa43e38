// container.js: what a job's tasks are put into, as rows of facts; and what runs when there is no command to show.

/** Rows for the job's card; none for a job without a container. */
export function containerFacts(container) {
  if (container === undefined) return [];
  const { type, image, network, networks, port_mappings, volumes, parameters, force_pull } = container;
  const by = type === 'docker' ? 'Docker' : 'Mesos';
  const where = networks.length > 0 ? networks.map(({ name }) => name).join(', ') : network;
  return [
    ['Image', `${image}, by ${by}${force_pull ? ', pulled for every task' : ''}`],
    ['Network', where],
    ['Ports mapped', port_mappings.map(mapping).join(', ')],
    ['Volumes', volumes.map(volume).join(', ')],
    ['User in there', container.user],
    ['Stop signal', container.stop_signal],
    ['Options', parameters.map(({ key, value }) => `${key}=${value}`).join(', ')],
  ];
}

const mapping = ({ port, host_port, container_port, protocol }) =>
  `${port ?? host_port} to ${container_port}${protocol === undefined ? '' : `/${protocol}`}`;

const volume = ({ container_path, host_path, mode, external }) => {
  const from = external === undefined ? (host_path ?? 'a new volume') : `${external.name} of ${external.driver}`;
  return `${from} at ${container_path}${mode === 'ro' ? ', read only' : ''}`;
};

/** The words of what is run. */
export function commandOf({ command, container }) {
  if (container === undefined || container.shell) return command;
  const words = [container.entrypoint, command, ...container.arguments].filter(word => word !== undefined);
  return words.length === 0 ? 'What the image runs by itself.' : words.map(word => JSON.stringify(word)).join(' ');
}
