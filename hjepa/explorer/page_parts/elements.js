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

function legend() {
  const ramp = make("i", { class: "ramp" });
  ramp.style.background = `linear-gradient(to right, ${data.colours.ramp.join(",")})`;
  const top = Math.max(2, ...data.agents.map(({ levels }) => levels));
  const ring = drawn(24, ["circle", { cx: 12, cy: 12, r: 9, fill: "none", stroke: levelColour(top), "stroke-width": 3 }],
    ["text", { x: 12, y: 16.5, "text-anchor": "middle", "font-size": 12, "font-weight": 700, fill: "currentColor" }]);
  ring.lastChild.textContent = String(top);
  const dashes = drawn(40, ["path", { d: "M2 12h36", stroke: levelColour(2), "stroke-width": 3, "stroke-dasharray": "5 5", fill: "none" }]);
  const way = drawn(30, ["path", { d: "M3 12h24", stroke: "var(--trail)", "stroke-width": 5, "stroke-linecap": "round" }]);
  // On a floor plan the agent points somewhere, among latents it is a disc, and the goal is white.
  const mapped = data.worlds.some(({ kind }) => kind === "cells");
  const agent = mapped ? icon("M21 12L5 4.5v15z") : drawn(24, ["circle", { cx: 12, cy: 12, r: 7 }]);
  agent.lastChild.setAttribute("fill", "var(--ink)");
  const goal = icon("M12 2l3 7.2 7.5.4-5.8 4.8 2 7.6-6.7-4.2L5.300 22l2-7.600L1.500 9.600 9 9.200z");
  goal.lastChild.setAttribute("fill", mapped ? data.colours.goal : "#ffffff");
  goal.lastChild.setAttribute("stroke", "var(--ink)");
  return [
    make("span", {}, agent, "agent"), make("span", {}, way, "way walked"), make("span", {}, goal, "goal"),
    make("span", {}, dashes, "what a level imagines"), make("span", {}, ring, `subgoal that level ${top} hands down`),
    make("span", { id: "ramp" }, "near the goal", ramp, "far"),
  ];
}

function help() {
  const keys = [
    ["Space", "play or pause"], ["← →", "one step; with Shift, ten"], ["Home End", "first, last step"],
    ["E, Shift E", "next, previous episode"], ["C", "second agent on or off"], ["1 … 6", "show or hide a level"],
    ["L", "look into the next level"], ["M", "colours of the map: none, costs, true steps"], ["D", "dark or light"],
  ];
  const list = make("dl");
  for (const [key, text] of keys) list.append(make("dt", {}, make("kbd", {}, key)), make("dd", {}, text));
  return [
    make("summary", {}, "How to read this page, and its keys"),
    make("p", {}, "An agent plans top down. The top level imagines a few long steps towards the goal (star) and hands its"
      + " first one down as a subgoal (disc with the number of the level that set it). The level below plans to be there"
      + " in time, with a subgoal of its own, and so on; level 1 chooses the moves. Lines are imagined: they join the"
      + " places that a level foresees, read from its latents by a probe, and can cross walls. A level that sees the goal"
      + " within one step of its own is skipped (cross in the timeline)."),
    make("p", {}, "Colours of the map say how far the chosen level thinks the goal is; the smaller picture shows the"
      + " level's latents of all states of the floor plan, flattened to two dimensions: states that lie together are"
      + " alike to the level. Point at either and the same state is marked in both, for both agents."),
    make("p", { id: "hint", hidden: true }, "This world has no floor plan. The pictures are its own; small squares are the"
      + " latents of what is seen in other trajectories, and the plans of all levels that share a latent are drawn in"
      + " it. The curve is the cost of the level that is looked into. Press a place on the way to go to its step."),
    list,
  ];
}
