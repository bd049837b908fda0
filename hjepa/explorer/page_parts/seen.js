// Worlds without a floor plan: pictures of what happened, and the latents as the map.

const isSeen = () => data.worlds[state.world].kind === "seen";
const GIVEN = { image: "a picture", symbols: "codes of cells", vector: "a row of numbers" };
const hasPictures = () => sides().some((side) => walkOf(side).frames.length > 0) || data.worlds[state.world].episodes[state.episode].goal !== null;

function buildPictures() {
  const one = () => make("figure", {}, make("img", { alt: "" }), make("figcaption"));
  return make("div", { class: "pictures" }, one(), one(), one());
}

// The picture of the world at a step: the last one taken by then.
function frameAt({ frames, steps }, step) {
  if (frames.length === 0) return null;
  return frames[step >= steps ? frames.length - 1 : Math.floor(step / data.worlds[state.world].every)];
}

// The level whose subgoal is shown: the one that is looked into; level 1 hands none down, so its own is level 2's.
const handingDown = (walk) => Math.max(2, Math.min(state.look, walk.levels.length));

// Captions keep their height, or what is pointed at would move away. What is looked at: now, or a state among the latents that is pointed at; the goal; and the subgoal, as the state seen
// that is nearest to it in the latents of its level.
function showPictures(box, walk, step, side) {
  const { held, episodes } = data.worlds[state.world], { goal } = episodes[state.episode], level = handingDown(walk);
  const pointed = !hover ? null : hover.held !== undefined ? [held[hover.held], "state pointed at"]
    : hover.side === side ? [frameAt(walk, hover.step), `pointed at: step ${hover.step}`] : null;
  const plan = level > walk.levels.length ? null : planAt(walk.levels[level - 1], step);
  const subgoalText = plan ? `subgoal of level ${level}: nearest state seen` : `level ${level} skipped: no subgoal of its own`;
  const shown = [
    pointed && pointed[0] ? pointed : [frameAt(walk, step), "now"],
    [goal, "the goal"],
    [plan ? plan.near : null, subgoalText],
  ];
  shown.forEach(([name, text], i) => {
    const figure = box.children[i], [image, caption] = figure.children;
    // The place of a subgoal stays while its level is skipped.
    figure.hidden = i === 2 ? level > walk.levels.length || !hasPictures() : name === null;
    caption.textContent = text;
    image.style.visibility = name === null ? "hidden" : "visible";
    image.alt = i === 0 && text === "now" ? `the world at step ${step}` : text;
    figure.classList.toggle("pointed", i === 0 && text !== "now");
    if (name === null || image.dataset.name === name) return;
    image.dataset.name = name;
    image.src = `data:image/webp;base64,${data.blobs[name]}`;
  });
}

// The levels whose latents lie in the map of one of them: those that share its latent.
function levelsInMap(walk, level) {
  const own = walk.levels[level - 1].map;
  return walk.levels.map((one, k) => [k + 1, one]).filter(([number, { map }]) => number === level || (isSeen() && map.states === own.states));
}

// What lies at a place of the latents: a step of the way, or a held-out state; null where there is nothing.
function stateNear(canvas, walk, level, x, y, side) {
  const frame = latentFrame(canvas, walk, level), { map } = walk.levels[level - 1];
  let best = 14 ** 2, found = null;
  const look = (points, name) => points.map(frame.at).forEach(([u, v], i) => {
    const apart = (u - x) ** 2 + (v - y) ** 2;
    if (apart < best) [best, found] = [apart, name(i)];
  });
  look(pairs(map.path, 1e-3), (step) => ({ side, step }));
  if (data.worlds[state.world].held) look(statesOf(map), (held) => ({ held }));
  return found;
}

// The costs of the level that is looked into, to be drawn over time.
function costsOver(walk) {
  const { costs, low } = walk.levels[Math.min(state.look, walk.levels.length) - 1].map;
  return costs.map((cost) => cost - Math.min(low, 0));
}

function seenReading(walk, step, side) {
  const level = Math.min(state.look, walk.levels.length), { map } = walk.levels[level - 1];
  if (hover && hover.held !== undefined) {
    const cost = map.low + ((map.high - map.low) * blob(map.shade)[hover.held]) / (WALLED - 1);
    return `A state of other trajectories. Cost for level ${level}: ${short(cost)}.`;
  }
  if (hover && hover.side === side) return `Step ${hover.step} of the way. Cost for level ${level}: ${short(map.costs[hover.step])}.`;
  return `Step ${step}. Cost for level ${level}: ${short(map.costs[step])}, at the start ${short(map.costs[0])}.`;
}
