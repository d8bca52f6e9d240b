// An address that is none.

import { h, link } from './dom.js';
import { page } from './router.js';

// The page of something that is not there: `what` it would be, and where all are that there are.
export function missing(root, what, name, to, words) {
  root.replaceChildren(h('div', { class: 'head' }, h('h1', {}, `There is no ${what} of that name`)), h('p', {}, h('code', {}, name)), h('p', {}, link(to, {}, words)));
}

page('nowhere', (root) => {
  root.append(h('div', { class: 'head' }, h('h1', {}, 'There is no such page')), h('p', {}, link('/map', {}, 'To the map')));
});
