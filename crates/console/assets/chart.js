// A line of the last values, without axes: how it goes, not how much.

import { mark, s } from './dom.js';

const WIDTH = 96;
const HEIGHT = 20;

export function spark(label) {
  const path = s('path', {});
  // The time of which nothing is known yet is there all the same.
  const base = s('path', { class: 'base', d: `M0 ${HEIGHT - 0.5}h${WIDTH}` });
  const svg = s('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label }, path, base);
  svg.show = (values) => mark(path, 'd', line(values));
  return svg;
}

function line(values) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return '';
  const most = Math.max(...known, 1e-9);
  const step = WIDTH / Math.max(59, values.length - 1);
  let pen = 'M';
  return values.map((value, at) => {
    if (value === null) { pen = 'M'; return ''; }
    const to = `${pen}${(WIDTH - (values.length - 1 - at) * step).toFixed(1)} ${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`;
    pen = 'L';
    return to;
  }).join('');
}
