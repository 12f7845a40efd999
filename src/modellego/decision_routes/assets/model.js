/* The data of one route picture: decoded tables, and what each channel is to the classes that are switched on. */
const PRIVATE_BLOCKS = 6; // with more classes than this the private channels run on in one block
const SHARED = -1, UNUSED = -2, STEPS = 65535;

function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const out = new Uint16Array(bytes.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = bytes[2 * i] | (bytes[2 * i + 1] << 8);
  return out;
}

function readModel(data) {
  const model = {
    classes: data.classes, colours: data.colours, shapes: data.shapes,
    layers: data.layers.map((layer) => ({ ...layer, contribution: unpack(layer.contribution) })),
    links: data.links,
    edges: data.edges.map((edges) => ({ ...edges, weights: unpack(edges.weights) })),
    active: data.classes.map(() => true),
    threshold: data.threshold,
  };
  model.columns = Math.max(...model.layers.map((layer) => layer.column)) + 1;
  return model;
}

const limitOf = (model) => Math.max(1, Math.round(model.threshold * STEPS));
const activeCount = (model) => model.active.filter(Boolean).length;

/* Works out `role` of each channel (class number, SHARED or UNUSED), the drawn order, and counts per layer. */
function classify(model) {
  const limit = limitOf(model), classes = model.classes.length;
  for (const layer of model.layers) {
    layer.role = new Int16Array(layer.n).fill(UNUSED);
    layer.users = new Uint16Array(layer.n); // how many of the classes that are on
    layer.counts = { private: new Array(classes).fill(0), shared: 0, unused: 0 };
    for (let q = 0; q < layer.n; q++) {
      let role = UNUSED;
      for (let c = 0; c < classes; c++) {
        if (!model.active[c] || layer.contribution[c * layer.n + q] < limit) continue;
        role = role === UNUSED ? c : SHARED;
        layer.users[q]++;
      }
      layer.role[q] = role;
      if (role === SHARED) layer.counts.shared++;
      else if (role === UNUSED) layer.counts.unused++;
      else layer.counts.private[role]++;
    }
    layer.blocks = blocksOf(model, layer);
  }
}

function blocksOf(model, layer) {
  const apart = activeCount(model) <= PRIVATE_BLOCKS;
  const blocks = new Map();
  for (let q = 0; q < layer.n; q++) {
    const role = layer.role[q];
    const key = role === SHARED ? 1e6 : role === UNUSED ? 1e6 + 1 : apart ? role : 0;
    if (!blocks.has(key)) blocks.set(key, []);
    blocks.get(key).push(q);
  }
  const sorted = [...blocks.entries()].sort((a, b) => a[0] - b[0]).map((entry) => entry[1]);
  for (const block of sorted) block.sort((a, b) => layer.role[a] - layer.role[b] || layer.users[a] - layer.users[b] || a - b);
  return sorted;
}

/* The edges to draw: for each class that is on, both ends must reach the threshold for that class. */
function visibleEdges(model) {
  const limit = limitOf(model), classes = model.classes.length, out = [];
  for (const edges of model.edges) {
    const from = model.layers[edges.s], to = model.layers[edges.t];
    for (let e = 0; e < edges.weights.length / classes; e++) {
      const p = edges.pairs[2 * e], q = edges.pairs[2 * e + 1];
      for (let c = 0; c < classes; c++) {
        const weight = edges.weights[e * classes + c];
        if (!model.active[c] || weight === 0) continue;
        if (from.contribution[c * from.n + p] < limit || to.contribution[c * to.n + q] < limit) continue;
        out.push({ s: edges.s, t: edges.t, p, q, c, w: weight / STEPS });
      }
    }
  }
  return out.sort((a, b) => a.w - b.w); // strong ones on top
}

function describeRole(model, layer, channel) {
  const role = layer.role[channel], limit = limitOf(model);
  if (role >= 0) return 'private to ' + model.classes[role];
  if (role === UNUSED) return 'unused by the classes shown';
  const users = model.classes.filter((_, c) => model.active[c] && layer.contribution[c * layer.n + channel] >= limit);
  return 'shared by ' + (users.length > 4 ? users.length + ' classes' : users.join(', '));
}

const colourOf = (model, role) =>
  role === SHARED ? 'shared' : role === UNUSED ? 'unused' : 'c' + (role % model.colours);
const shapeOf = (model, role) =>
  role < 0 ? 'circle' : model.shapes[Math.floor(role / model.colours) % model.shapes.length];
