// Colours of Okabe and Ito, which people with any colour vision can tell apart; vermillion is kept for failures.

const LIGHT = {groups: ['#0072B2', '#CC79A7', '#E69F00', '#56B4E9', '#009E73', '#7A7A7A'], failed: '#D55E00'};
const DARK = {groups: ['#56B4E9', '#E59AC4', '#E69F00', '#F0E442', '#2BC79A', '#BDBDBD'], failed: '#FF8A3D'};

export const isDark = () => document.documentElement.classList.contains('dark');
export const colors = () => (isDark() ? DARK : LIGHT);

export const COMPONENTS = ['#D55E00', '#E69F00', '#56B4E9', '#CC79A7', '#0072B2'];

export const KINDS = {
  divergence: {glyph: '↗', color: '#D55E00', words: 'ever worse'},
  nonfinite: {glyph: '∅', color: '#D55E00', words: 'NaN or infinite'},
  collapse: {glyph: '▼', color: '#CC79A7', words: 'fell to a useless level'},
  shift: {glyph: '▬', color: '#E69F00', words: 'new level'},
  excursion: {glyph: '◆', color: '#3A8FC4', words: 'off, then back'},
  spike: {glyph: '▲', color: '#56B4E9', words: 'a few points off'},
  outlier_seed: {glyph: '○', color: '#009E73', words: 'far from its siblings'},
  guard: {glyph: '■', color: '#5B5FC7', words: 'SpikeGuard acted'},
};

export const VERDICTS = {
  better: {glyph: '▲', color: '#009E73'},
  worse: {glyph: '▼', color: '#D55E00'},
  same: {glyph: '=', color: '#8A8A8A'},
};

export const STATES = {
  ok: {glyph: '✓', words: 'finished'},
  failed: {glyph: '✕', words: 'failed'},
  running: {glyph: '…', words: 'running'},
  cancelled: {glyph: '–', words: 'cancelled'},
  pending: {glyph: '?', words: 'not judged yet'},
  copy: {glyph: '=', words: 'copy of another run'},
};

export const faded = (color, alpha) => {
  const channels = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return `rgba(${channels.join(',')},${alpha})`;
};

export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Stops of cividis (made for colour-vision deficiency), and blue to vermillion around the background's grey.
const SEQUENTIAL = ['#00224e', '#2a3f6d', '#575d6d', '#7d7c78', '#a59c74', '#d2c060', '#fee838'];
const DIVERGING_LIGHT = ['#0072B2', '#7fb8d8', '#f2f2f2', '#eaaf80', '#D55E00'];
const DIVERGING_DARK = ['#56B4E9', '#2d5a75', '#303030', '#8a4a1c', '#ff7a1a'];

function ramp(stops, share) {
  const at = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(at));
  const mix = at - low;
  const channel = (color, from) => parseInt(color.slice(from, from + 2), 16);
  const parts = [1, 3, 5].map((from) => Math.round(
    channel(stops[low], from) * (1 - mix) + channel(stops[low + 1], from) * mix,
  ));
  return `rgb(${parts.join(',')})`;
}

export const sequential = (share) => ramp(SEQUENTIAL, share);
export const diverging = (share) => ramp(isDark() ? DIVERGING_DARK : DIVERGING_LIGHT, share);
