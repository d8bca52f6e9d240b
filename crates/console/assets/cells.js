// The cells of a map of heat: columns of time, rows of latency on a logarithmic scale, as deep in colour as many are in it. No element of
// the page is known here.

export const LEVELS = 5;
// Fewest rows that are shown, so that one slow request does not redraw all.
const ROWS_MIN = 8;

// Counts by column, kept between questions: the newest columns are asked for again and again, the others once.
// `step` and `at` are milliseconds, columns lie at multiples of the step.
export class Counts {
  constructor(step) {
    Object.assign(this, { step, columns: new Map(), bounds: [], cut: false });
  }

  // What the API has answered.
  take(heat) {
    this.bounds = heat.bounds_ns;
    this.cut ||= heat.cut;
    heat.counts.forEach((counts, place) => {
      const at = Math.round((heat.from_us + place * heat.step_us) / 1000 / this.step) * this.step;
      if (counts.some((count) => count > 0)) this.columns.set(at, { counts, errors: heat.errors[place] });
      else this.columns.delete(at);
    });
  }

  // Lets go of what is before a time.
  forget(before) {
    for (const at of this.columns.keys()) if (at + this.step <= before) this.columns.delete(at);
  }
}

// How deep a count is, 1 to 5, where `most` is the deepest: logarithmic, for counts differ by powers of ten.
export function level(count, most) {
  if (most <= 1) return count > 0 ? LEVELS : 0;
  return Math.max(1, Math.min(LEVELS, Math.ceil((Math.log1p(count) / Math.log1p(most)) * LEVELS)));
}

// The levels that there are, each with the least count that is so deep.
export function leasts(most) {
  if (most <= 1) return most > 0 ? [{ level: LEVELS, least: 1 }] : [];
  const found = [];
  for (let at = 1; at <= LEVELS; at += 1) {
    let least = Math.max(1, Math.floor((1 + most) ** ((at - 1) / LEVELS) - 1));
    while (level(least, most) < at) least += 1;
    if (level(least, most) === at) found.push({ level: at, least });
  }
  return found;
}

// Where everything lies in a drawing. The rows are those that have anything, and some beside them.
export function laid(counts, { from, to }, { width, height }) {
  const columns = Math.max(1, Math.round((to - from) / counts.step));
  const cells = [];
  let [least, last, most, all, failed] = [Infinity, -Infinity, 0, 0, 0];
  for (const [at, column] of counts.columns) {
    if (at < from || at >= to) continue;
    column.counts.forEach((count, row) => {
      if (count <= 0) return;
      const errors = column.errors[row] ?? 0;
      [least, last, most] = [Math.min(least, row), Math.max(last, row), Math.max(most, count)];
      all += count;
      failed += errors;
      cells.push({ column: Math.round((at - from) / counts.step), row, count, errors });
    });
  }
  const rows = span(least, last, counts.bounds.length + 1);
  const [wide, high] = [width / columns, height / (rows.end - rows.begin)];
  for (const cell of cells) {
    Object.assign(cell, {
      x: cell.column * wide, y: (rows.end - 1 - cell.row) * high, wide, high,
      level: level(cell.count, most), failed: cell.errors > 0 ? Math.min(high, Math.max(2, (high * cell.errors) / cell.count)) : 0,
    });
  }
  const marks = counts.bounds.map((ns, at) => ({ ns, y: (rows.end - 1 - at) * high, at })).filter(({ at }) => at >= rows.begin && at < rows.end - 1);
  return { columns, rows, wide, high, cells, most, all, failed, marks };
}

function span(least, last, many) {
  if (least > last) return { begin: 0, end: Math.min(many, 16) };
  let [begin, end] = [Math.max(0, least - 1), Math.min(many, last + 2)];
  while (end - begin < Math.min(ROWS_MIN, many)) {
    if (begin > 0) begin -= 1;
    if (end < many && end - begin < ROWS_MIN) end += 1;
  }
  return { begin, end };
}

// The cell at a place of the drawing, the nearest where it is outside.
export const cellAt = (laid, x, y) => ({
  column: Math.max(0, Math.min(laid.columns - 1, Math.floor(x / laid.wide))),
  row: Math.max(laid.rows.begin, Math.min(laid.rows.end - 1, laid.rows.end - 1 - Math.floor(y / laid.high))),
});

// What two corners enclose: a stretch of time, and of latency in nanoseconds, open where it reaches the edge of what is shown.
export function enclosed(counts, { from }, laid, one, other) {
  const [first, last] = [Math.min(one.column, other.column), Math.max(one.column, other.column)];
  const [low, high] = [Math.min(one.row, other.row), Math.max(one.row, other.row)];
  const all = low === laid.rows.begin && high === laid.rows.end - 1;
  return {
    from: from + first * counts.step, to: from + (last + 1) * counts.step,
    slower: all || low === 0 ? null : counts.bounds[low - 1], faster: all || high >= counts.bounds.length ? null : counts.bounds[high],
    count: laid.cells.filter((cell) => cell.column >= first && cell.column <= last && cell.row >= low && cell.row <= high)
      .reduce((sum, cell) => ({ count: sum.count + cell.count, errors: sum.errors + cell.errors }), { count: 0, errors: 0 }),
  };
}
