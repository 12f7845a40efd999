/* Painting on the canvas: ribbons between cards, skips on the bus, edges, marks, names. */
function paint(ctx, model, plan, view) {
  const { left, width, colours } = view;
  ctx.clearRect(0, 0, width, plan.height);
  ctx.save();
  ctx.translate(-left, 0);
  const seen = (from, to) => to >= left && from <= left + width;
  const bands = (band) => {
    for (const link of model.links) {
      const skip = model.layers[link.t].column - model.layers[link.s].column > 1;
      const a = plan.cards[link.s], b = plan.cards[link.t];
      if (band === skip || !seen(a.x, b.x + b.width)) continue;
      if (skip) paintSkip(ctx, plan, link, colours);
      else paintRibbon(ctx, a, b, colours);
    }
  };
  bands(true);
  bands(false);
  if (view.showEdges || view.focus) paintEdges(ctx, model, plan, view, seen);
  plan.cards.forEach((card, index) => {
    if (!seen(card.centre - card.reach, card.centre + card.reach)) return;
    if (card.junction) paintJunction(ctx, card, colours);
    else paintMarks(ctx, model, model.layers[index], card, view);
    paintName(ctx, model.layers[index], card, view, view.focus && view.focus.layer === index);
  });
  if (view.focus) paintFocus(ctx, plan.cards[view.focus.layer], view);
  ctx.restore();
}

function paintSkip(ctx, plan, link, colours) {
  const a = plan.cards[link.s], b = plan.cards[link.t];
  const y = plan.busTop + plan.bus.level.get(link.s) * plan.step;
  const x0 = a.x + a.width + 9, x1 = b.x - 9, r = 7;
  const y0 = a.y + Math.min(8, a.height / 2), y1 = b.y + Math.min(8, b.height / 2);
  ctx.beginPath();
  ctx.moveTo(a.x + a.width + 2, y0);
  ctx.arcTo(x0, y0, x0, y, r);
  ctx.arcTo(x0, y, x1, y, r);
  ctx.arcTo(x1, y, x1, y1, r);
  ctx.arcTo(x1, y1, b.x - 2, y1, r);
  ctx.lineTo(b.x - 3, y1);
  ctx.setLineDash(link.kind === 'identity' ? [4, 3] : []);
  ctx.lineWidth = 1.4;
  ctx.strokeStyle = colours.muted;
  ctx.globalAlpha = 0.75;
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(b.x - 1, y1);
  ctx.lineTo(b.x - 7, y1 - 3.2);
  ctx.lineTo(b.x - 7, y1 + 3.2);
  ctx.fillStyle = colours.muted;
  ctx.fill();
  ctx.globalAlpha = 1;
}

/* The ground on which edges run: one pale band from card to card, as high as they are. */
function paintRibbon(ctx, a, b, colours) {
  const x0 = a.x + a.width / 2, x1 = b.x + b.width / 2, e0 = a.x + a.width + 4, e1 = b.x - 4, mid = (e0 + e1) / 2;
  const [h0, h1] = [a.height / 2 + 5, b.height / 2 + 5];
  ctx.beginPath();
  ctx.moveTo(x0, a.middle - h0);
  ctx.lineTo(e0, a.middle - h0);
  ctx.bezierCurveTo(mid, a.middle - h0, mid, b.middle - h1, e1, b.middle - h1);
  ctx.lineTo(x1, b.middle - h1);
  ctx.lineTo(x1, b.middle + h1);
  ctx.lineTo(e1, b.middle + h1);
  ctx.bezierCurveTo(mid, b.middle + h1, mid, a.middle + h0, e0, a.middle + h0);
  ctx.lineTo(x0, a.middle + h0);
  ctx.fillStyle = colours.band;
  ctx.fill();
}

/* The cards that lie between the two ends of an edge; worked out once for each pair of layers. */
function jumped(model, plan, s, t) {
  const key = s * model.layers.length + t;
  if (!plan.jumps) plan.jumps = new Map();
  if (!plan.jumps.has(key)) {
    const from = model.layers[s].column, to = model.layers[t].column, between = [];
    if (to - from > 1) {
      plan.cards.forEach((card, i) => {
        if (!card.junction && model.layers[i].column > from && model.layers[i].column < to) between.push(card);
      });
    }
    const alone = between.length && [plan.cards[s], plan.cards[t], ...between].every((card) => card.alone);
    plan.jumps.set(key, { between, over: Boolean(alone) });
  }
  return plan.jumps.get(key);
}

function edgePath(ctx, model, plan, edge) {
  const a = plan.cards[edge.s], b = plan.cards[edge.t];
  const x0 = a.px[edge.p], y0 = a.py[edge.p], x1 = b.px[edge.q], y1 = b.py[edge.q];
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  if (jumped(model, plan, edge.s, edge.t).over) { // over the cards that it jumps
    const y = Math.min(plan.busTop, y0, y1) - 40;
    ctx.bezierCurveTo(x0 + plan.gap, y, x1 - plan.gap, y, x1, y1);
  } else {
    const bend = (x1 - x0) * 0.5;
    ctx.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
  }
}

function paintEdges(ctx, model, plan, view, seen) {
  const focus = view.focus, calm = Math.min(1, Math.max(0.45, Math.sqrt(300 / (view.edges.length + 1))));
  const touches = (e) => focus &&
    ((e.s === focus.layer && e.p === focus.channel) || (e.t === focus.layer && e.q === focus.channel));
  const behind = (e) => { const jump = jumped(model, plan, e.s, e.t); return jump.between.length && !jump.over; };
  const pass = (wanted, strong) => {
    for (const edge of view.edges) {
      if (!wanted(edge)) continue;
      if (!seen(plan.cards[edge.s].x, plan.cards[edge.t].x + plan.cards[edge.t].width)) continue;
      edgePath(ctx, model, plan, edge);
      ctx.strokeStyle = view.colours['c' + (edge.c % model.colours)];
      ctx.lineWidth = strong ? 1.2 + 1.6 * edge.w : 0.5 + 1.4 * edge.w * edge.w;
      ctx.globalAlpha = strong ? 0.95 : (focus ? 0.08 : calm * (0.1 + 0.5 * edge.w * edge.w));
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
  };
  if (view.showEdges) {
    pass((e) => behind(e) && !touches(e), false);
    for (const { between, over } of (plan.jumps || new Map()).values()) {
      if (!over) for (const card of between) paintPanel(ctx, card, view.colours);
    }
    pass((e) => !behind(e) && !touches(e), false);
  }
  if (focus) pass(touches, true);
}

/* A card's own ground, so that edges which only pass by run behind it. */
function paintPanel(ctx, card, colours) {
  ctx.beginPath();
  ctx.roundRect(card.x - 4, card.y - 4, card.width + 8, card.height + 8, 5);
  ctx.globalAlpha = 0.82;
  ctx.fillStyle = colours.band;
  ctx.fill();
  ctx.globalAlpha = 1;
}

function tracePath(ctx, shape, x, y, r) {
  if (shape === 'square') ctx.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
  else if (shape === 'diamond') {
    ctx.moveTo(x, y - r * 1.2); ctx.lineTo(x + r * 1.2, y); ctx.lineTo(x, y + r * 1.2); ctx.lineTo(x - r * 1.2, y); ctx.closePath();
  } else if (shape === 'triangle') {
    ctx.moveTo(x, y - r * 1.15); ctx.lineTo(x + r * 1.1, y + r * 0.85); ctx.lineTo(x - r * 1.1, y + r * 0.85); ctx.closePath();
  } else { ctx.moveTo(x + r, y); ctx.arc(x, y, r, 0, 2 * Math.PI); }
}

/* Of what many classes share the marks are full, of what two of many share they are paler. */
function sharedAlpha(users, active) {
  return active > 2 ? 0.5 + 0.5 * (users - 2) / (active - 2) : 1;
}

function paintMarks(ctx, model, layer, card, view) {
  const radius = Math.min(card.pitch * 0.4, 8);
  for (const block of card.blocks) {
    for (let at = 0; at < block.length;) {
      const role = layer.role[block[at]], users = layer.users[block[at]], shape = shapeOf(model, role);
      const r = role === UNUSED ? Math.max(1, radius * 0.55) : radius;
      ctx.beginPath(); // one path for all marks of a role
      for (; at < block.length && layer.role[block[at]] === role && layer.users[block[at]] === users; at++) {
        tracePath(ctx, shape, card.px[block[at]], card.py[block[at]], r);
      }
      ctx.lineWidth = 1.5;
      ctx.strokeStyle = view.colours.band; // a rim of the ground sets marks off the edges beneath
      ctx.stroke();
      ctx.fillStyle = view.colours.band;
      ctx.fill();
      ctx.globalAlpha = role === SHARED ? sharedAlpha(users, activeCount(model)) : 1;
      ctx.fillStyle = view.colours[colourOf(model, role)];
      ctx.fill();
      ctx.globalAlpha = 1;
    }
  }
}

function paintJunction(ctx, card, colours) {
  ctx.beginPath();
  ctx.roundRect(card.x, card.y, card.width, card.height, 3);
  ctx.fillStyle = colours.muted;
  ctx.globalAlpha = 0.55;
  ctx.fill();
  ctx.globalAlpha = 1;
}

function paintName(ctx, layer, card, view, current) {
  ctx.textAlign = 'center';
  ctx.fillStyle = view.colours.ink;
  ctx.font = (current ? '600 ' : '') + '12px ' + view.font;
  ctx.strokeStyle = view.colours.paper;
  ctx.lineWidth = 3;
  ctx.lineJoin = 'round';
  const y = card.nameY;
  const write = (words, at) => { ctx.strokeText(words, card.centre, at); ctx.fillText(words, card.centre, at); };
  write(layer.name, y);
  ctx.fillStyle = view.colours.muted;
  ctx.font = '11px ' + view.font;
  if (layer.n) write(layer.n.toLocaleString('en'), y + 14);
}

function paintFocus(ctx, card, view) {
  const { channel } = view.focus;
  ctx.beginPath();
  ctx.arc(card.px[channel], card.py[channel], Math.max(5, card.pitch * 0.62), 0, 2 * Math.PI);
  ctx.lineWidth = 2;
  ctx.strokeStyle = view.colours.ink;
  ctx.stroke();
}
