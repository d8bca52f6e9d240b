// An address that is none.

import { h, link } from './dom.js';
import { page } from './router.js';

page('nowhere', (root) => {
  root.append(h('div', { class: 'head' }, h('h1', {}, 'There is no such page')), h('p', {}, link('/map', {}, 'To the map')));
});
