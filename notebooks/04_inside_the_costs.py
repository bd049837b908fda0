# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Inside the costs: why does an agent get stuck?
#
# **Question.** A planner looks for actions after which an imagined latent is near the goal's. What does *near* mean, and where does it lead?
#
# **Answer.** It depends on the cost. Plain distance of latents (`l2`) calls the far side of a wall near, so there are valleys: places from which every short plan leads
# uphill. An agent whose plans are shorter than the way out stays there. There are two ways out: look further, which is what longer plans and upper levels do, or a cost
# that was learned from how long ways take, which has hardly any valleys.
#
# One state, one goal, all costs. The weights, `nested-d2`, see the symbols of a picture and are told nothing: no coordinate, no grid, no state. All their
# levels share one latent of 16 numbers, so one map holds for each of them.

# %% jupyter={"source_hidden": true}
# %matplotlib inline
from dataclasses import replace
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np

import hjepa
import tasks
from hjepa.devices import fix_threads
from hjepa.evaluation.evaluate import make_agent, play
from hjepa.evaluation.records import pooled, read_records, success_interval
from hjepa.evaluation.statistics import rank_correlation
from hjepa.figures.cost_map import cost_to, draw_cost_map, map_legend
from hjepa.figures.descent import descend
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal, draw_path, legend_handles
from hjepa.figures.groups import METRIC_COLOURS, METRIC_MARKERS
from hjepa.figures.latent_map import latent_map
from hjepa.figures.style import INK, level_colour, plain_axes
from hjepa.figures.valleys import where_it_ends

fix_threads()
TASK, EPISODE = "hjepa/NestedRooms-d2-v0", 20
COSTS = ("l2", "commute", "imagined", "critic")
stack = hjepa.load_stack("nested-d2")
spec, plan = tasks.task_spec(TASK), stack.config.plan
WALKS = replace(plan, metric="imagined").alone().walks  # as the flat agent has them
episodes = tasks.sample_episodes(TASK, "test", episodes=EPISODE + 1, seed=0)
one = episodes.select(np.array([EPISODE]))
start, goal = one.start[0], one.goal[0]
places = latent_map(stack, one.grid[0], start)
costs = {name: cost_to(places, goal, name, start, WALKS) for name in COSTS}
said = {name: cost(places.latents).numpy() for name, cost in costs.items()}
states, steps = tasks.cell_distances(one.walls[0], any_heading=False)
at_goal = (states[:, :2] == goal[:2]).all(-1)
true = steps[:, at_goal].min(1)
here = places.number(start)
print(f"the shortest way from the start to the goal: {true[here]} steps, turns counted")

# %% [markdown]
# ## 1. Four ways to say far
#
# - `l2`: squared distance of two latents. States that look alike are near.
# - `commute`: the same after a linear map that stretches what changes slowly along training trajectories. One map for all floor plans.
# - `imagined`: such a map made anew for this floor plan, from walks that level 1 imagines on it.
# - `critic`: steps to go. A small network reads off the picture what a move costs, and the costs spread from the goal.
#
# None was told where walls are. The number is the rank correlation with the true steps: at 1 a cost puts all cells in the order of the shortest way.

# %% jupyter={"source_hidden": true}
maps = {name: places.as_map(values) for name, values in said.items()} | {"truth": places.as_map(true)}
free = ~places.walls
figure, panels = plt.subplots(1, 5, figsize=(13, 4.3), layout="constrained")
for panel, (name, values) in zip(panels, maps.items()):
    image = draw_cost_map(panel, values, 0)
    draw_agent(panel, start)
    draw_goal(panel, goal, size=15, face="white")
    bar = figure.colorbar(image, ax=panel, location="bottom", shrink=0.85)
    bar.set_label("steps to go" if name in ("critic", "truth") else "squared distance")
    fits = rank_correlation(values[free], maps["truth"][free])
    panel.set_title("the truth" if name == "truth" else f"{name}: {fits:.2f}")
figure.legend(handles=map_legend(), loc="outside lower center", ncols=3, frameon=False)
figure.suptitle("How far every cell is from the goal. Bright: near, dark: far; each map has its own scale", fontsize=11)
plt.show()

# %% [markdown]
# ## 2. A walk along the shortest way
#
# Walk the shortest way and ask each cost at every step. A good cost falls all the way, or nearly. `l2` does not: for 13 of the 15 steps it goes up and down around what it was
# at the start, and only next to the goal it falls. Whoever descends it has no reason to walk this way.

# %% jupyter={"source_hidden": true}
way, state = [here], here
while not at_goal[state]:
    ahead = np.flatnonzero((steps[state] == 1) & (true == true[state] - 1))
    state = int(ahead[0])
    way.append(state)
figure, axes = plt.subplots(figsize=(7.5, 3.9), layout="constrained")
plain_axes(axes)
axes.axhline(100, color="0.6", linewidth=1, linestyle=":")
for name in COSTS:
    look = {"color": METRIC_COLOURS[name], "marker": METRIC_MARKERS[name], "markersize": 6, "linewidth": 1.8}
    axes.plot(100 * said[name][way] / said[name][here], label=name, **look)
axes.set(xlabel="steps walked of the shortest way", ylabel="cost, % of what it is at the start", ylim=(0, None))
axes.legend(frameon=False, title="cost", ncols=2)
axes.set_title("What each cost says along the shortest way", fontsize=11)
plt.show()

# %% [markdown]
# ## 3. Valleys
#
# Now a *perfect* search: it knows all true states that can be reached in one plan, goes to the one of least cost, and plans again. Neither the model nor the search can fail here, so
# where it stops short of the goal is the cost's doing alone. Dots: from there it never arrives. Crosses: where it stops then. With plans of 8 steps `l2` has a valley
# in the corner at the lower left: near the goal as the crow flies, and alike to look at, but a wall lies between. With 16 steps, the flat agent's tuned horizon under `l2`, the same cost leads to the goal from everywhere: a valley is one only for plans that cannot look out of it.

# %% jupyter={"source_hidden": true}
figure, panels = plt.subplots(1, 3, figsize=(11.5, 5.0), layout="constrained")
for panel, (name, reach) in zip(panels, (("l2", 8), ("l2", 16), ("critic", 8))):
    ends = where_it_ends(said[name], steps, reach)
    draw_cost_map(panel, maps[name], 0)
    lost = ~at_goal[ends]
    cells = np.unique(states[lost, :2], axis=0)
    panel.plot(*cells.T, ".", color=INK, markersize=7)
    stops = np.unique(states[ends[lost], :2], axis=0)
    panel.plot(*stops.T, "X", color="white", markeredgecolor=INK, markersize=14, markeredgewidth=1.4)
    draw_agent(panel, start)
    draw_goal(panel, goal, size=16, face="white")
    panel.set_title(f"{name}, plans of {reach} steps\narrives from {100 * at_goal[ends].mean():.0f} % of all states")
dot = plt.Line2D([], [], linestyle="", marker=".", color=INK, markersize=8, label="from a state here it never arrives")
figure.legend(
    handles=[*map_legend(cross="where it stops then"), dot], loc="outside lower center", ncols=5, frameon=False
)
plt.show()

# %% [markdown]
# ## 4. How far does one have to look?
#
# The same on eight test floor plans of 2x2 rooms and on eight of 4x4 rooms (`nested-d3`). On larger plans valleys are wider, and the reach that takes a search out of them is longer (a turn is a step too). This
# is what upper levels are for: on 4x4 rooms level 1 plans 8 steps there, two levels see 16, three 24 (alone, tuned for itself, level 1 plans 16). And it is why they bring little where the critic is the cost (`03_how_many_levels`).

# %% jupyter={"source_hidden": true}
REACHES = (2, 4, 8, 16, 24)


def shares(name, task, count=8):
    """Cost -> (count, reaches) share of all states, in percent, from which a perfect search arrives; a floor plan each."""
    weights = hjepa.load_stack(name)
    walks = replace(weights.config.plan, metric="imagined").alone().walks
    drawn = tasks.sample_episodes(task, "test", episodes=40, seed=0)
    _, first = np.unique(drawn.layouts, return_index=True)
    found = {cost: [] for cost in COSTS}
    for number in np.sort(first)[:count]:
        shown = latent_map(weights, drawn.grid[number], drawn.start[number])
        own, between = tasks.cell_distances(drawn.walls[number], any_heading=False)
        arrived = (own[:, :2] == drawn.goal[number][:2]).all(-1)
        for cost in COSTS:
            values = cost_to(shown, drawn.goal[number], cost, drawn.start[number], walks)(shown.latents).numpy()
            found[cost].append([100 * arrived[where_it_ends(values, between, reach)].mean() for reach in REACHES])
    return {cost: np.array(values) for cost, values in found.items()}


figure, panels = plt.subplots(1, 2, figsize=(11, 4.1), sharey=True, layout="constrained")
worlds = {"2x2 rooms": ("nested-d2", TASK), "4x4 rooms": ("nested-d3", "hjepa/NestedRooms-d3-v0")}
for panel, (rooms, (name, task)) in zip(panels, worlds.items()):
    plain_axes(panel)
    for place, (cost, values) in enumerate(shares(name, task).items()):
        x = np.arange(len(REACHES)) + 0.07 * (place - 1.5)
        look = {"color": METRIC_COLOURS[cost], "marker": METRIC_MARKERS[cost], "markersize": 6, "linewidth": 1.6}
        panel.plot(x, values.mean(0), label=cost, zorder=3, **look)
        panel.vlines(x, values.min(0), values.max(0), color=METRIC_COLOURS[cost], linewidth=1.2, alpha=0.6)
        print(f"{rooms}, {cost}: " + ", ".join(f"{r} steps {v:.0f} %" for r, v in zip(REACHES, values.mean(0))))
    panel.set_xticks(range(len(REACHES)), REACHES)
    panel.set(xlabel="steps of one plan", ylim=(-3, 104))
    panel.set_title(f"{rooms} ({name})", fontsize=11)
panels[0].set_ylabel("states from which a perfect search arrives, %")
panels[1].legend(frameon=False, title="cost", loc="lower right")
figure.suptitle("Mean of eight floor plans (bars: the worst and the best of them)", fontsize=11)
plt.show()

# %% [markdown]
# ## 5. What the planner descends
#
# A real planner does not know the true states. Level 1 draws plans from its prior, which is what actions trajectories took (grey), imagines each with its predictor, and follows
# the gradient of the cost down to the actions (blue: the best twelve). The cross is the least cost of all states that can truly be reached in eight steps.
#
# Under the critic the best plans lead away on the two ways there are (one of the twelve ends in the wall, an error of the model), and imagine about what can truly be had. Under `l2` little in reach is better than the rest, and descent finds something else: latents
# near the start that cost *less than any state in reach does*. No such state is there. It is an error of the model, and where the cost is flat such errors are the lowest points.
# (Lines are shifted a little so that all can be seen. What planning adds to a cost against this, as a price for unlikely actions, is left out.)

# %% jupyter={"source_hidden": true}
BEFORE, AFTER = {"color": "0.35", "linewidth": 0.7}, {"color": level_colour(1), "linewidth": 2.0}
figure, panels = plt.subplots(1, 2, figsize=(9, 6.0), layout="constrained")
for panel, name in zip(panels, ("l2", "critic")):
    found = descend(places, start, costs[name], horizon=8, count=64, iterations=8, seed=1)
    image = draw_cost_map(panel, maps[name], 0)
    image.set_alpha(0.55)
    jitter = np.random.default_rng(0)
    best = np.argsort(found.cost_after, kind="stable")[:12]
    for ways, look in ((found.before, BEFORE), (found.after[best], AFTER)):
        for line in ways:
            panel.plot(*(line + jitter.uniform(-0.2, 0.2, 2)).T, alpha=0.7, zorder=4, **look)
    within = np.where((steps[here] >= 0) & (steps[here] <= 8), said[name], np.inf)
    panel.plot(*states[within.argmin(), :2], "X", color="white", markeredgecolor=INK, markersize=15, zorder=8)
    draw_agent(panel, start)
    draw_goal(panel, goal, size=16, face="white")
    panel.set_title(
        f"{name}: at the start {said[name][here]:.1f}, truly possible {within.min():.1f},\n"
        f"imagined {found.cost_before.min():.1f} as drawn, {found.cost_after.min():.1f} after descent",
        fontsize=10,
    )
lines = [
    plt.Line2D([], [], label="plan as drawn", **BEFORE),
    plt.Line2D([], [], label="after gradient descent", **AFTER),
]
figure.legend(handles=[*map_legend(cross="least cost truly in reach"), *lines], loc="outside lower center", ncols=3, frameon=False)
plt.show()

# %% [markdown]
# ## 6. What becomes of it
#
# The agent of one level on this task, three times: under `l2` with plans of 8 steps, under `l2` as it was tuned (plans of 16 steps), and under the critic with 8. The first never leaves
# its room, as section 5 lets one expect.

# %% jupyter={"source_hidden": true}
agents = {
    "l2, plans of 8 steps": replace(plan, metric="l2", flat={}),
    "l2, plans of 16 steps, tuned": replace(plan, metric="l2"),
    "critic, plans of 8 steps": replace(plan, metric="critic"),
}
figure, panels = plt.subplots(1, 3, figsize=(11, 4.8), layout="constrained")
for panel, (name, settings) in zip(panels, agents.items()):
    agent = make_agent(stack, spec, hjepa.AgentOptions(levels=1, budget_tflops=0.01, settings=settings))
    trace = play(agent, spec, one, first=EPISODE, seed=0)
    walked = trace.agent[0, : int(trace.results.steps[0]) + 1]
    draw_floor_plan(panel, one.walls[0])
    draw_path(panel, walked, width=3)
    draw_agent(panel, start, face="white")
    draw_agent(panel, walked[-1])
    draw_goal(panel, goal, size=15)
    outcome = "arrives in" if trace.results.success[0] else "does not arrive in"
    panel.set_title(f"{name}\n{outcome} {trace.results.steps[0]} steps", fontsize=11)
figure.legend(handles=legend_handles(), loc="outside lower center", ncols=4, frameon=False)
plt.show()

# %% [markdown]
# And on all test tasks, from the card's list (`hjepa/published/nested-d2/card.md`; 600 tasks on 8 floor plans, so intervals are wide):

# %% jupyter={"source_hidden": true}
records = read_records(str(files("hjepa").joinpath("published", "nested-d2", "results.json")))
for name in ("l2", "imagined", "critic"):
    for levels in (1, 2, 3):
        own = pooled([r for r in records if r["metric"] == name and r["levels"] == levels])
        low, high = (100 * end for end in success_interval(own))
        print(
            f"{name:9} {levels} level{'s' * (levels > 1):1}  {100 * own['success_rate']:5.1f} % ({low:5.1f} to {high:5.1f}),"
            f" ways {own['path_ratio']:.2f} times the shortest, {1e3 * own['tflops_per_episode']:.1f} GFLOP"
        )

# %% [markdown]
# The costs differ less in success than in the maps, because a level 1 that imagines 16 steps looks out of most valleys of rooms this small. They differ in how long the ways are.
#
# **What is not shown.** One training seed. Sections 1 to 3, 5 and 6 are one task, chosen because `l2` has a valley in it; section 4 says how usual that is. A perfect search over true states says
# what a cost would do with a perfect model; of the model's own errors section 5 shows one.
#
# - Which part holds *your* agent back: `hjepa plan --oracle none,dynamics,cost,subgoals:2 --diagnostics` puts the truth in the place of one part at a time (`docs/diagnosis.md`).
# - `03_how_many_levels`: what a level is worth on hundreds of tasks.
