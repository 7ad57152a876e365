// The Stability tab: shell, tabs, theme, and the question to the server whether there is news.

import {get} from './api.js';
import {button, h} from './dom.js';
import * as checkpoints from './checkpoints.js';
import * as compare from './compare.js';
import * as incidents from './incidents.js';
import * as layers from './layers.js';
import * as overview from './overview.js';
import * as seeds from './seeds.js';

const ASK_EVERY_MS = 3000;
const ASK_SOON_MS = 300;  // while the runs are read and judged
const ASK_FIRST_MS = 100;
const CHOOSING_MS = 6000;
const VIEWS = [
  {name: 'overview', title: 'Overview', module: overview, has: () => true},
  {name: 'seeds', title: 'Seeds', module: seeds, has: (about) => about.tags.length > 0},
  {name: 'incidents', title: 'Incidents', module: incidents, has: (about) => about.is_scored},
  {name: 'layers', title: 'Layers', module: layers, has: (about) => about.is_scored && about.vectors.length > 0},
  {name: 'checkpoints', title: 'Checkpoints', module: checkpoints,
    has: (about) => about.groups.some((group) => group.primary_better)},
  {name: 'compare', title: 'Compare', module: compare, has: (about) => about.is_scored && about.groups.length > 1},
];

class Tab {
  constructor() {
    this.view = 'overview';
    this.state = {};
    this.about = null;
    this.version = 0;
    this.turn = 0;
    this.chose = 0;
    document.addEventListener('focusin', (event) => { if (event.target.tagName === 'SELECT') this.chose = Date.now(); });
    this.nav = h('div', {role: 'tablist', 'aria-label': 'Views', class: 'tabs'});
    this.news = h('span', {class: 'news', role: 'status'});
    this.main = h('main', {id: 'view', role: 'tabpanel', tabindex: '-1'});
    document.body.append(h('header', {}, this.nav, this.news), this.main);
    this.progress('Looking for runs…');
  }

  progress(text, share = null) {
    this.main.replaceChildren(h('section', {class: 'waiting'}, h('p', {}, text), h('progress', {value: share})));
  }

  async ask() {
    try {
      const status = await get('status');
      const count = status.total ? `${status.done} of ${status.total}` : '';
      this.news.textContent = status.error && this.about ? `Not refreshed: ${status.error}`
        : status.doing && this.about ? `${status.doing} ${count}` : '';
      this.news.classList.toggle('bad', Boolean(status.error));
      const choosing = Date.now() - this.chose < CHOOSING_MS;  // an open list would close
      if (status.version && status.version !== this.version && !choosing) {
        this.about = await get('overview');
        this.version = this.about.version;
        await this.show();
      } else if (!this.about && status.error) {
        this.main.replaceChildren(h('p', {class: 'message bad', role: 'alert'}, status.error));
      } else if (!this.about) {
        const share = status.total ? status.done / status.total : null;
        this.progress(`${status.doing ?? 'Looking for runs'} in ${status.folder} ${count}`, share);
      }
    } catch (error) {
      this.news.textContent = `No answer: ${error.message}`;
      this.news.classList.add('bad');
      if (!this.about) this.main.replaceChildren(h('p', {class: 'message bad', role: 'alert'}, error.message));
    }
    setTimeout(() => this.ask(), this.about?.is_scored ? ASK_EVERY_MS : this.about ? ASK_SOON_MS : ASK_FIRST_MS);
  }

  go(view, changes = {}) {
    this.view = view;
    Object.assign(this.state, changes);
    window.scrollTo(0, 0);
    return this.show();
  }

  tabs() {
    const shown = VIEWS.filter((view) => view.has(this.about));
    if (!shown.some((view) => view.name === this.view)) this.view = 'overview';
    this.nav.replaceChildren(...shown.map((view) => button(view.title, () => this.go(view.name), {
      role: 'tab', id: `tab-${view.name}`, 'aria-selected': String(view.name === this.view), 'aria-controls': 'view',
      tabindex: view.name === this.view ? '0' : '-1',
      onkeydown: (event) => {
        const turn = {ArrowRight: 1, ArrowLeft: -1}[event.key];
        if (!turn) return;
        const at = shown.findIndex((other) => other.name === this.view);
        const next = shown[(at + turn + shown.length) % shown.length].name;
        this.go(next).then(() => document.getElementById(`tab-${next}`)?.focus());
      },
    })));
    this.main.setAttribute('aria-labelledby', `tab-${this.view}`);
  }

  async show() {
    if (!this.about) return;
    this.turn += 1;
    const turn = this.turn;
    const focus = document.activeElement?.id;
    const {scrollY} = window;
    this.tabs();
    const fresh = h('div', {class: `view ${this.view}`});
    const shown = {
      about: this.about,
      state: this.state,
      get,
      go: (view, changes) => this.go(view, changes),
      again: (changes = {}) => { Object.assign(this.state, changes); return this.show(); },
      place: () => { if (turn === this.turn && !fresh.isConnected) this.main.replaceChildren(fresh); },
      current: () => turn === this.turn,
    };
    try {
      await VIEWS.find((view) => view.name === this.view).module.show(fresh, shown);
    } catch (error) {
      fresh.replaceChildren(h('p', {class: 'message bad', role: 'alert'}, error.message));
    }
    shown.place();
    if (turn === this.turn) {
      this.main.dataset.view = this.view;
      this.main.dataset.scored = String(this.about.is_scored);
      if (focus) document.getElementById(focus)?.focus({preventScroll: true});
      if (scrollY) window.scrollTo(0, scrollY);
    }
  }
}

// TensorBoard's dark mode is a class on the page around this frame; where that cannot be seen, the system decides.
function followTheme(onchange) {
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  let outside = null;
  try {
    outside = window.parent !== window ? window.parent.document.body : null;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
  const apply = () => {
    const dark = outside ? outside.classList.contains('dark-mode') : system.matches;
    if (document.documentElement.classList.contains('dark') === dark) return;
    document.documentElement.classList.toggle('dark', dark);
    onchange();
  };
  if (outside) new MutationObserver(apply).observe(outside, {attributes: true, attributeFilter: ['class']});
  system.addEventListener('change', apply);
  apply();
}

function stylesheet(name) {
  return new Promise((resolve) => {
    document.head.append(h('link', {rel: 'stylesheet', href: name, onload: resolve, onerror: resolve}));
  });
}

export async function render() {
  document.documentElement.lang = 'en';
  document.title = 'Stability';
  await Promise.all([stylesheet('uplot.css'), stylesheet('stability.css')]);
  let tab = null;
  followTheme(() => tab?.show());
  tab = new Tab();
  await tab.ask();
}
