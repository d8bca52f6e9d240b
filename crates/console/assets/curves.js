// Series of points: what an address asks for, shares of each other, names, gaps. A point is the end of its step and a value, or null
// where nothing is known. Nothing here touches the page.

// `METRIC[/OF][:TAKE[:BY]]`: a metric, or its share of another; what of it, and by which labels it is split, with commas between (`-`:
// by none). What is not said is null.
export function spec(text) {
  const [names, take = '', by = ''] = text.split(':');
  const [name, of = null] = names.split('/');
  const split = by === '' ? null : by === '-' ? [] : by.split(',').filter(Boolean);
  return { name, of, take: take || null, by: split };
}

export function written({ name, of, take, by }) {
  const parts = [of ? `${name}/${of}` : name, take ?? '', by === null ? '' : by.join(',') || '-'];
  while (parts.at(-1) === '') parts.pop();
  return parts.join(':');
}

// How a metric is split where it is not said: by whom it is about.
export function usualSplit(labels) {
  const [first] = ['upstream', 'instance', 'topic', 'queue'].filter((label) => labels.includes(label));
  const more = ['group', 'state'].filter((label) => first && first !== 'upstream' && labels.includes(label));
  return first ? [first, ...more] : labels;
}

export function usualTake(kind) {
  return { histogram: 'p99', gauge: 'value' }[kind] ?? 'rate';
}

export const keyOf = (labels) => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));

// One metric as a share of another, series by series and point by point: nothing of nothing is not known.
export function ratio(parts, wholes) {
  const some = new Map(parts.map((one) => [keyOf(one.labels), new Map(one.points)]));
  return wholes.map(({ labels, points }) => {
    const part = some.get(keyOf(labels));
    return { labels, points: points.map(([at, whole]) => [at, whole ? (part?.get(at) ?? 0) / whole : null]) };
  });
}

// The names of series: the values of the labels in which they differ.
export function names(series) {
  const differs = (label) => new Set(series.map((one) => one.labels[label])).size > 1;
  return series.map(({ labels }) => {
    const own = Object.keys(labels);
    const telling = own.filter(differs);
    return (telling.length ? telling : own).map((label) => labels[label]).join(' ') || 'all';
  });
}

export const weight = ({ points }) => points.reduce((sum, [, value]) => sum + Math.abs(value ?? 0), 0);
const isKnown = ({ points }) => points.some(([, value]) => value !== null);

// Those with the most in them, each with a name and an id, in the order of the names; those of which nothing is known are left out.
export function most(series, limit) {
  const known = series.filter(isKnown);
  const named = names(known).map((name, at) => ({ ...known[at], name, id: keyOf(known[at].labels) }));
  const chosen = named.sort((a, b) => weight(b) - weight(a)).slice(0, limit);
  return chosen.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

export function extent(series) {
  let [low, high] = [0, 0];
  for (const { points } of series) {
    for (const [, value] of points) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return [low, high];
}

// Runs of points without a gap between them.
export function runs(points) {
  const found = [];
  let run = null;
  for (const point of points) {
    if (point[1] === null) run = null;
    else if (run) run.push(point);
    else found.push(run = [point]);
  }
  return found;
}

// As SVG draws it. A point that stands alone is a dash of no length, which round ends make a dot.
export function path(points, x, y) {
  const place = ([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  return runs(points).map((run) => (run.length === 1 ? `M${place(run[0])}h0` : `M${run.map(place).join('L')}`)).join('');
}

// The point that is nearest to a moment, if one is within the distance; points are in order.
export function nearest(points, at, within = Infinity) {
  let [low, high] = [0, points.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < at) low = middle + 1;
    else high = middle;
  }
  const [one, other] = [points[low], points[low - 1]];
  const found = other && Math.abs(other[0] - at) <= Math.abs(one[0] - at) ? other : one;
  return found && Math.abs(found[0] - at) <= within ? found : null;
}

// What is known last.
export const last = (points) => points.findLast(([, value]) => value !== null) ?? null;

// Of whom a name is without the number of an instance: both have the same colour.
export const family = (name) => name.replace(/[-#.:/]\d+$/, '');

export const HUES = 8;

// Colours by family, the same in all charts; within one chart those of the same colour are told apart by how they are dashed.
export class Palette {
  constructor() {
    this.known = new Map();
  }

  dress(series) {
    const families = series.map(({ labels, name }) => family(Object.values(labels)[0] ?? name));
    // What is not split has the page's own colour.
    if (series.length === 1 && !Object.keys(series[0].labels).length) return [{ ...series[0], hue: 0, dash: 0 }];
    for (const one of [...new Set(families)].sort()) {
      if (!this.known.has(one)) this.known.set(one, this.known.size % HUES);
    }
    const worn = new Map();
    return series.map((one, at) => {
      const hue = this.known.get(families[at]);
      const dash = (worn.get(hue) ?? -1) + 1;
      worn.set(hue, dash);
      return { ...one, hue, dash: dash % 4 };
    });
  }
}
