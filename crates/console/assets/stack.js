// Tables on narrow screens: rows lie below each other, with each cell beside the name of its column. All tables with heads that come into the
// page do so by themselves; the style sheet says how narrow that is.

import { mark } from './dom.js';

const ROLES = [['thead, tbody', 'rowgroup'], ['tr', 'row'], ['th', 'columnheader'], ['td', 'cell']];

function label(table) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  // A head of several columns names none of them.
  if (!heads.length || heads.some((head) => head.colSpan > 1)) return;
  mark(table, 'data-stacks', true);
  // What is no table to the eye is still one to those who hear it.
  mark(table, 'role', 'table');
  for (const [which, role] of ROLES) for (const element of table.querySelectorAll(which)) mark(element, 'role', role);
  for (const body of table.tBodies) {
    for (const row of body.rows) {
      let column = 0;
      for (const cell of row.cells) {
        mark(cell, 'data-label', column > 0 && cell.colSpan === 1 ? heads[column]?.textContent || null : null);
        column += cell.colSpan;
      }
    }
  }
}

// From now on, of what is below `root`.
export function stacks(root) {
  new MutationObserver((changes) => {
    const tables = new Set();
    for (const { target, addedNodes } of changes) {
      // What changes within a cell changes no names.
      if (/^(TABLE|THEAD|TBODY|TR)$/.test(target.tagName)) tables.add(target.closest('table'));
      else for (const added of addedNodes) if (added.nodeType === Node.ELEMENT_NODE) for (const table of added.querySelectorAll('table')) tables.add(table);
      for (const added of addedNodes) if (added.tagName === 'TABLE') tables.add(added);
    }
    for (const table of tables) label(table);
  }).observe(root, { childList: true, subtree: true });
}
