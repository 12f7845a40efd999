/* The small plot of shared and private channels per layer, the key, and the table with the same numbers. */
const SVG = 'http://www.w3.org/2000/svg';

function svgElement(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.appendChild(node);
  return node;
}

function element(name, className, content, parent) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (content !== undefined) node.textContent = content; // never as HTML
  if (parent) parent.appendChild(node);
  return node;
}

function swatch(model, role) {
  const svg = svgElement('svg', { width: 14, height: 14, viewBox: '-7 -7 14 14', 'aria-hidden': 'true' });
  const fill = 'var(--' + colourOf(model, role) + ')', shape = shapeOf(model, role);
  if (shape === 'circle') svgElement('circle', { r: role === UNUSED ? 3 : 5.5, fill }, svg);
  else if (shape === 'square') svgElement('rect', { x: -5, y: -5, width: 10, height: 10, fill }, svg);
  else if (shape === 'diamond') svgElement('path', { d: 'M0-6.5 6.5 0 0 6.5-6.5 0Z', fill }, svg);
  else svgElement('path', { d: 'M0-6 6 4.5-6 4.5Z', fill }, svg);
  return svg;
}

function drawKey(model, list) {
  list.replaceChildren();
  const add = (role, words) => {
    const item = element('li', '', undefined, list);
    item.append(swatch(model, role), document.createTextNode(words));
  };
  const on = model.classes.map((_, c) => c).filter((c) => model.active[c]);
  if (on.length <= PRIVATE_BLOCKS) on.forEach((c) => add(c, 'only ' + model.classes[c]));
  else element('li', '', 'In a class’s colour: only that class', list);
  if (on.length > 1) add(SHARED, on.length > 2 ? 'shared by several, the fuller by the more' : 'shared by both');
  add(UNUSED, 'unused');
  if (model.links.some((link) => model.layers[link.t].column - model.layers[link.s].column > 1)) {
    const item = element('li', '', undefined, list);
    const svg = svgElement('svg', { width: 26, height: 10, viewBox: '0 0 26 10', 'aria-hidden': 'true' }, item);
    svgElement('path', { d: 'M1 9V4q0-3 3-3h18q3 0 3 3v5', fill: 'none', stroke: 'var(--muted)', 'stroke-width': 1.4, 'stroke-dasharray': '4 3' }, svg);
    item.append('skip connection');
  }
}

function drawShare(model, box, current, choose) {
  const shown = model.layers.map((layer, index) => ({ layer, index })).filter((item) => item.layer.n);
  const height = 96, top = 4, narrowest = 18; // names need so much; what does not fit scrolls
  const left = Math.max(40, ...shown.slice(0, 3).map((item, i) => item.layer.name.length * 4.6 - i * narrowest));
  const width = Math.max(240, box.clientWidth, left + narrowest * shown.length);
  const pitch = Math.min(64, (width - left) / shown.length), bar = pitch * 0.72;
  const below = 12 + Math.max(...shown.map((item) => item.layer.name.length)) * 5;
  const svg = svgElement('svg', { width, height: top + height + below, role: 'img', 'aria-label': 'Share of private, shared and unused channels per layer; the same numbers are in the table below' });
  svg.setAttribute('viewBox', `0 0 ${width} ${top + height + below}`);
  for (const tick of [0, 0.5, 1]) {
    const y = top + height * (1 - tick);
    svgElement('line', { x1: left - 4, x2: left + pitch * shown.length, y1: y, y2: y, stroke: 'var(--line)' }, svg);
    svgElement('text', { x: left - 8, y: y + 4, 'text-anchor': 'end' }, svg).textContent = tick * 100 + '%';
  }
  shown.forEach(({ layer, index }, i) => {
    const x = left + i * pitch + (pitch - bar) / 2;
    const group = svgElement('g', { class: 'bar' + (index === current ? ' current' : ''), 'data-layer': index }, svg);
    let y = top + height;
    const stack = (role, count) => {
      const h = height * count / layer.n;
      y -= h;
      if (count) svgElement('rect', { x, y, width: bar, height: Math.max(0, h - (h > 3 ? 1 : 0)), fill: 'var(--' + colourOf(model, role) + ')' }, group);
    };
    stack(SHARED, layer.counts.shared);
    layer.counts.private.forEach((count, c) => stack(c, count));
    svgElement('rect', { class: 'back', x: x - 1.5, y: top - 1.5, width: bar + 3, height: height + 2, 'pointer-events': 'all', rx: 2 }, group);
    svgElement('title', {}, group).textContent = `${layer.name}: ${shares(layer).join(', ')} of ${layer.n} channels`;
    const at = `translate(${x + bar / 2 + 3} ${top + height + 12}) rotate(-48)`;
    svgElement('text', { transform: at, 'text-anchor': 'end' }, group).textContent = layer.name;
    group.addEventListener('click', () => choose(index));
  });
  box.replaceChildren(svg);
}

function shares(layer) {
  const own = layer.counts.private.reduce((a, b) => a + b, 0);
  return [`${layer.counts.shared} shared`, `${own} private`, `${layer.counts.unused} unused`];
}

function drawTable(model, table) {
  const on = model.classes.map((_, c) => c).filter((c) => model.active[c]);
  const each = on.length <= PRIVATE_BLOCKS;
  const head = ['Layer', 'Channels', ...(each ? on.map((c) => 'Only ' + model.classes[c]) : ['Private']), 'Shared', 'Unused'];
  const row = element('tr');
  head.forEach((words) => element('th', '', words, row).setAttribute('scope', 'col'));
  table.tHead.replaceChildren(row);
  table.tBodies[0].replaceChildren(...model.layers.filter((layer) => layer.n).map((layer) => {
    const line = element('tr');
    element('th', '', layer.name, line).setAttribute('scope', 'row');
    const own = each ? on.map((c) => layer.counts.private[c]) : [layer.counts.private.reduce((a, b) => a + b, 0)];
    [layer.n, ...own, layer.counts.shared, layer.counts.unused].forEach((n) => element('td', '', n.toLocaleString('en'), line));
    return line;
  }));
}
