// Drawing. Each function gets a canvas and draws all of it anew.

const SHAPES = ["circle", "square", "triangle", "diamond"]; // of levels, so that colour is not needed to tell them
const HEADINGS = [[1, 0], [0, 1], [-1, 0], [0, -1]];

// A context in CSS pixels, cleared.
function begin(canvas) {
  const density = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * density)) canvas.width = Math.round(width * density);
  if (canvas.height !== Math.round(height * density)) canvas.height = Math.round(height * density);
  const pen = canvas.getContext("2d");
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineJoin = pen.lineCap = "round";
  return { pen, width, height };
}

// Where things are on the canvas of a floor plan.
function frameOf(canvas, floor) {
  const cell = Math.min(canvas.clientWidth / floor.width, canvas.clientHeight / floor.height);
  const left = (canvas.clientWidth - cell * floor.width) / 2, top = (canvas.clientHeight - cell * floor.height) / 2;
  return {
    cell, left, top,
    at: ([x, y]) => [left + (x + 0.5) * cell, top + (y + 0.5) * cell],
    back: (x, y) => [Math.floor((x - left) / cell), Math.floor((y - top) / cell)],
  };
}

// Where the latents of a level are on their canvas, and all that is ever imagined among them: the frame holds still.
const PAD = 14, extents = new WeakMap();
function extentOf(walk, level) {
  const { map } = walk.levels[level - 1];
  if (!extents.has(map)) {
    const ahead = levelsInMap(walk, level).flatMap(([, { plans }]) => plans.filter((plan) => !plan.skipped).flatMap((plan) => pairs(plan.uv, 1e-3)));
    const low = [0, 0], high = [1, 1];
    for (const point of [...pairs(map.path, 1e-3), ...pairs(map.goal, 1e-3), ...ahead]) {
      for (const i of [0, 1]) { low[i] = Math.min(low[i], point[i]); high[i] = Math.max(high[i], point[i]); }
    }
    extents.set(map, { low, high });
  }
  return extents.get(map);
}
function latentFrame(canvas, walk, level) {
  const { low, high } = extentOf(walk, level), width = canvas.clientWidth, height = canvas.clientHeight;
  const size = Math.max(0, Math.min((width - 2 * PAD) / (high[0] - low[0]), (height - 2 * PAD) / (high[1] - low[1])));
  const left = width / 2 - (size * (low[0] + high[0])) / 2, top = height / 2 - (size * (low[1] + high[1])) / 2;
  return { at: ([u, v]) => [left + u * size, top + v * size] };
}

function line(pen, points, colour, width, dash) {
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash(dash || []);
  pen.stroke();
  pen.setLineDash([]);
}

function shape(pen, level, [x, y], r) {
  pen.beginPath();
  const kind = SHAPES[(level - 1) % SHAPES.length];
  if (kind === "circle") pen.arc(x, y, r, 0, 2 * Math.PI);
  if (kind === "square") pen.rect(x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r);
  const corners = kind === "triangle" ? [[0, -1.2], [1.1, 0.8], [-1.1, 0.8]] : [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]];
  if (kind === "triangle" || kind === "diamond") {
    corners.forEach(([dx, dy], i) => (i ? pen.lineTo(x + r * dx, y + r * dy) : pen.moveTo(x + r * dx, y + r * dy)));
    pen.closePath();
  }
}

// Yellow, or white among the colours of costs, where yellow means near.
function star(pen, [x, y], r, coloured) {
  pen.beginPath();
  for (let i = 0; i < 10; i += 1) {
    const far = i % 2 ? 0.45 * r : r, angle = (Math.PI * i) / 5 - Math.PI / 2;
    pen.lineTo(x + far * Math.cos(angle), y + far * Math.sin(angle));
  }
  pen.closePath();
  for (const [colour, width] of [["#ffffff", 4], ["#1c1c1c", 2.4]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.stroke();
  }
  pen.fillStyle = coloured ? "#ffffff" : data.colours.goal;
  pen.fill();
}

// The agent: a triangle that points where it looks, or a disc where it looks nowhere.
function body(pen, [x, y], heading, r, look) {
  pen.beginPath();
  if (heading < 0) {
    pen.arc(x, y, 0.8 * r, 0, 2 * Math.PI);
  } else {
    const [dx, dy] = HEADINGS[heading];
    pen.moveTo(x + r * dx, y + r * dy);
    pen.lineTo(x - r * dx - 0.85 * r * dy, y - r * dy + 0.85 * r * dx);
    pen.lineTo(x - r * dx + 0.85 * r * dy, y - r * dy - 0.85 * r * dx);
    pen.closePath();
  }
  pen.fillStyle = look.ink;
  pen.fill();
  pen.strokeStyle = look.paper;
  pen.lineWidth = 1.5;
  pen.stroke();
}

// The subgoal that a level hands down: a disc with its number, to be read without colour.
function subgoal(pen, level, [x, y], r, look) {
  pen.beginPath();
  pen.arc(x, y, r, 0, 2 * Math.PI);
  pen.fillStyle = look.paper;
  pen.fill();
  pen.strokeStyle = levelColour(level);
  pen.lineWidth = 3;
  pen.stroke();
  pen.fillStyle = look.ink;
  pen.font = `700 ${Math.round(1.25 * r)}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(String(level), x, y + 0.5);
}

// A plan: dashed above level 1, where the agent walks what lies between the points in its own way.
function imagined(pen, level, points, look, size) {
  line(pen, points, look.paper, 3.2 + level * 0.6, []);
  line(pen, points, levelColour(level), 1.6 + level * 0.5, level > 1 ? [5, 5] : []);
  points.slice(1).forEach((point) => {
    shape(pen, level, point, size);
    pen.fillStyle = levelColour(level);
    pen.fill();
    pen.strokeStyle = look.paper;
    pen.lineWidth = 0.8;
    pen.stroke();
  });
}

function drawCells(pen, floor, frame, map, layer, look) {
  for (let cell = 0; cell < floor.grid.length; cell += 1) {
    const x = cell % floor.width, y = Math.floor(cell / floor.width), code = floor.grid[cell];
    let colour = code === WALL ? look.wall : code === LAVA ? look.lava : look.floor;
    if (floor.number[cell] >= 0 && layer === "costs" && map) {
      const value = blob(map.cost)[cell];
      if (value !== WALLED) colour = rampColour(value / (WALLED - 1));
    } else if (floor.number[cell] >= 0 && layer === "truth" && floor.steps[cell] !== NOWHERE) {
      colour = rampColour(floor.steps[cell] / floor.far);
    }
    pen.fillStyle = colour;
    const left = Math.floor(frame.left + x * frame.cell), top = Math.floor(frame.top + y * frame.cell);
    pen.fillRect(left, top, Math.floor(frame.left + (x + 1) * frame.cell) - left, Math.floor(frame.top + (y + 1) * frame.cell) - top);
    if (code === DOOR || code === KEY) {
      pen.strokeStyle = look.ink;
      pen.lineWidth = 1.5;
      const inset = frame.cell * (code === DOOR ? 0.15 : 0.34);
      pen.strokeRect(left + inset, top + inset, frame.cell - 2 * inset, frame.cell - 2 * inset);
    }
  }
}

// What is pointed at.
function ringed(pen, place, r, look) {
  for (const [colour, wide] of [[look.paper, 4], [look.ink, 2]]) {
    pen.beginPath();
    pen.arc(...place, r, 0, 2 * Math.PI);
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    pen.stroke();
  }
}

// The floor plan with what an agent did until a step and what its levels have in mind.
function drawMap(canvas, { floor, walk, state, hover, look }) {
  const { pen } = begin(canvas);
  const frame = frameOf(canvas, floor), map = walk.levels[Math.min(state.look, walk.levels.length) - 1].map;
  drawCells(pen, floor, frame, map, state.layer, look);
  const step = Math.min(state.step, walk.steps), mark = Math.max(2, Math.min(4, frame.cell * 0.2));
  const trail = [];
  for (let t = 0; t <= step; t += 1) trail.push(frame.at([walk.path[3 * t] / 10, walk.path[3 * t + 1] / 10]));
  if (state.trail) {
    line(pen, trail, look.paper, Math.max(4, frame.cell * 0.42));
    line(pen, trail, look.trail, Math.max(2.5, frame.cell * 0.26));
  }
  const followed = walk.levels.map((level, k) => [k + 1, planAt(level, step)]).filter(([level, plan]) => plan && state.shown.has(level));
  followed.reverse();
  for (const [level, plan] of followed) {
    const from = agentAt(walk, plan.at);
    const points = [[from.x, from.y], ...pairs(plan.xy, 0.1)].map(frame.at);
    if (state.futures) imagined(pen, level, points, look, mark);
  }
  star(pen, frame.at(floor.goal), Math.max(8, Math.min(13, frame.cell * 0.7)), state.layer !== "plain");
  for (const [level, plan] of followed) {
    // Level 1 hands its first prediction to nobody.
    if (state.subgoals && level > 1) subgoal(pen, level, frame.at(pairs(plan.xy.slice(0, 2), 0.1)[0]), Math.max(7, Math.min(11, frame.cell * 0.55)), look);
  }
  const now = agentAt(walk, step);
  body(pen, frame.at([now.x, now.y]), now.heading, Math.max(6, Math.min(13, frame.cell * 0.6)), look);
  if (hover) {
    const [x, y] = frame.at([hover.x, hover.y]), half = Math.max(5, frame.cell * 0.55);
    pen.lineWidth = 2;
    for (const [colour, grown] of [[look.paper, 2], [look.ink, 0]]) {
      pen.strokeStyle = colour;
      pen.strokeRect(x - half - grown, y - half - grown, 2 * (half + grown), 2 * (half + grown));
    }
  }
}

// The latents of all states of the level that is looked into: near ones are as good as the same place to it.
function drawLatents(canvas, { floor, walk, side, state, hover, look }) {
  const { pen, width, height } = begin(canvas);
  if (width === 0) return; // folded
  const level = Math.min(state.look, walk.levels.length), { map } = walk.levels[level - 1];
  if (!map) {
    pen.fillStyle = look.muted;
    pen.font = "14px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillText("not known here", width / 2, height / 2);
    return;
  }
  const frame = latentFrame(canvas, walk, level), states = statesOf(map), step = Math.min(state.step, walk.steps);
  const costOfState = (i) => {
    const [x, y] = floor.free[Math.floor(i / map.headings)];
    return blob(map.cost)[y * floor.width + x];
  };
  states.forEach((point, i) => {
    const [x, y] = frame.at(point), value = floor ? costOfState(i) : blob(map.shade)[i];
    // A rim, for the ends of the ramp are hard to see on white and on black.
    pen.fillStyle = look.line;
    pen.fillRect(x - 2.3, y - 2.3, 4.6, 4.6);
    pen.fillStyle = rampColour(value / (WALLED - 1));
    pen.fillRect(x - 1.6, y - 1.6, 3.2, 3.2);
  });
  const path = pairs(map.path, 1e-3).map(frame.at);
  if (state.trail) {
    line(pen, path.slice(0, step + 1), look.paper, 3.5);
    line(pen, path.slice(0, step + 1), look.trail, 2);
  }
  for (const [number, one] of levelsInMap(walk, level).reverse()) {
    const plan = planAt(one, step);
    if (!plan || !state.shown.has(number)) continue;
    const ahead = pairs(plan.uv, 1e-3).map(frame.at);
    if (state.futures) imagined(pen, number, [path[plan.at], ...ahead], look, 3);
    if (state.subgoals && number > 1) subgoal(pen, number, ahead[0], 9, look);
  }
  star(pen, frame.at(pairs(map.goal, 1e-3)[0]), 9, true);
  pen.beginPath();
  pen.arc(...path[step], 5.5, 0, 2 * Math.PI);
  pen.fillStyle = look.ink;
  pen.fill();
  pen.strokeStyle = look.paper;
  pen.lineWidth = 1.5;
  pen.stroke();
  if (hover && !floor) {
    const place = hover.held !== undefined ? frame.at(states[hover.held]) : hover.side === side ? path[hover.step] : null;
    if (place) ringed(pen, place, 8, look);
  }
  const first = hover && floor ? floor.number[hover.y * floor.width + hover.x] * map.headings : -1;
  for (let i = first; first >= 0 && i < first + map.headings; i += 1) {
    const chosen = hover.heading === undefined || hover.heading === i - first;
    ringed(pen, frame.at(states[i]), chosen ? 7 : 4, look);
  }
}

const ROW = 15, GUTTER = 54;
const curveHeight = () => (isSeen() ? 54 : 34);
const timelineHeight = (levels) => levels * ROW + curveHeight() + 8;

// When each level planned, and below it how many steps were left to the goal, or how far it seemed.
function drawTimeline(canvas, { walk, state, last, look }) {
  const { pen, width } = begin(canvas);
  const depth = walk.levels.length, at = (step) => GUTTER + (step / Math.max(last, 1)) * (width - GUTTER - 10);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  walk.levels.forEach(({ plans }, k) => {
    const y = (depth - 1 - k) * ROW + ROW / 2 + 1;
    pen.fillStyle = look.ink;
    pen.fillText(`level ${k + 1}`, 4, y);
    line(pen, [[at(0), y], [at(walk.steps), y]], look.line, 1);
    plans.forEach((plan) => {
      const x = at(plan.at);
      if (plan.skipped) {
        line(pen, [[x - 2.5, y - 2.5], [x + 2.5, y + 2.5]], look.muted, 1.2);
        line(pen, [[x - 2.5, y + 2.5], [x + 2.5, y - 2.5]], look.muted, 1.2);
        return;
      }
      shape(pen, k + 1, [x, y], 3.2);
      pen.fillStyle = levelColour(k + 1);
      pen.fill();
    });
  });
  const high = curveHeight(), bottom = depth * ROW + high + 2, left = isSeen() ? costsOver(walk) : walk.left;
  const most = Math.max(isSeen() ? 1e-9 : 1, ...left);
  pen.fillStyle = look.muted;
  pen.fillText(isSeen() ? "cost" : "to goal", 4, bottom - high / 2 + 2);
  const curve = left.map((value, t) => [at(t), bottom - (Math.max(value, 0) / most) * (high - 8)]);
  line(pen, [[at(0), bottom], [at(last), bottom]], look.line, 1);
  line(pen, curve, look.muted, 1.5);
  const x = at(Math.min(state.step, last));
  line(pen, [[x, 0], [x, bottom]], look.ink, 1.5);
}
const timelineStep = (canvas, x, last) => Math.round(((x - GUTTER) / (canvas.clientWidth - GUTTER - 10)) * last);
