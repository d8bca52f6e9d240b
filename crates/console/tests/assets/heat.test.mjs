// Where the cells of a map of heat lie, how deep they are, and what a drag over them asks for.

import assert from 'node:assert/strict';
import test from 'node:test';

import { cellAt, Counts, enclosed, laid, leasts, level, LEVELS } from '../../assets/cells.js';

const bounds = Array.from({ length: 24 }, (_, at) => 100000 * 10 ** ((at + 1) / 4));
// An answer of the API: `[column, row, count, errors]`.
const answer = (from, step, columns, some) => {
  const empty = () => Array.from({ length: columns }, () => new Array(25).fill(0));
  const [counts, errors] = [empty(), empty()];
  for (const [column, row, count, failed] of some) { counts[column][row] = count; errors[column][row] = failed; }
  return { from_us: from * 1000, step_us: step * 1000, bounds_ns: bounds, counts, errors, cut: false };
};
const view = { from: 60000, to: 120000 };
const made = () => {
  const counts = new Counts(10000);
  counts.take(answer(60000, 10000, 6, [[0, 8, 100, 0], [5, 12, 4, 1]]));
  return counts;
};
const size = { width: 600, height: 200 };

test('cells lie where their time and latency are', () => {
  const plan = laid(made(), view, size);
  const [fast, slow] = plan.cells;
  assert.deepEqual([plan.columns, plan.most, plan.all, plan.failed], [6, 100, 104, 1]);
  assert.deepEqual([fast.x, fast.wide, slow.x], [0, 100, 500]);
  assert.ok(slow.y < fast.y, 'what is slow is higher up');
  assert.ok(fast.level > slow.level && slow.failed > 0 && fast.failed === 0);
  for (const cell of plan.cells) assert.ok(cell.y >= 0 && cell.y + cell.high <= size.height + 1e-9);
});

test('the cell at a place is that which is drawn there, at the edges too', () => {
  const plan = laid(made(), view, size);
  for (const cell of plan.cells) {
    const { column, row } = cellAt(plan, cell.x + cell.wide / 2, cell.y + cell.high / 2);
    assert.deepEqual([column, row], [cell.column, cell.row]);
  }
  assert.deepEqual(cellAt(plan, -5, 9999), { column: 0, row: plan.rows.begin });
  assert.deepEqual(cellAt(plan, 9999, -5), { column: 5, row: plan.rows.end - 1 });
});

test('what is enclosed is asked for, and counted', () => {
  const [counts, plan] = [made(), laid(made(), view, size)];
  const part = enclosed(counts, view, plan, { column: 5, row: 12 }, { column: 4, row: 11 });
  assert.deepEqual([part.from, part.to, part.slower, part.faster], [100000, 120000, bounds[10], bounds[12]]);
  assert.deepEqual(part.count, { count: 4, errors: 1 });
  const all = enclosed(counts, view, plan, { column: 0, row: plan.rows.begin }, { column: 5, row: plan.rows.end - 1 });
  assert.deepEqual([all.slower, all.faster, all.count.count], [null, null, 104]);
  const slowest = laid(new Counts(10000), view, size);
  assert.equal(slowest.cells.length, 0);
});

test('the fastest and the slowest rows have no bound there', () => {
  const counts = new Counts(10000);
  counts.take(answer(60000, 10000, 6, [[0, 0, 1, 0], [0, 24, 1, 0]]));
  const plan = laid(counts, view, size);
  assert.deepEqual([plan.rows.begin, plan.rows.end], [0, 25]);
  assert.equal(enclosed(counts, view, plan, { column: 0, row: 0 }, { column: 0, row: 3 }).slower, null);
  assert.equal(enclosed(counts, view, plan, { column: 0, row: 20 }, { column: 0, row: 24 }).faster, null);
});

test('newer columns replace those known, and what emptied or is too old goes', () => {
  const counts = made();
  counts.take(answer(110000, 10000, 2, [[1, 3, 7, 0]]));
  assert.deepEqual([...counts.columns.keys()], [60000, 120000]);
  counts.forget(70000);
  assert.deepEqual([...counts.columns.keys()], [120000]);
});

test('levels follow powers, and the legend tells the least of each', () => {
  assert.deepEqual([level(1, 1), level(0.3, 0.5), level(1000, 1000), level(1, 1000)], [LEVELS, LEVELS, LEVELS, 1]);
  for (const most of [1, 2, 5, 40, 1000, 123456]) {
    const all = leasts(most);
    assert.ok(all.length > 0 && all.at(-1).level === LEVELS);
    for (const one of all) {
      assert.equal(level(one.least, most), one.level);
      assert.ok(one.least === 1 || level(one.least - 1, most) < one.level);
    }
  }
  assert.deepEqual(leasts(0), []);
});
