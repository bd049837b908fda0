// Worlds without a floor plan: pictures of what happened, and the latents as the map.

const isSeen = () => data.worlds[state.world].kind === "seen";
const GIVEN = { image: "a picture of it", symbols: "codes of its cells", vector: "a row of numbers" };
const hasPictures = () => sides().some((side) => walkOf(side).frames.length > 0) || data.worlds[state.world].episodes[state.episode].goal !== null;

function buildPictures() {
  const one = (text) => make("figure", {}, make("img", { alt: "" }), make("figcaption", {}, text));
  return make("div", { class: "pictures" }, one("now"), one("the goal"));
}

// What the world shows at a step, and what it shows at the goal.
function showPictures(box, walk, step) {
  const { every, episodes } = data.worlds[state.world], { frames } = walk;
  const now = frames.length === 0 ? null : frames[step >= walk.steps ? frames.length - 1 : Math.floor(step / every)];
  [[now, `the world at step ${step}`], [episodes[state.episode].goal, "the world at the goal"]].forEach(([name, alt], i) => {
    const figure = box.children[i], image = figure.firstChild;
    figure.hidden = name === null;
    image.alt = alt;
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

// Where the way passes a place of the latents: the step, or null.
function stepNear(canvas, walk, map, x, y) {
  const frame = latentFrame(canvas);
  let best = 14 ** 2, found = null;
  pairs(map.path, 1e-3).map(frame.at).forEach(([u, v], step) => {
    const apart = (u - x) ** 2 + (v - y) ** 2;
    if (apart < best) [best, found] = [apart, step];
  });
  return found;
}

// The costs of the level that is looked into, to be drawn over time.
function costsOver(walk) {
  const { costs, low } = walk.levels[Math.min(state.look, walk.levels.length) - 1].map;
  return costs.map((cost) => cost - Math.min(low, 0));
}

function seenReading(walk, step) {
  const level = Math.min(state.look, walk.levels.length), { map } = walk.levels[level - 1];
  return `Step ${step}. Cost for level ${level}: ${short(map.costs[step])}, at the start ${short(map.costs[0])}.`;
}
