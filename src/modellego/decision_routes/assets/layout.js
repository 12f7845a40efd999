/* Where everything goes: columns along the graph, a card of packed marks for each layer, a bus above for skips. */
const PAD = 28, TITLE = 42, LANE_GAP = 10, BLOCK_GAP = 0.55, BUS_STEP = 11, JUNCTION = 6;
const LINES = 3; // lines of names under the picture, at most

function basePitch(n) {
  return n <= 24 ? 16 : n <= 96 ? 13 : n <= 320 ? 10.5 : n <= 768 ? 8.5 : n <= 1280 ? 7.2 : 6.4;
}

/* Skips: links that jump over at least one column, each source on one level of the bus where it meets no other. */
function busLevels(model) {
  const spans = new Map();
  for (const link of model.links) {
    const from = model.layers[link.s].column, to = model.layers[link.t].column;
    if (to - from < 2) continue;
    const span = spans.get(link.s) || { from, to };
    span.to = Math.max(span.to, to);
    spans.set(link.s, span);
  }
  const ends = [], level = new Map();
  for (const [source, span] of [...spans.entries()].sort((a, b) => a[1].from - b[1].from)) {
    let at = ends.findIndex((end) => end <= span.from);
    if (at < 0) at = ends.push(0) - 1;
    ends[at] = span.to;
    level.set(source, at);
  }
  return { level, count: ends.length };
}

/* One pass over the columns: how wide the cards are, how high the picture must be, then where each card lies. */
function arrange(model, width, zoom, wordWidth) {
  const narrow = width < 560;
  const bus = busLevels(model);
  const step = Math.min(BUS_STEP, 72 / Math.max(1, bus.count));
  const columns = Array.from({ length: model.columns }, () => []);
  model.layers.forEach((layer, index) => columns[layer.column].push(index));
  const cards = new Array(model.layers.length);

  let high = (narrow ? 270 : 340) * Math.min(1.6, Math.max(1, zoom)); // of the marks, names not counted
  for (const column of columns) {
    if (column.length < 2) continue;
    for (const index of column) cards[index] = pack(model, index, 0, zoom * 0.85, false);
    high = Math.max(high, column.reduce((sum, index) => sum + cards[index].tallest + LANE_GAP + TITLE, 0) - TITLE);
  }
  const widths = columns.map((column) => {
    if (column.length < 2) cards[column[0]] = pack(model, column[0], high, zoom, true);
    return Math.max(...column.map((index) => cards[index].width));
  });

  // names are never cut off: those of neighbouring columns stand on lines of their own in turn, as many as it takes
  const needs = columns.map((column) => Math.max(...column.map((index) => wordWidth(model.layers[index].name) + 10)));
  const half = (at) => (needs[at] - widths[at]) / 2;
  const pad = Math.max(PAD, half(0), half(columns.length - 1));
  const gaps = Math.max(1, columns.length - 1);
  const marks = widths.reduce((a, b) => a + b, 0);
  const roomy = (width - 2 * pad - marks) / gaps;
  // how much wider than the cards between them the names of two columns are that stand `k` columns apart
  const lacking = (at, k) => at + k >= columns.length ? 0 : (needs[at] + needs[at + k] - widths[at] - widths[at + k]) / 2
    - widths.slice(at + 1, at + k).reduce((a, b) => a + b, 0);
  const inLanes = (at) => columns[at].length > 1 && at + 1 < columns.length && columns[at + 1].length > 1;
  const legible = Math.max(0, ...columns.map((_, at) => Math.max(lacking(at, LINES) / LINES, inLanes(at) ? lacking(at, 1) : 0)));
  const gap = Math.max(legible, Math.min(190, Math.max((narrow ? 52 : 46) * Math.min(1.3, Math.max(0.75, zoom)), roomy)));
  const lines = [1, 2].find((k) => columns.every((_, at) => lacking(at, k) <= k * gap)) || LINES;
  const total = marks + gap * gaps + 2 * pad;
  const top = 16 + (bus.count ? bus.count * step + 10 : 0);
  let x = pad + Math.max(0, (width - total) / 2);
  columns.forEach((column, at) => {
    const needed = column.reduce((sum, index) => sum + cards[index].tallest, 0);
    const spare = (high - needed - (column.length - 1) * TITLE) / column.length;
    let y = top;
    column.forEach((index) => {
      const card = cards[index], slot = card.tallest + spare;
      card.alone = column.length === 1;
      card.x = x + (widths[at] - card.width) / 2;
      card.middle = y + slot / 2;
      card.centre = x + widths[at] / 2;
      card.reach = Math.max(widths[at], needs[at]) / 2;
      place(model.layers[index], card);
      y += slot + TITLE;
    });
    x += widths[at] + gap;
  });
  cards.forEach((card, index) => {
    const line = card.alone ? model.layers[index].column % lines : 0;
    card.nameY = (card.alone ? top + high : card.y + card.height) + 19 + line * 32;
  });
  const height = top + high + TITLE + (lines - 1) * 32 + 4;
  return { cards, gap, width: Math.max(width, total), height, bus, step, busTop: 14, zoom };
}

/* How many marks go in a row: the fewest that keep the card within its height, whatever the threshold does.
   A card without a given height becomes about as high as wide; `apart` gives each class a block of its own. */
function pack(model, index, height, zoom, apart) {
  const layer = model.layers[index];
  if (!layer.n) return { junction: true, width: JUNCTION, height: 96, tallest: 96, pitch: 0, columns: 0, blocks: [] };
  const pitch = basePitch(layer.n) * zoom;
  const separate = apart && model.classes.length <= PRIVATE_BLOCKS;
  const blocks = Math.min(layer.n, (separate ? model.classes.length : 1) + 2);
  const rowsWith = (columns) => Math.floor((layer.n + blocks * (columns - 1)) / columns) + (blocks - 1) * BLOCK_GAP;
  let columns = 1;
  while (columns < layer.n && (height ? rowsWith(columns) * pitch > height : rowsWith(columns) > Math.max(6, columns * 1.3))) columns++;
  return {
    junction: false, pitch, columns, width: columns * pitch, tallest: rowsWith(columns) * pitch,
    blocks: separate ? layer.blocks : joined(layer),
  };
}

/* The blocks of a layer with all private channels in one. */
function joined(layer) {
  const own = layer.blocks.filter((block) => layer.role[block[0]] >= 0).flat();
  return [own, ...layer.blocks.filter((block) => layer.role[block[0]] < 0)].filter((block) => block.length);
}

/* Fills in the position of every mark: blocks one under the other, the whole stack centred in its lane. */
function place(layer, card) {
  if (card.junction) {
    card.y = card.middle - card.height / 2;
    return;
  }
  const { pitch, columns } = card;
  let rows = 0;
  for (const block of card.blocks) rows += Math.ceil(block.length / columns);
  card.height = (rows + (card.blocks.length - 1) * BLOCK_GAP) * pitch;
  card.y = card.middle - card.height / 2;
  card.px = new Float32Array(layer.n);
  card.py = new Float32Array(layer.n);
  card.order = [];
  let y = card.y;
  for (const block of card.blocks) {
    block.forEach((q, i) => {
      card.px[q] = card.x + ((i % columns) + 0.5) * pitch;
      card.py[q] = y + (Math.floor(i / columns) + 0.5) * pitch;
      card.order.push(q);
    });
    y += (Math.ceil(block.length / columns) + BLOCK_GAP) * pitch;
  }
}

/* The mark under a point of the picture, or null. */
function hit(model, plan, x, y) {
  let best = null, near = Infinity;
  plan.cards.forEach((card, index) => {
    if (card.junction || x < card.x - 6 || x > card.x + card.width + 6) return;
    const reach = Math.max(card.pitch * 0.72, 9);
    for (let q = 0; q < card.px.length; q++) {
      const d = Math.hypot(card.px[q] - x, card.py[q] - y);
      if (d < reach && d < near) [best, near] = [{ layer: index, channel: q }, d];
    }
  });
  return best;
}
