// Controls, keys, and how the page begins.

function levelButtons() {
  const buttons = [];
  for (let level = 1; level <= depth(); level += 1) {
    const button = make("button", { type: "button", class: "level", "aria-pressed": String(state.shown.has(level)),
      "aria-label": `show plans of level ${level}`, onclick: () => toggleLevel(level) }, String(level));
    button.style.setProperty("--own", levelColour(level));
    buttons.push(button);
  }
  return buttons;
}

function toggleLevel(level) {
  if (!state.shown.delete(level)) state.shown.add(level);
  changed(true);
}

function group(label, ...children) {
  return make("div", { class: "group" }, make("span", {}, label), ...children);
}

function buildControls() {
  const parts = [], world = data.worlds[state.world], redo = () => changed(false);
  if (data.worlds.length > 1) {
    const tasks = data.worlds.map((one, i) => [String(i), one.task]);
    parts.push(group("Task", choice("task", tasks, String(state.world), chooseWorld)));
  }
  const names = world.episodes.map((one, i) => [String(i), one.shortest === null ? String(one.number) : `${one.number}: ${isSeen() ? "goal seen after" : "shortest way"} ${one.shortest}`]);
  parts.push(group("Episode", make("button", { type: "button", "aria-label": "previous episode", onclick: () => episode(state.episode - 1) }, "‹"),
    choice("episode", names, String(state.episode), (value) => episode(Number(value))),
    make("button", { type: "button", "aria-label": "next episode", onclick: () => episode(state.episode + 1) }, "›")));
  if (inWorld().length > 1) parts.push(tick("two agents", "compare", state, () => changed(true)));
  const looks = Array.from({ length: depth() }, (_, k) => [String(k + 1), `level ${k + 1}`]);
  const layers = [["plain", "none"], ["costs", "costs of this level"], ["truth", "true steps"]].filter(([name]) => name !== "costs" || !blind());
  const more = make("details", {}, make("summary", {}, "What is shown"), make("div", { class: "more" },
    group("Plans of level", ...levelButtons()),
    group("", tick("imagined", "futures", state, redo), tick("subgoals", "subgoals", state, redo), tick("way walked", "trail", state, redo)),
    ...(blind() ? [] : [group("Costs and latents of", choice("level whose costs and latents are shown", looks, String(state.look), (value) => { state.look = Number(value); redo(); }))]),
    ...(isSeen() ? [] : [group("Colour of the map", choice("colour of the map", layers, state.layer, (value) => { state.layer = value; redo(); }))])));
  // On a narrow screen the map comes first; opened, it stays so.
  more.open = state.more === undefined ? !matchMedia("(max-width: 760px)").matches : state.more;
  more.addEventListener("toggle", () => { state.more = more.open; });
  parts.push(more);
  const focused = document.activeElement && document.activeElement.getAttribute("aria-label");
  byId("controls").replaceChildren(...parts);
  // Who works with the keyboard stays where they are.
  if (focused) for (const element of byId("controls").querySelectorAll("[aria-label]")) if (element.getAttribute("aria-label") === focused) element.focus();
}

function chooseWorld(value) {
  state.world = Number(value);
  state.step = 0;
  chooseAgents();
  about();
  changed(true);
}

function buildTransport() {
  const button = (name, label, act) => make("button", { type: "button", id: name, "aria-label": label, onclick: act }, icon(ICONS[name]));
  const slider = make("input", { type: "range", id: "step", min: 0, value: 0, "aria-label": "step", oninput: () => { play(false); go(Number(slider.value)); } });
  const speeds = [2, 4, 8, 16, 32].map((speed) => [String(speed), `${speed} steps / s`]);
  byId("transport").append(make("div", {}, button("first", "first step", () => go(0)), button("back", "one step back", () => go(state.step - 1)),
    button("play", "play", () => play(!state.playing)), button("next", "one step on", () => go(state.step + 1)),
    button("last", "last step", () => go(lastStep())), slider, make("output", { id: "where", for: "step" }),
    choice("speed", speeds, String(state.speed), (value) => { state.speed = Number(value); })));
}

function theme(next) {
  const dark = document.documentElement.dataset.theme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const now = next ? !dark : dark;
  if (next) document.documentElement.dataset.theme = now ? "dark" : "light";
  byId("theme").textContent = now ? "Light" : "Dark";
  byId("theme").hidden = false;
  if (next) draw();
}

// Where starts and goals are from, in words.
function startsText(starts) {
  const offset = /^goals offset:(\d+)$/.exec(starts);
  if (offset) return `goals seen ${offset[1]} steps later in held-out trajectories`;
  const known = { far: "start and goal far apart", uniform: "start and goal anywhere", "goals world": "goals that the world shows" };
  return known[starts] || starts;
}

function about() {
  const world = data.worlds[state.world];
  const episodes = world.split ? `${world.split} episodes, ${startsText(world.starts)}, ` : "";
  const { episode: first, agents } = data.open[state.world];
  const differ = agents.length > 1 && new Set(agents.map((i) => data.agents[i].episodes[first].success)).size > 1;
  const why = differ && world.episodes.length > 1 ? `; opened at episode ${world.episodes[first].number}, the first that one of the two solves alone` : "";
  byId("about").textContent = `${world.task}, ${episodes}at most ${world.step_budget} steps${why}`;
}

const KEYS = {
  " ": () => play(!state.playing),
  ArrowLeft: (event) => go(state.step - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => go(state.step + (event.shiftKey ? 10 : 1)),
  Home: () => go(0),
  End: () => go(lastStep()),
  e: () => episode(state.episode + 1),
  E: () => episode(state.episode - 1),
  c: () => { if (inWorld().length > 1) { state.compare = !state.compare; changed(true); } },
  l: () => { state.look = (state.look % depth()) + 1; changed(true); },
  m: () => { if (isSeen()) return; state.layer = { plain: "costs", costs: "truth", truth: "plain" }[state.layer]; changed(true); },
  d: () => theme(true),
};

document.addEventListener("keydown", (event) => {
  // Elements that use these keys themselves keep them.
  const own = { SELECT: true, SUMMARY: event.key === " ", BUTTON: event.key === " ", INPUT: event.target.type === "checkbox" ? event.key === " " : event.key !== " " };
  if (event.ctrlKey || event.metaKey || event.altKey || own[event.target.tagName]) return;
  const level = Number(event.key);
  const act = level >= 1 && level <= depth() ? () => toggleLevel(level) : KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act(event);
});

// The address may say where to begin: #episode=3&step=20&layer=costs&look=2&left=0&right=1&compare=0
function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const number = (name, most) => (asked.has(name) && Number(asked.get(name)) <= most ? Math.max(0, Math.floor(Number(asked.get(name)))) : null);
  const wanted = number("episode", data.worlds[state.world].episodes.length - 1);
  if (wanted !== null) state.episode = wanted;
  for (const [side, name] of [[0, "left"], [1, "right"]]) {
    const agent = number(name, data.agents.length - 1);
    if (agent !== null && data.agents[agent].world === state.world) state.agents[side] = agent;
  }
  if (asked.has("compare")) state.compare = asked.get("compare") === "1" && inWorld().length > 1;
  if (["plain", "costs", "truth"].includes(asked.get("layer"))) state.layer = asked.get("layer");
  state.look = number("look", depth()) || highestActive();
  state.step = number("step", lastStep()) || 0;
}

byId("app").hidden = false;
byId("legend").append(...legend());
byId("help").append(...help());
buildTransport();
buildAgent(0);
buildAgent(1);
chooseAgents();
fromAddress();
theme(false);
about();
byId("theme").addEventListener("click", () => theme(true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { theme(false); draw(); });
changed(true);
addEventListener("resize", () => { fit(); draw(); });
new ResizeObserver(() => draw()).observe(byId("agents"));
