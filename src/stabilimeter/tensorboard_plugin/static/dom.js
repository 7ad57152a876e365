// Elements made from data: text is only ever set as text, so that no tag name or path can become markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked') element[name] = value;
    else if (name === 'style') Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(2)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

export const svg = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

export const button = (text, onclick, props = {}) => h('button', {type: 'button', onclick, ...props}, text);

export function select(label, options, value, onchange, props = {}) {
  const known = options.some((option) => option.value === value);
  const element = h(
    'select', {onchange: (event) => onchange(event.target.value), ...props},
    options.map((option) => h('option', {value: option.value, selected: option.value === value}, option.text)),
  );
  element.value = known ? value : options[0]?.value ?? '';
  return h('label', {class: 'field'}, h('span', {}, label), element);
}

export function checkbox(label, checked, onchange, props = {}) {
  return h(
    'label', {class: 'check'},
    h('input', {type: 'checkbox', checked, onchange: (event) => onchange(event.target.checked), ...props}), label,
  );
}

export function number(value) {
  if (value === null || value === undefined) return '-';
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-4)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

// Seconds as somebody would say them, in at most two units.
export function duration(seconds) {
  if (Math.abs(seconds) < 60) return `${Number(seconds.toFixed(1))} s`;
  const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
  const at = units.findIndex(([, size]) => Math.abs(seconds) >= size);
  const [large, small] = [units[at], units[at + 1]];
  const rest = Math.round((seconds % large[1]) / small[1]);
  return `${Math.floor(seconds / large[1])} ${large[0]}${rest ? ` ${rest} ${small[0]}` : ''}`;
}
