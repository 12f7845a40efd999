/* One live route picture: state, controls, pointer and keys. */
function routes(root) {
  const find = (selector) => root.querySelector(selector);
  const model = readModel(JSON.parse(find('.mlr-data').textContent));
  const map = find('.mlr-map'), spacer = find('.mlr-spacer'), canvas = find('canvas'), tip = find('.mlr-tip');
  const slider = find('.mlr-slider input'), context = canvas.getContext('2d');
  const view = { showEdges: true, focus: null, edges: [], colours: {}, left: 0, width: 0, font: 'sans-serif' };
  let plan = null, zoom = 1, pinned = false, waiting = false, shareLayer = null;

  function readColours() {
    const style = getComputedStyle(root);
    const names = ['paper', 'ink', 'muted', 'line', 'band', 'shared', 'unused'];
    for (let i = 0; i < model.colours; i++) names.push('c' + i);
    for (const name of names) view.colours[name] = style.getPropertyValue('--' + name).trim();
    view.font = style.fontFamily;
  }
  function wordWidth(words) {
    context.font = '600 12px ' + view.font;
    return context.measureText(words).width;
  }
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      view.left = map.scrollLeft;
      paint(context, model, plan, view);
    });
  }
  function resize() {
    view.width = map.clientWidth;
    plan = arrange(model, view.width, zoom, wordWidth);
    spacer.style.width = plan.width + 'px';
    spacer.style.height = plan.height + 'px';
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(view.width * ratio);
    canvas.height = Math.round(plan.height * ratio);
    canvas.style.width = view.width + 'px';
    canvas.style.height = plan.height + 'px';
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    showMore();
    redraw();
  }
  /* Says with a button at either edge that the picture goes on there. */
  function showMore() {
    const left = map.scrollLeft, rest = map.scrollWidth - map.clientWidth - left;
    root.querySelectorAll('.mlr-more').forEach((button) => {
      button.hidden = (button.dataset.way < 0 ? left : rest) < 4;
    });
  }
  function share() {
    shareLayer = view.focus ? view.focus.layer : null;
    drawShare(model, find('.mlr-plot'), shareLayer, (index) => {
      reveal(index, true);
      focusOn({ layer: index, channel: plan.cards[index].order[0] }, true);
    });
  }
  function update() {
    classify(model);
    view.edges = visibleEdges(model);
    resize();
    share();
    drawKey(model, find('.mlr-key'));
    drawTable(model, find('.mlr-numbers table'));
    if (view.focus) showTip(view.focus);
  }
  function reveal(index, centre) {
    const card = plan.cards[index];
    const inside = card.x >= map.scrollLeft + 8 && card.x + card.width <= map.scrollLeft + view.width - 8;
    if (centre || !inside) map.scrollLeft = card.centre - view.width / 2;
  }

  function showTip(focus) {
    const layer = model.layers[focus.layer], card = plan.cards[focus.layer], limit = limitOf(model);
    tip.replaceChildren();
    element('b', '', `${layer.name}, channel ${focus.channel}`, tip);
    element('div', 'where', `${layer.kind} · ${describeRole(model, layer, focus.channel)}`, tip);
    const rows = model.classes.map((name, c) => ({ name, c, value: layer.contribution[c * layer.n + focus.channel] }))
      .filter((row) => model.classes.length <= 10 || model.active[row.c]);
    const shown = rows.length > 10 ? rows.sort((a, b) => b.value - a.value).slice(0, 10) : rows;
    for (const row of shown) {
      const line = element('div', 'row' + (model.active[row.c] ? '' : ' off'), undefined, tip);
      element('span', '', row.name, line);
      const track = element('span', 'track', undefined, line);
      const fill = element('i', '', undefined, track);
      fill.style.width = (100 * row.value) / STEPS + '%';
      fill.style.background = `var(--${row.value >= limit ? 'c' + (row.c % model.colours) : 'muted'})`;
      element('u', '', undefined, track).style.left = 100 * model.threshold + '%';
      element('span', '', (row.value / STEPS).toFixed(2), line);
    }
    if (rows.length > shown.length) element('div', 'where', `the 10 strongest of ${rows.length} classes`, tip);
    tip.hidden = false;
    const box = canvas.getBoundingClientRect();
    const x = box.left + card.px[focus.channel] - map.scrollLeft, y = box.top + card.py[focus.channel];
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = Math.max(8, x + 18 + w > window.innerWidth ? x - 18 - w : x + 18) + 'px';
    tip.style.top = Math.max(8, Math.min(y - h / 2, window.innerHeight - h - 8)) + 'px';
  }
  function focusOn(focus, pin) {
    pinned = Boolean(focus && pin);
    view.focus = focus;
    if (focus) showTip(focus);
    else tip.hidden = true;
    canvas.style.cursor = focus ? 'pointer' : '';
    if ((focus ? focus.layer : null) !== shareLayer) share();
    redraw();
  }
  function speak(focus) {
    const layer = model.layers[focus.layer];
    const values = model.classes.map((name, c) => [name, layer.contribution[c * layer.n + focus.channel] / STEPS])
      .filter((_, c) => model.active[c]).sort((a, b) => b[1] - a[1]).slice(0, 5);
    find('.mlr-live').textContent = `${layer.name}, channel ${focus.channel} of ${layer.n}, ` +
      `${describeRole(model, layer, focus.channel)}. ` + values.map((v) => `${v[0]} ${v[1].toFixed(2)}`).join(', ');
  }
  function under(event) {
    const box = canvas.getBoundingClientRect();
    return hit(model, plan, event.clientX - box.left + map.scrollLeft, event.clientY - box.top);
  }

  canvas.addEventListener('pointermove', (event) => {
    if (pinned || event.pointerType === 'touch') return;
    const at = under(event), old = view.focus;
    if (at ? !(old && old.layer === at.layer && old.channel === at.channel) : old) focusOn(at, false);
  });
  canvas.addEventListener('pointerleave', () => { if (!pinned) focusOn(null); });
  canvas.addEventListener('click', (event) => focusOn(under(event), true));
  canvas.addEventListener('keydown', (event) => {
    const layers = model.layers.map((_, i) => i).filter((i) => model.layers[i].n);
    const now = view.focus || { layer: layers[0], channel: plan.cards[layers[0]].order[0] };
    const order = plan.cards[now.layer].order, at = order.indexOf(now.channel), where = layers.indexOf(now.layer);
    let next = null;
    const jump = (index) => {
      const card = plan.cards[layers[Math.max(0, Math.min(layers.length - 1, index))]];
      const layer = plan.cards.indexOf(card);
      return { layer, channel: card.order[Math.min(at, card.order.length - 1)] };
    };
    const step = (index) => ({ layer: now.layer, channel: order[Math.max(0, Math.min(order.length - 1, index))] });
    if (event.key === 'Escape') { focusOn(null); return; }
    if (event.key === 'ArrowRight') next = view.focus ? jump(where + 1) : now;
    else if (event.key === 'ArrowLeft') next = jump(where - 1);
    else if (event.key === 'ArrowDown') next = view.focus ? step(at + 1) : now;
    else if (event.key === 'ArrowUp') next = step(at - 1);
    else if (event.key === 'Home') next = step(0);
    else if (event.key === 'End') next = step(order.length - 1);
    else return;
    event.preventDefault();
    reveal(next.layer, false);
    focusOn(next, true);
    speak(next);
  });
  canvas.addEventListener('blur', () => focusOn(null));
  root.querySelectorAll('.mlr-more').forEach((button) => button.addEventListener('click', () => {
    map.scrollBy({ left: button.dataset.way * 0.8 * view.width, behavior: 'smooth' });
  }));
  map.addEventListener('scroll', () => { redraw(); showMore(); if (view.focus) showTip(view.focus); });
  window.addEventListener('scroll', () => { if (view.focus) showTip(view.focus); }, { passive: true });

  slider.addEventListener('input', () => {
    model.threshold = Number(slider.value);
    find('.mlr-slider output').textContent = model.threshold.toFixed(2);
    update();
  });
  find('.mlr-edges').addEventListener('change', (event) => { view.showEdges = event.target.checked; redraw(); });
  root.querySelectorAll('[data-zoom]').forEach((button) => button.addEventListener('click', () => {
    const kind = button.dataset.zoom, middle = (map.scrollLeft + view.width / 2) / plan.width;
    zoom = kind === 'fit' ? fitZoom() : Math.min(3, Math.max(0.4, zoom * (kind === 'in' ? 1.25 : 0.8)));
    resize();
    map.scrollLeft = middle * plan.width - view.width / 2;
    if (view.focus) showTip(view.focus);
  }));
  function fitZoom() {
    for (const z of [1.3, 1.15, 1, 0.9, 0.8, 0.7, 0.6]) if (arrange(model, map.clientWidth, z, wordWidth).width <= map.clientWidth + 1) return z;
    return map.clientWidth < 560 ? 0.9 : 0.8;
  }

  model.classes.forEach((name, c) => {
    const chip = element('label', 'mlr-chip', undefined, find('.mlr-chips'));
    const box = element('input', '', undefined, chip);
    box.type = 'checkbox';
    box.checked = true;
    box.addEventListener('change', () => { model.active[c] = box.checked; update(); });
    chip.append(swatch(model, c));
    element('span', '', name, chip);
    chip.title = name;
  });
  find('.mlr-all').hidden = model.classes.length < 4;
  root.querySelectorAll('[data-all]').forEach((button) => button.addEventListener('click', () => {
    const on = button.dataset.all === '1';
    root.querySelectorAll('.mlr-chip input').forEach((box, c) => { box.checked = on; model.active[c] = on; });
    update();
  }));

  const refresh = () => { readColours(); redraw(); };
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', refresh);
  new MutationObserver(refresh).observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  new ResizeObserver(() => { if (map.clientWidth !== view.width) { resize(); share(); } }).observe(map);
  readColours();
  classify(model);
  zoom = fitZoom();
  update();
  // for tests and for scripts on the page: where a mark lies on the screen, and what it is
  root.routes = {
    model,
    at: (layer, channel) => {
      reveal(layer, false);
      const box = canvas.getBoundingClientRect(), card = plan.cards[layer];
      return [box.left + card.px[channel] - map.scrollLeft, box.top + card.py[channel]];
    },
    names: () => model.layers.map((layer, index) => {
      const card = plan.cards[index], half = wordWidth(layer.name) / 2;
      return { name: layer.name, left: card.centre - half, right: card.centre + half, y: card.nameY };
    }),
    role: (layer, channel) => model.layers[layer].role[channel],
    edges: () => view.edges.length,
  };
}

document.querySelectorAll('.mlr').forEach(routes);
document.querySelectorAll('.theme-switch').forEach((button) => button.addEventListener('click', () => {
  const html = document.documentElement;
  const dark = html.dataset.theme ? html.dataset.theme === 'dark' : window.matchMedia('(prefers-color-scheme: dark)').matches;
  html.dataset.theme = dark ? 'light' : 'dark';
}));
