// icons.js: small drawings. Each state has a shape of its own, so that nobody needs to tell colours apart.

const namespace = 'http://www.w3.org/2000/svg';

/** Paths in a box of 16 by 16, drawn with a stroke; those in `solid` are filled instead. */
const shapes = {
  running: ['M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM6.3 5v6l4.8-3z'],
  waiting: ['M4 2h8M4 14h8M5 2c0 4 6 4.600 6 12M11 2c0 4-6 4.600-6 12'],
  failed: ['M8 1.2 15.4 14.300H.6zM8 6v4M8 12.100v.2'],
  quarantined: ['M5.200 1.500h5.600l3.700 3.700v5.600l-3.700 3.700H5.200L1.500 10.800V5.200zM8 4.500v4.200M8 11v.3'],
  killing: ['M3 3h10v10H3z'],
  scheduled: ['M8 1.500a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13zM8 4.500V8l2.500 1.800'],
  done: ['M2.500 8.500 6.200 12l7.300-8'],
  disabled: ['M8 1.500a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13zM3.500 12.500l9-9'],
  paused: ['M5 3v10M11 3v10'],
  stopped: ['M3 3h10v10H3z'],
  deleting: ['M2.500 4h11M6 4V2.300h4V4M4 4l.7 9.700h6.600L12 4'],
  check: ['M2.500 8.500 6.200 12l7.300-8'],
  cross: ['M3.500 3.500l9 9M12.500 3.500l-9 9'],
  alert: ['M8 1.200 15.400 14.300H.6zM8 6v4M8 12.100v.2'],
  killed: ['M8 1.500a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13zM3.500 3.500l9 9'],
  play: ['M4 2.500v11l9-5.500z'],
  pause: ['M5 3v10M11 3v10'],
  stop: ['M3.500 3.500h9v9h-9z'],
  trash: ['M2.500 4h11M6 4V2.300h4V4M4 4l.7 9.700h6.600L12 4'],
  edit: ['M2.500 13.500l.7-3.200L10.800 2.700l2.500 2.500-7.600 7.600z'],
  plus: ['M8 2.500v11M2.500 8h11'],
  search: ['M7 2a5 5 0 1 1 0 10A5 5 0 0 1 7 2zM10.700 10.700 14.300 14.300'],
  back: ['M9.500 3 4.500 8l5 5'],
  log: ['M2 2.500h12v11H2zM4.500 6l2 2-2 2M8 10.200h3.500'],
  service: ['M13.500 8a5.500 5.500 0 1 1-1.700-4M12.200 1.300v3h-3'],
  cron: ['M2 3.500h12v10.500H2zM2 6.500h12M5 1.800v3M11 1.800v3'],
  interval: ['M2 8h2.500M6.700 8h2.600M11.500 8H14M4.500 5.500v5M11.500 5.500v5'],
  mixed: ['M2 3.500h12v10.500H2zM2 6.500h12M5 1.800v3M11 1.800v3'],
  once: ['M8 4.500a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7z'],
  dependent: ['M2 3.500h4v3H2zM2 9.500h4v3H2zM10 6.500h4v3h-4zM6 5c2.500 0 1.500 3 4 3M6 11c2.500 0 1.500-3 4-3'],
  all: ['M2.500 4h11M2.500 8h11M2.500 12h11'],
  again: ['M2.500 8a5.500 5.500 0 1 0 1.700-4M3.800 1.300v3h3M8 5v3.200l2 1.300'],
  down: ['M4 6l4 4 4-4'],
  letter: ['M1.500 3.500h13v9h-13zM1.500 4l6.500 5 6.500-5'],
  folder: ['M1.500 3.500h4.500l1.500 2h7v8h-13z'],
  file: ['M3.500 1.500h6l3 3v10h-9zM9.500 1.500v3h3'],
  link: [
    'M6.500 9.500l3-3M7 4.500l1.700-1.700a3 3 0 0 1 4.300 4.300L11.300 8.800M9 11.500l-1.700 1.700a3 3 0 0 1-4.300-4.300L4.700 7.200',
  ],
  other: ['M8 2.500l5.500 5.500L8 13.500 2.500 8z'],
  download: ['M8 2v8M4.500 7 8 10.500 11.500 7M2.500 13.500h11'],
};
const solid = new Set(['play', 'stop', 'killing']);

export function icon(name) {
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', solid.has(name) ? 'icon solid' : 'icon');
  for (const d of shapes[name] ?? shapes.once) {
    const path = document.createElementNS(namespace, 'path');
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}
