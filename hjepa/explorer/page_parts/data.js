// What Python wrote (hjepa/explorer/schema.py), and how to look things up in it.

const data = JSON.parse(document.getElementById("hjepa-data").textContent);
const WALL = 2, DOOR = 4, KEY = 5, LAVA = 9;
const NOWHERE = 65535, WALLED = 255;
const decoded = new Map();

function blob(name) {
  if (!decoded.has(name)) {
    decoded.set(name, Uint8Array.from(atob(data.blobs[name]), (letter) => letter.charCodeAt(0)));
  }
  return decoded.get(name);
}

// The floor plan of an episode: codes and true steps per cell (y W + x), its free cells in the order of the states.
const floors = new Map();
function floorOf(world, episode) {
  const id = `${world}/${episode}`;
  if (!floors.has(id)) {
    const { width, height, episodes } = data.worlds[world];
    const grid = blob(episodes[episode].grid);
    const raw = blob(episodes[episode].steps);
    const steps = new Uint16Array(width * height);
    for (let cell = 0; cell < steps.length; cell += 1) steps[cell] = raw[2 * cell] + 256 * raw[2 * cell + 1];
    const free = [], number = new Int32Array(width * height).fill(-1);
    for (let x = 0; x < width; x += 1) {
      for (let y = 0; y < height; y += 1) {
        const cell = y * width + x;
        if (grid[cell] === WALL || grid[cell] === LAVA) continue;
        number[cell] = free.length;
        free.push([x, y]);
      }
    }
    const far = steps.reduce((most, value) => (value !== NOWHERE && value > most ? value : most), 1);
    floors.set(id, { width, height, grid, steps, free, number, far, goal: episodes[episode].goal });
  }
  return floors.get(id);
}

// Pairs of one list as points.
function pairs(list, scale) {
  const points = [];
  for (let i = 0; i < list.length; i += 2) points.push([list[i] * scale, list[i + 1] * scale]);
  return points;
}

// The agent of a walk at a step, which stays where the walk ended.
function agentAt(walk, step) {
  const t = 3 * Math.min(step, walk.steps);
  return { x: walk.path[t] / 10, y: walk.path[t + 1] / 10, heading: walk.path[t + 2] };
}

// The plan that a level follows at a step: the last one it made; null before the first and while it is skipped.
function planAt(level, step) {
  let found = null;
  for (const plan of level.plans) {
    if (plan.at > step) break;
    found = plan;
  }
  return found === null || found.skipped ? null : found;
}

// How many steps ago a level planned, in words.
function agoText(at, step) {
  if (at === step) return "now";
  return step - at === 1 ? "1 step ago" : `${step - at} steps ago`;
}

// The states of a map as points between 0 and 1, `headings` of them for each free cell.
const placed = new Map();
function statesOf(map) {
  if (!placed.has(map.states)) placed.set(map.states, pairs(blob(map.states), 1 / 255));
  return placed.get(map.states);
}

function costOf(map, cell) {
  const value = blob(map.cost)[cell];
  return value === WALLED ? null : map.low + ((map.high - map.low) * value) / (WALLED - 1);
}

// A number in at most three significant digits, never with an exponent.
function short(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3).replace(/\.0+$/, "");
}

// A colour of the ramp, for 0 near to 1 far.
function rampColour(share) {
  const { ramp } = data.colours;
  return ramp[Math.max(0, Math.min(ramp.length - 1, Math.round(share * (ramp.length - 1))))];
}

const levelColour = (level) => data.colours.levels[(level - 1) % data.colours.levels.length];
