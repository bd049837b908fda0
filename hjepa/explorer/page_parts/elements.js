// Making elements. Texts from the data become text nodes alone, never markup.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function drawn(size, ...parts) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${size} 24`);
  svg.setAttribute("width", size);
  svg.setAttribute("height", 24);
  svg.setAttribute("aria-hidden", "true");
  for (const [tag, attributes] of parts) {
    const part = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
    svg.append(part);
  }
  return svg;
}

const icon = (path) => drawn(24, ["path", { d: path }]);
const ICONS = {
  play: "M6 3l15 9-15 9z",
  pause: "M5 3h5v18H5zM14 3h5v18h-5z",
  back: "M15 3l-9 9 9 9 2-2-7-7 7-7z",
  next: "M9 3l9 9-9 9-2-2 7-7-7-7z",
  first: "M20 3L8 12l12 9zM4 3h3v18H4z",
  last: "M4 3l12 9-12 9zM17 3h3v18h-3z",
};

// A list to choose from: options are [value, text]; with one option it is a text.
function choice(label, options, value, onchange) {
  const select = make("select", { "aria-label": label, onchange: () => onchange(select.value) });
  for (const [key, text] of options) select.append(make("option", { value: key }, text));
  select.value = value;
  return select;
}

function tick(label, name, state, changed) {
  const box = make("input", { type: "checkbox", id: `show-${name}`, onchange: () => { state[name] = box.checked; changed(); } });
  box.checked = state[name];
  return make("label", {}, box, label);
}

// Marks, the same in all legends.
const STAR = "M12 2l3 7.2 7.5.4-5.8 4.8 2 7.6-6.7-4.2L5.300 22l2-7.600L1.500 9.600 9 9.200z";
const marks = {
  star(colour) {
    const goal = icon(STAR);
    goal.lastChild.setAttribute("fill", colour);
    goal.lastChild.setAttribute("stroke", "var(--ink)");
    return goal;
  },
  ring(level) {
    const ring = drawn(24, ["circle", { cx: 12, cy: 12, r: 9, fill: "none", stroke: levelColour(level), "stroke-width": 3 }],
      ["text", { x: 12, y: 16.5, "text-anchor": "middle", "font-size": 12, "font-weight": 700, fill: "currentColor" }]);
    ring.lastChild.textContent = String(level);
    return ring;
  },
  plan: (level) => drawn(34, ["path", { d: "M2 12h30", stroke: levelColour(level), "stroke-width": 3, "stroke-dasharray": level > 1 ? "5 5" : "none", fill: "none" }]),
  way: () => drawn(30, ["path", { d: "M3 12h24", stroke: "var(--trail)", "stroke-width": 5, "stroke-linecap": "round" }]),
  disc: () => drawn(18, ["circle", { cx: 9, cy: 12, r: 6, fill: "var(--ink)" }]),
  triangle() {
    const agent = icon("M21 12L5 4.5v15z");
    agent.lastChild.setAttribute("fill", "var(--ink)");
    return agent;
  },
};

function legend() {
  const ramp = make("i", { class: "ramp" });
  ramp.style.background = `linear-gradient(to right, ${data.colours.ramp.join(",")})`;
  const top = Math.max(2, ...data.agents.map(({ levels }) => levels));
  const near = make("span", { id: "ramp" }, "near the goal", ramp, "far");
  const cross = make("span", {}, drawn(14, ["path", { d: "M3 8l8 8M3 16l8-8", stroke: "var(--muted)", "stroke-width": 2, fill: "none" }]),
    "level skipped: the goal is within one of its steps, so it hands the goal down");
  const crosses = data.agents.some(({ episodes }) => episodes.some(({ levels }) => levels.some(({ plans }) => plans.some(({ skipped }) => skipped)))) ? [cross] : [];
  // Worlds without a floor plan have their marks below the latents.
  if (!data.worlds.some(({ kind }) => kind === "cells")) return [near, ...crosses];
  return [
    make("span", {}, marks.triangle(), "agent", marks.disc(), "among latents"), make("span", {}, marks.way(), "way walked"),
    make("span", {}, marks.star(data.colours.goal), "goal", marks.star("#ffffff"), "on colours"), make("span", {}, marks.plan(2), "what a level imagines"),
    make("span", {}, marks.ring(top), `subgoal that level ${top} hands down`), near, ...crosses,
  ];
}

// What the marks among the latents of a level are.
function latentKey(walk, level) {
  const levels = levelsInMap(walk, level).map(([number]) => number).filter((number) => state.shown.has(number));
  return [
    make("span", {}, marks.disc(), "now"), ...(state.trail ? [make("span", {}, marks.way(), "way walked")] : []),
    make("span", { title: "white, for among colours of costs yellow means near" }, marks.star("#ffffff"), "goal"),
    ...levels.map((number) => {
      const ring = state.subgoals && number > 1, plan = state.futures;
      const text = plan ? (ring ? "plan and subgoal" : "plan") : "subgoal";
      return ring || plan ? make("span", {}, ...(plan ? [marks.plan(number)] : []), ...(ring ? [marks.ring(number)] : []), `${text} of level ${number}`) : "";
    }),
  ];
}

// What counts as near, of docs/glossary.md.
const METRICS = {
  l2: "how far two latents are apart",
  commute: "latents are near if random walks come quickly from one to the other and back",
  imagined: "as commute, of walks that the level imagined itself",
  critic: "steps to the goal, estimated by a head that was trained to",
};

function help() {
  const keys = [
    ["Space", "play or pause"], ["← →", "one step; with Shift, ten"], ["Home End", "first, last step"],
    ["E, Shift E", "next, previous episode"], ["C", "second agent on or off"], ["1 … 6", "show or hide a level"],
    ["L", "costs and latents of the next level"], ["M", "colours of the map: none, costs, true steps"], ["D", "dark or light"],
  ];
  const list = make("dl");
  for (const [key, text] of keys) list.append(make("dt", {}, make("kbd", {}, key)), make("dd", {}, text));
  return [
    make("summary", {}, "How to read this page, and its keys"),
    make("p", {}, "An agent plans top down. The top level imagines a few long steps towards the goal (star) and hands its"
      + " first one down as a subgoal (disc with the number of the level that set it). The level below plans to be there"
      + " in time, with a subgoal of its own, and so on; level 1 chooses the moves. Lines are imagined: they join the"
      + " places that a level foresees, read from its latents by a probe, and can cross walls. A level that sees the goal"
      + " within one step of its own is skipped (cross in the timeline): it hands the goal itself down."),
    make("p", {}, "Colours of the map say how far the chosen level thinks the goal is; the smaller picture shows the"
      + " level's latents of all states of the floor plan, flattened to the two directions in which they differ most:"
      + " states that lie together are alike to the level, as far as these two directions hold how they differ, which"
      + " the caption says in percent. The star is white there, and on coloured maps, for yellow means near. Point at either and the same state is marked in both, for both agents."),
    make("p", {}, "Cost is how far a level thinks the goal is; a level plans so as to make it small. ",
      ...Object.entries(METRICS).flatMap(([name, text]) => [make("b", {}, name), `: ${text}. `])),
    make("p", { id: "hint", hidden: true }, "This world has no floor plan. The pictures are its own; small squares are the"
      + " latents of what is seen in other trajectories, and the plans of all levels that share a latent are drawn in"
      + " it. The curve is the cost of the chosen level. The subgoal of a level is shown as the state"
      + " seen whose latent is nearest to it: what the level imagines need not look like that. Point at a latent to see"
      + " its picture; press a place on the way to go to its step."),
    list,
  ];
}
