// The page: what is chosen, and what changes when.

const state = {
  world: 0, episode: 0, agents: [0, 0], compare: false, step: 0, playing: false, speed: 8,
  shown: new Set([1, 2, 3, 4, 5, 6]), look: 1, layer: "plain", futures: true, subgoals: true, trail: true,
};
let hover = null;
const views = [];
const byId = (id) => document.getElementById(id);
const agentOf = (side) => data.agents[state.agents[side]];
const walkOf = (side) => agentOf(side).episodes[state.episode];
const sides = () => (state.compare ? [0, 1] : [0]);
const lastStep = () => Math.max(...sides().map((side) => walkOf(side).steps));
const depth = () => Math.max(...sides().map((side) => agentOf(side).levels));
const inWorld = () => data.agents.map((agent, i) => [agent, i]).filter(([agent]) => agent.world === state.world);
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const plural = (count) => `${count} ${count === 1 ? "level" : "levels"}`;

// Whether no level's latents are known.
const blind = () => sides().every((side) => walkOf(side).levels.every(({ map }) => map === null));

// What the page opens with (hjepa/explorer/opening.py).
function chooseAgents() {
  const { agents, episode: first } = data.open[state.world];
  state.compare = agents.length > 1;
  state.agents = [agents[0], agents[agents.length - 1]];
  state.episode = first;
  state.look = highestActive();
}

// The highest level that plans in this episode: one that is always skipped has little to show.
function highestActive() {
  const active = sides().flatMap((side) => walkOf(side).levels.map(({ plans }, k) => (plans.some((plan) => !plan.skipped) ? k + 1 : 1)));
  return Math.max(...active);
}

// Of the agents of this world the one that is like the present one, but for what was just chosen.
function repick(side, name, value) {
  const now = agentOf(side), names = ["run", "levels", "metric"];
  const fit = (agent) => names.reduce((sum, key) => sum + (String(agent[key]) === String(now[key])), 0);
  const able = inWorld().filter(([agent]) => String(agent[name]) === value);
  able.sort(([a], [b]) => fit(b) - fit(a) || b.levels - a.levels);
  state.agents[side] = able[0][1];
  changed(true);
}

function pickers(side) {
  const now = agentOf(side), parts = [];
  const texts = { run: (v) => v, levels: (v) => plural(Number(v)), metric: (v) => `cost: ${v}` };
  for (const name of ["run", "levels", "metric"]) {
    if (now[name] === null) continue;
    const own = inWorld().filter(([agent]) => name === "run" || agent.run === now.run).map(([agent]) => String(agent[name]));
    const options = [...new Set(own)].map((value) => [value, texts[name](value)]);
    const select = choice(`${name} of the ${side ? "right" : "left"} agent`, options, String(now[name]), (value) => repick(side, name, value));
    select.dataset.name = name;
    if (name === "metric") select.title = METRICS[now.metric] ? `${now.metric}: ${METRICS[now.metric]}` : "what counts as near";
    select.disabled = options.length === 1;
    parts.push(select);
  }
  return parts;
}

function buildAgent(side) {
  const pick = make("div", { class: "pick" }), outcome = make("p", { class: "outcome" });
  const map = make("canvas", { class: "map", role: "img" }), latents = make("canvas", { class: "latents", role: "img" });
  const pictures = buildPictures(), key = make("p", { class: "key" });
  // On a narrow screen two maps stand side by side, with the latents folded; both unfold together.
  const fold = make("button", { type: "button", class: "fold", "aria-expanded": "false", onclick: () => { state.unfolded = !state.unfolded; changed(false); } }, "Latents");
  const mapText = make("figcaption"), latentText = make("figcaption");
  const timeline = make("canvas", { class: "timeline", role: "img", "aria-label": "when each level planned" });
  const reading = make("p", { class: "reading", "aria-live": "polite" });
  const section = make("section", { class: "agent", id: `agent-${side}` }, pick, outcome,
    make("div", { class: "views" }, make("figure", {}, mapText, pictures, map), make("figure", {}, latentText, latents, key)), fold, timeline, reading);
  byId("agents").append(section);
  views.push({ section, pick, outcome, pictures, map, latents, mapText, latentText, key, fold, timeline, reading });
  map.addEventListener("pointermove", (event) => hoverMap(side, event));
  map.addEventListener("pointerdown", (event) => hoverMap(side, event));
  latents.addEventListener("pointermove", (event) => hoverLatents(side, event));
  latents.addEventListener("pointerdown", (event) => hoverLatents(side, event));
  for (const canvas of [map, latents]) canvas.addEventListener("pointerleave", () => pointAt(null));
  const scrub = (event) => { if (event.buttons || event.type === "pointerdown") go(timelineStep(timeline, event.offsetX, lastStep())); };
  timeline.addEventListener("pointerdown", scrub);
  timeline.addEventListener("pointermove", scrub);
}

// --- pointing at a state ---

function pointAt(found) {
  if (JSON.stringify(found) === JSON.stringify(hover)) return;
  hover = found;
  draw();
}

function hoverMap(side, event) {
  const floor = floorOf(state.world, state.episode);
  const [x, y] = frameOf(views[side].map, floor).back(event.offsetX, event.offsetY);
  const inside = x >= 0 && y >= 0 && x < floor.width && y < floor.height && floor.number[y * floor.width + x] >= 0;
  pointAt(inside ? { x, y } : null);
}

function hoverLatents(side, event) {
  const walk = walkOf(side), level = Math.min(state.look, walk.levels.length), { map } = walk.levels[level - 1];
  if (!map) return;
  if (isSeen()) {
    const found = stateNear(views[side].latents, walk, level, event.offsetX, event.offsetY, side);
    if (event.type === "pointerdown" && found && found.step !== undefined) go(found.step);
    pointAt(found);
    return;
  }
  const floor = floorOf(state.world, state.episode), frame = latentFrame(views[side].latents, walk, level);
  let best = 16 ** 2, found = null;
  statesOf(map).forEach((point, i) => {
    const [x, y] = frame.at(point), apart = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
    if (apart < best) [best, found] = [apart, i];
  });
  if (found === null) { pointAt(null); return; }
  const [x, y] = floor.free[Math.floor(found / map.headings)];
  pointAt(map.headings > 1 ? { x, y, heading: found % map.headings } : { x, y });
}

// --- texts ---

function outcomeText(side) {
  const agent = agentOf(side), walk = walkOf(side), { shortest } = data.worlds[state.world].episodes[state.episode];
  const solved = agent.episodes.reduce((sum, one) => sum + one.success, 0);
  const how = walk.success ? `reached the goal in ${walk.steps} steps` : `did not reach the goal in ${walk.steps} steps`;
  const kind = agent.depth === "trained" ? "" : ` of a stack of ${agent.of}`;
  const given = { told: " Told: coordinates and the grid.", seen: " Told: nothing." }[agent.information];
  const known = isSeen() ? `${shortest} in the trajectory that shows it` : `shortest way ${shortest}`;
  return [make("b", {}, `${plural(agent.levels)}${kind}: ${how}`),
    (shortest === null ? "." : ` (${known}).`) + (agent.episodes.length > 1 ? ` It solves ${solved} of the ${agent.episodes.length} episodes here.` : "") + given];
}

function readingText(side) {
  const walk = walkOf(side), step = Math.min(state.step, walk.steps), floor = isSeen() ? null : floorOf(state.world, state.episode);
  const level = Math.min(state.look, walk.levels.length), { map } = walk.levels[level - 1];
  if (hover && floor) {
    const cell = hover.y * floor.width + hover.x, steps = floor.steps[cell], place = `Cell (${hover.x}, ${hover.y})`;
    const truth = steps === NOWHERE ? "there is no way to the goal" : `truly ${steps} steps to the goal`;
    return map ? `${place}: ${truth}; cost for level ${level} ${short(costOf(map, cell))} (${short(map.low)} to ${short(map.high)})` : `${place}: ${truth}`;
  }
  const plans = walk.levels.map((one, k) => [k + 1, planAt(one, step)]).reverse()
    .map(([number, plan]) => (plan ? `level ${number} planned ${agoText(plan.at, step)}` : `level ${number} skipped`));
  const said = plans.join(", ");
  if (floor === null) return hover && (hover.held !== undefined || hover.side === side) ? seenReading(walk, step, side) : `${seenReading(walk, step, side)} ${said[0].toUpperCase()}${said.slice(1)}.`;
  const left = walk.left[step] < 0 ? "" : `, ${walk.left[step]} steps to go`;
  return `Step ${step}${left}. ${said}.`.replace(". level", ". Level");
}

function captions(side) {
  const walk = walkOf(side), level = Math.min(state.look, walk.levels.length), { map } = walk.levels[level - 1];
  const alike = map ? `: ${Math.round(100 * map.shown)} % of how they differ lies in these two directions` : "";
  const kind = { plain: "Floor plan", truth: "Colour: true steps to the goal" }[state.layer];
  const rank = map && !isSeen() && map.rank !== null ? `, rank correlation with true steps ${map.rank.toFixed(2)}` : "";
  views[side].key.replaceChildren(...(map && isSeen() ? latentKey(walk, level) : []));
  if (isSeen()) {
    const states = "colour: how far it thinks the goal is";
    views[side].mapText.textContent = `The agent is given ${GIVEN[data.worlds[state.world].observation]}`;
    views[side].latentText.textContent = `Latents of level ${level}${alike}; ${states}`;
    views[side].latents.setAttribute("aria-label", `latents of level ${level}; ${readingText(side)}`);
    return;
  }
  views[side].mapText.textContent = kind || (map ? `Colour: cost of level ${level} (${map.unit}${rank})` : "Costs are not known here");
  views[side].latentText.textContent = `Latents of level ${level}${alike}`;
  views[side].map.setAttribute("aria-label", `floor plan; ${readingText(side)}`);
  views[side].latents.setAttribute("aria-label", `latents of level ${level}`);
}

// --- drawing ---

function colours() {
  const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(["paper", "ink", "muted", "line", "wall", "floor", "lava", "trail"].map((name) => [name, read(name)]));
}

function draw() {
  const look = colours(), floor = isSeen() ? null : floorOf(state.world, state.episode);
  for (const side of sides()) {
    const walk = walkOf(side), shared = { floor, walk, side, state, hover, look, last: lastStep() };
    if (floor === null) showPictures(views[side].pictures, walk, Math.min(state.step, walk.steps), side);
    else drawMap(views[side].map, shared);
    drawLatents(views[side].latents, shared);
    drawTimeline(views[side].timeline, shared);
    views[side].reading.textContent = readingText(side);
  }
  byId("step").value = state.step;
  byId("where").textContent = `step ${state.step} of ${lastStep()}`;
}

// Lay everything out anew; with `again` the lists of agents too.
function changed(again) {
  const { width, height } = data.worlds[state.world];
  state.step = clamp(state.step, 0, lastStep());
  state.look = clamp(state.look, 1, depth());
  if (again) hover = null;
  byId("agents").classList.toggle("two", state.compare);
  byId("agents").classList.toggle("blind", blind());
  byId("agents").classList.toggle("unpictured", isSeen() && !hasPictures());
  byId("agents").classList.toggle("seen", isSeen());
  byId("agents").classList.toggle("unfolded", Boolean(state.unfolded));
  byId("hint").hidden = !isSeen();
  views[1].section.hidden = !state.compare;
  if (again) buildControls();
  for (const side of sides()) {
    if (again) views[side].pick.replaceChildren(...pickers(side));
    views[side].outcome.replaceChildren(...outcomeText(side));
    views[side].fold.setAttribute("aria-expanded", String(Boolean(state.unfolded)));
    views[side].map.hidden = isSeen();
    views[side].pictures.hidden = !isSeen();
    if (!isSeen()) views[side].map.style.aspectRatio = `${width} / ${height}`;
    views[side].timeline.style.height = `${timelineHeight(agentOf(side).levels)}px`;
    captions(side);
  }
  byId("ramp").hidden = blind() && state.layer !== "truth";
  byId("step").max = lastStep();
  draw();
  fit();
  draw();
}

// Maps as large as they can be with all of both agents above the transport, where the window is wide enough.
function fit() {
  const root = document.documentElement.style, most = innerHeight - byId("transport").offsetHeight;
  let high = 0.62 * innerHeight;
  for (let pass = 0; pass < 6; pass += 1) {
    root.setProperty("--high", `${Math.round(high)}px`);
    const over = byId("agents").getBoundingClientRect().bottom + scrollY - most;
    if (over <= 0 || high <= 200) break;
    high = Math.max(200, high - over);
  }
}

function go(step) {
  state.step = clamp(step, 0, lastStep());
  draw();
}

function episode(number) {
  const count = data.worlds[state.world].episodes.length;
  state.episode = (number + count) % count;
  state.step = 0;
  hover = null;
  changed(true);
}

// --- playing ---

let due = 0;
function play(on) {
  if (on && state.step >= lastStep()) state.step = 0;
  state.playing = on;
  due = performance.now();
  byId("play").replaceChildren(icon(on ? ICONS.pause : ICONS.play));
  byId("play").setAttribute("aria-label", on ? "pause" : "play");
  if (on) requestAnimationFrame(tickOn);
}

function tickOn(now) {
  if (!state.playing) return;
  const steps = Math.floor(((now - due) * state.speed) / 1000);
  if (steps > 0) {
    due += (1000 * steps) / state.speed;
    go(state.step + steps);
  }
  if (state.step >= lastStep()) play(false);
  else requestAnimationFrame(tickOn);
}
