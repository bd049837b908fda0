# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Inside the costs: what a planner descends, and where it gets stuck
#
# Planning is search for actions of low cost, and the cost says how far an imagined latent is from the goal. Whether a
# plan is any good is decided by three things: what the *cost* says, what the *model* imagines, and what the *search* finds.
# This notebook looks at each of them. Then it puts the truth in the place of one part after the other, and takes a failing
# episode apart.

# %%
# %matplotlib inline
from dataclasses import replace
from functools import cache
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import torch

import hjepa
import tasks
from hjepa.devices import fix_threads
from hjepa.diagnostics import diagnose
from hjepa.evaluation import make_agent, play
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal
from hjepa.figures.style import level_colour, plain_axes
from hjepa.imagination import imagined_metrics
from hjepa.models import LevelModel
from hjepa.records import read_records
from levels.metrics import squared_distance
from planners.noise import combine
from planners.objectives import GoalCost, SumCost, SupportCost
from planners.planner import Planner
from planners.proposals import PriorProposal
from planners.protocols import Problem
from planners.refiners import AdamRefiner
from planners.rollouts import rollout

fix_threads()
TASK = "hjepa/NestedRooms-d3-v0"
stack = hjepa.load_stack("nested-d3")
config = stack.config
episodes = tasks.sample_episodes(TASK, "test", episodes=12, seed=0)
METRICS = {"l2": "#56B4E9", "commute": "#E69F00", "imagined": "#CC79A7", "critic": "black"}
MARKERS = dict(zip(METRICS, "os^D"))

# %% [markdown]
# ## Four ways to say "far"
#
# - `l2`: the plain distance of two latents. States that look alike are near, and a wall between them changes little.
# - `commute`: a linear map of latents that stretches what changes slowly along training trajectories. One map for all
#   floor plans.
# - `imagined`: the same map, made anew for every floor plan from walks that a level imagines on it.
# - `critic`: no distance between two latents. A small network reads from the floor plan what a move costs in each cell,
#   and *value iteration* spreads these costs from the goal over the map. A latent then looks up the steps to go, at the
#   place where it believes to be. It was trained on how long trajectories took to get somewhere.
#
# None of them was told about walls or doors. Below, how far every cell is from the goal (the star) by each of them. Bright is
# near. The number is the rank correlation with the true steps: at 1 the landscape orders all cells as the shortest path
# does. All levels of this stack share one latent, so one picture holds for each of them.

# %%
EPISODE = 0
grid, goal = episodes.grid[EPISODE], episodes.goal[EPISODE]


def draw_energy(panel, energy, grey="#C4C4C4"):
    """A landscape (W, H) as a heat map, walls grey."""
    colours = plt.get_cmap("viridis_r").with_extremes(bad=grey)
    image = panel.imshow(np.ma.masked_invalid(energy.T), cmap=colours)
    panel.set(xticks=[], yticks=[])
    return image


figure, panels = plt.subplots(1, 5, figsize=(15.5, 4.6), layout="compressed")
for panel, metric in zip(panels, METRICS):
    found = hjepa.figures.landscape(stack, grid, goal, 1, metric)
    bar = figure.colorbar(draw_energy(panel, found.energy), ax=panel, location="bottom", shrink=0.85)
    bar.set_label("steps to go" if metric == "critic" else "squared distance")
    panel.set_title(f"{metric}\nrank correlation {found.rank_correlation:.2f}")
bar = figure.colorbar(draw_energy(panels[-1], found.path), ax=panels[-1], location="bottom", shrink=0.85)
bar.set_label("steps, turns counted")
panels[-1].set_title("the truth\n(shortest path)")
for panel in panels:
    draw_goal(panel, goal, size=15, face="white")
figure.suptitle("How far is every cell from the goal?", fontweight="bold")
plt.show()

# %% [markdown]
# ## The same landscape, level by level
#
# What differs from level to level is how far one plan reaches: the horizon times the span. A plan can only end where it
# reaches (framed in the level's colour; the rest is pale), and a perfect search ends it at the least energy in there (the
# cross). In plain distance, a short reach holds only the near side of a wall: the best place is in front of it, and
# after the next plan it still is. That is a *local minimum*, and it is one of the cost. There are two ways out: reach
# further, as upper levels do, or a cost without it.

# %%
reach = [span * horizon for span, horizon in zip(config.spans, config.plan.horizon)]
start = episodes.start[EPISODE]
states, steps = tasks.cell_distances(episodes.walls[EPISODE])
here = int(np.flatnonzero((states == start).all(-1))[0])


def as_map(values, shape):
    """Values of states (S,) as a map: the least over the headings, NaN at walls."""
    found = np.full(shape, np.nan)
    for (x, y, _), value in zip(states, values):
        found[x, y] = np.fmin(found[x, y], value)
    return found


def outline(panel, inside, colour):
    """A frame around the cells (W, H) that are inside."""
    width, height = inside.shape
    for x, y in np.argwhere(inside):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            i, j = x + dx, y + dy
            if not (0 <= i < width and 0 <= j < height and inside[i, j]):
                ends = np.array([[dy, dx], [-dy, -dx]]) / 2 + [x + dx / 2, y + dy / 2]
                panel.plot(*ends.T, color=colour, linewidth=2.2, solid_capstyle="round")


shape = episodes.walls[EPISODE].shape
away = as_map(np.where(steps[here] < 0, np.inf, steps[here]), shape)
figure, panels = plt.subplots(2, stack.depth, figsize=(3.6 * stack.depth, 8.6), layout="compressed")
for row, metric in zip(panels, ("l2", "critic")):
    for k, panel in enumerate(row):
        energy = hjepa.figures.landscape(stack, grid, goal, k + 1, metric).energy
        inside = away <= reach[k]
        image = draw_energy(panel, energy)
        image.set_alpha(np.where(inside | np.isnan(energy), 1.0, 0.3).T)
        outline(panel, inside, level_colour(k + 1))
        best = np.unravel_index(np.nanargmin(np.where(inside, energy, np.nan)), energy.shape)
        draw_agent(panel, start)
        draw_goal(panel, goal, size=14, face="white")
        panel.plot(*best, "x", color="crimson", markersize=13, markeredgewidth=3.5, zorder=11)
        left = int(hjepa.figures.landscape(stack, grid, goal, 1, "l2").path[best])
        panel.set_title(
            f"level {k + 1} reaches {reach[k]} steps", color=level_colour(k + 1), fontweight="bold"
        )
        panel.set_xlabel(f"from the cross still {left} steps" if left else "the cross is the goal")
    row[0].set_ylabel(f"metric {metric}", fontsize=13)
figure.suptitle(
    f"Where a perfect search would go: the cross. The shortest way has {episodes.oracle_steps[EPISODE]} steps",
    fontweight="bold",
)
plt.show()

# %% [markdown]
# Is this episode typical? Let a perfect search walk on every floor plan of twelve test episodes: hop to the least energy within
# reach, again and again. From which share of all states does it end at the goal? What is missing to 100 % is the fault of
# the cost alone: neither the model nor the search is in this figure.


# %%
@cache
def energies(number, metric, k=0):
    """Energy of all states of an episode's floor plan, (S,)."""
    with torch.no_grad():
        memories = stack.write(torch.from_numpy(episodes.grid[number : number + 1]))
        own, _ = tasks.cell_distances(episodes.walls[number])
        latents = stack.encode(torch.from_numpy(own)[None], memories, upto=k + 1)[-1]
        return distance_to_goal(metric, number, k)(latents[:, :, None], None)[0, :, 0].numpy()


@cache
def begin(number):
    """Latents of start and goal per level, (1, 2, D), and memories, of one episode."""
    with torch.no_grad():
        memories = stack.write(torch.from_numpy(episodes.grid[number : number + 1]))
        ends = torch.from_numpy(np.stack([episodes.start[number], episodes.goal[number]]))[None]
        return stack.encode(ends, memories), memories


@cache
def distance_to_goal(metric, number, k=0):
    """The energy of level k + 1 as a function of latents (1, N, H, D), as planning measures it."""
    ends, memories = begin(number)
    aim = ends[k][:, 1]
    if metric == "critic":
        floor = torch.from_numpy(episodes.grid[number : number + 1])
        field = stack.critic(k).field(floor, aim, config.critic.sweeps)
        return lambda latent, goal: stack.critic(k)(latent, field)
    own = stack.metric(metric, k)
    if metric == "imagined":
        models = [LevelModel(stack, level, config.plan.margin) for level in range(stack.depth)]
        own = imagined_metrics(stack, models, ends[0], memories, torch.tensor([number]), config.plan.walks)[k]
    return lambda latent, goal: squared_distance(latent, aim[:, None, None].expand_as(latent), own)


def arrives(energy, states, steps, goal, ahead):
    """Share of states from which hopping to the least energy within reach ends at the goal."""
    at_goal = (states[:, :2] == goal[:2]).all(-1)
    within = (steps >= 0) & (steps <= ahead)
    hop = np.where(within, energy[None], np.inf).argmin(1)
    place = np.arange(len(states))
    for _ in range(tasks.task_spec(TASK).step_budget // ahead):
        place = hop[place]
    return at_goal[place].mean()


share = {metric: np.zeros((len(episodes), len(reach))) for metric in METRICS}
for number in range(len(episodes)):
    own_states, own_steps = tasks.cell_distances(episodes.walls[number], any_heading=False)
    for metric in METRICS:
        energy = energies(number, metric)
        for k, ahead in enumerate(reach):
            share[metric][number, k] = arrives(energy, own_states, own_steps, episodes.goal[number], ahead)

figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
plain_axes(axes)
for place, (metric, colour) in enumerate(METRICS.items()):
    shift = 0.1 * (place - 1.5)
    spread = share[metric].std(0) / np.sqrt(len(episodes))
    axes.errorbar(
        np.arange(len(reach)) + shift, share[metric].mean(0), spread,
        fmt=f"{MARKERS[metric]}-", color=colour, capsize=3, markersize=8, label=f"metric {metric}",
    )  # fmt: skip
axes.set_xticks(range(len(reach)), [f"{ahead}\n(level {k + 1})" for k, ahead in enumerate(reach)])
axes.set_yticks(np.linspace(0, 1, 6), [f"{p} %" for p in range(0, 101, 20)])
axes.set(xlabel="steps within reach of one plan", ylabel="states from which it arrives", ylim=(-0.03, 1.05))
axes.legend(loc="lower right")
axes.set_title("Perfect search, given cost (bars: standard error over 12 floor plans)", fontweight="bold")
plt.show()

# %% [markdown]
# ## Where gradient descent goes
#
# Now a real search: level 1 alone, eight steps. Sixteen plans are drawn from the level's prior (thin, grey); Adam then
# descends on their actions (thick, orange). A one-hot action is a corner of a simplex: gradients go through the softmax,
# and the model always sees a corner. The cross is the least energy among all states that can truly be reached in eight
# steps. Where orange comes to the cross, the search has done what it can; what is wrong with that place is wrong with the
# cost.

# %%
models = [LevelModel(stack, k, config.plan.margin) for k in range(stack.depth)]


def problem_of(number, metric, seed, k=0, horizon=8):
    """Get from the start of an episode to its goal, at one level."""
    ends, memories = begin(number)
    objective = GoalCost(ends[k][:, 1], distance_to_goal(metric, number, k))
    return Problem(ends[k][:, 0], memories[k], horizon, objective, torch.tensor([seed]))


@torch.no_grad()
def descend(problem, iterations, count=16, k=0):
    """Candidates before and after gradient descent, and what the best of each costs."""
    drawn = PriorProposal(count)(models[k], problem)
    # Handed on are the best actions that each candidate went through, then the last ones.
    refined = AdamRefiner(iterations, 1.0)(models[k], problem, drawn).candidates[:, :count]
    found = rollout(models[k], problem, refined)
    before, after = (float(problem.objective(t).min()) for t in (drawn.trajectory, found))
    return drawn.trajectory, found, before, after


def least(number, metric, ahead=8):
    """The least energy that can truly be reached from the start in so many steps, and the place, (x, y)."""
    states, steps = tasks.cell_distances(episodes.walls[number], any_heading=False)
    here = int(np.flatnonzero((states == episodes.start[number]).all(-1))[0])
    within = (steps[here] >= 0) & (steps[here] <= ahead)
    energy = np.where(within, energies(number, metric), np.inf)
    return float(energy.min()), states[energy.argmin(), :2]


@torch.no_grad()
def read(latents, k=0):
    """Places (x, y) of latents, by the probe."""
    return stack.probes[k].expected(latents).numpy()


figure, panels = plt.subplots(1, 3, figsize=(14, 5.6), layout="compressed")
for panel, metric in zip(panels, ("l2", "imagined", "critic")):
    draw_energy(panel, hjepa.figures.landscape(stack, grid, goal, 1, metric).energy).set_alpha(0.55)
    problem = problem_of(EPISODE, metric, seed=1)
    before, after, drawn_cost, cost = descend(problem, iterations=16)
    jitter = np.random.default_rng(0)
    for trajectory, width, colour in ((before, 1.0, "0.35"), (after, 2.2, "#D55E00")):
        for places in read(trajectory.latents[0]):
            line = np.vstack([start[:2], places]) + jitter.uniform(-0.2, 0.2, 2)
            panel.plot(*line.T, color=colour, linewidth=width, alpha=0.75)
    floor, place = least(EPISODE, metric)
    panel.plot(*place, "x", color="black", markersize=13, markeredgewidth=3.5, zorder=11)
    draw_agent(panel, start)
    draw_goal(panel, goal, size=16, face="white")
    panel.set_title(
        f"metric {metric}\nbest as drawn {drawn_cost:.0f}, after Adam {cost:.0f}, least {floor:.0f}"
    )
lines = [plt.Line2D([], [], color=c, linewidth=w) for c, w in (("0.35", 1), ("#D55E00", 2.2))]
cross = plt.Line2D([], [], color="black", marker="x", linestyle="", markersize=11, markeredgewidth=3)
names = ["plans as drawn", "after 16 steps of Adam", "least energy within eight true steps"]
figure.legend([*lines, cross], names, loc="outside lower center", ncols=3, frameon=False)
figure.suptitle(
    "Level 1, eight steps: sixteen plans before and after gradient descent", y=1.03, fontweight="bold"
)
plt.show()

# %% [markdown]
# What are the steps of Adam worth? Here the best of 32 plans is taken after none, one, four and sixteen of them, over the
# twelve episodes. The energy at its best step is measured twice: as level 1 *imagined* it, and in *truth*, by walking
# the same actions in the real world. At 1 it is the least that can truly be reached.
#
# Whatever lies below 1 is not a better plan. It is a latent that no state within reach has, and the search has found
# it: gradient descent looks for low cost, and a wrong prediction is a cheap way there. What is good in imagination only shows
# as a gap between the two lines. The critic leaves less room for it: it reads the map at the place where a latent believes
# to be, and on the map there is nothing below the least. Because of the gap an agent walks only a few steps of a plan before
# it looks again, mends a plan at once when what happened is not what was imagined, and is charged for unlikely actions
# (`plan.support`).


# %%
@torch.no_grad()
def true_energy(number, metric, actions):
    """The least energy along the way when (H,) actions are walked in the real world."""
    agent, way = episodes.start[number], []
    for action in actions:
        agent = tasks.step_agents(episodes.walls[number], agent, action)
        way.append(agent)
    _, memories = begin(number)
    latents = stack.encode(torch.from_numpy(np.stack(way))[None], memories, upto=1)[0]
    return float(distance_to_goal(metric, number)(latents[:, :, None], None).min())


@torch.no_grad()
def best_after(problem, iterations, count=32):
    """The best plan's imagined cost and its actions, after so many steps of Adam."""
    drawn = PriorProposal(count)(models[0], problem)
    found = drawn.trajectory
    if iterations:
        refined = AdamRefiner(iterations, 1.0)(models[0], problem, drawn).candidates
        found = rollout(models[0], problem, refined)
    cost = problem.objective(found)[0]
    return float(cost.min()), found.actions[0, cost.argmin()].argmax(-1).tolist()


rounds = (0, 1, 4, 16)
figure, panels = plt.subplots(1, 3, figsize=(12.5, 4.2), sharey=True, layout="constrained")
for panel, metric in zip(panels, ("l2", "imagined", "critic")):
    relative = np.zeros((2, len(episodes), len(rounds)))
    for number in range(len(episodes)):
        problem, (lowest, _) = problem_of(number, metric, seed=1), least(number, metric)
        for place, count in enumerate(rounds):
            imagined, actions = best_after(problem, count)
            relative[:, number, place] = imagined / lowest, true_energy(number, metric, actions) / lowest
    plain_axes(panel)
    panel.axhline(1, color="0.4", linestyle=":", linewidth=1.5)
    for values, style, name in zip(relative, ("o-", "s--"), ("as imagined", "in truth")):
        colour = "#0072B2" if name == "as imagined" else "#D55E00"
        spread = values.std(0) / np.sqrt(len(values))
        panel.errorbar(
            range(len(rounds)), values.mean(0), spread, fmt=style, color=colour, capsize=3, label=name
        )
    panel.set_xticks(range(len(rounds)), rounds)
    panel.set(xlabel="steps of Adam", title=f"metric {metric}")
panels[0].set_ylabel("energy of the best plan /\nleast that can truly be reached")
panels[0].legend()
figure.suptitle("What gradient descent finds: imagined and true (bars: standard error)", fontweight="bold")
plt.show()

# %% [markdown]
# ## Two ways round, found from different starts of the search
#
# Rooms around a crossing can be walked round either way. Below are a start and a goal between which both ways are equally
# long (found with the true distances, which the agent never sees). Level 2 plans sixty times, with nothing changed but the
# random key of its proposals, in the metric `critic`. A search that keeps only the one best plan hides that there were two;
# many starts find both, and at nearly the same cost. Gradient descent alone would not go from one to the other: between
# them stands a wall.


# %%
def find_two_ways():
    """An episode, two of its states, two places half way on different shortest paths, and the length."""
    for number in range(len(episodes)):
        states, steps = tasks.cell_distances(episodes.walls[number], any_heading=False)
        rng = np.random.default_rng(number)
        for start, goal in rng.integers(0, len(states), (4000, 2)):
            total = steps[start, goal]
            if 12 <= total <= 15:
                on_path = (steps[start] + steps[:, goal] == total) & (abs(steps[start] - total // 2) <= 1)
                cells = np.unique(states[on_path, :2], axis=0)
                apart = np.abs(cells[:, None] - cells[None]).sum(-1)
                if apart.max() >= 8:
                    sides = cells[[*np.unravel_index(apart.argmax(), apart.shape)]]
                    return number, states[start], states[goal], sides, int(total)
    raise RuntimeError("no such pair")


number, start, goal, sides, length = find_two_ways()
k, tries = 1, 60
floor = torch.from_numpy(episodes.grid[number : number + 1])
with torch.no_grad():
    memories = stack.write(floor)
    ends = stack.encode(torch.from_numpy(np.stack([start, goal]))[None], memories)
    critic = stack.critic(k)
    field = critic.field(floor, ends[k][:, 1], config.critic.sweeps).expand(tries, -1, -1, -1)
to_go = GoalCost(ends[k][:, 1].expand(tries, -1), lambda latent, goal: critic(latent, field), step_cost=0.2)
objective = SumCost([to_go, SupportCost(weight=3.0, free=1.0)])
memory = memories[k].expand(tries, -1, -1, -1)
problem = Problem(ends[k][:, 0].expand(tries, -1), memory, 4, objective, torch.arange(tries))
plans = Planner(PriorProposal(64), AdamRefiner(2, 1.0))(models[k], problem)
places = read(plans.latents, k)
with torch.no_grad():
    left = critic(plans.latents, field).numpy()  # steps to go after each step of each plan
arrived = left.min(1) < config.spans[k] / 2
side = np.abs(places[:, :, None] - sides).sum(-1).min(1).argmin(-1)

figure, panels = plt.subplots(1, 2, figsize=(12.5, 5.6), width_ratios=(1, 1.15), layout="constrained")
draw_floor_plan(panels[0], episodes.walls[number])
plain_axes(panels[1], "x")
for way, (name, colour, marker) in enumerate(
    (("one way", "#0072B2", "o"), ("the other way", "#D55E00", "s"))
):
    jitter = np.random.default_rng(way)
    own = np.flatnonzero(arrived & (side == way))
    for plan in own:
        line = np.vstack([start[:2], places[plan, : left[plan].argmin() + 1]])
        line[1:] += jitter.uniform(-0.18, 0.18, (len(line) - 1, 2))
        panels[0].plot(*line.T, f"{marker}-", color=colour, linewidth=1.2, markersize=5, alpha=0.55)
    costs = plans.cost.numpy()[own]
    panels[1].plot(costs, way + jitter.uniform(-0.2, 0.2, len(own)), marker, color=colour, alpha=0.6)
    if len(own):
        print(f"{name}: {len(own)} plans, the best costs {costs.min():.2f}")
print(f"{(~arrived).sum()} of {tries} plans end elsewhere (not drawn)")
draw_agent(panels[0], start)
draw_goal(panels[0], goal)
panels[0].set_title(f"Plans of level {k + 1}; both ways take {length} steps")
panels[1].set_yticks([0, 1], ["one way\n(blue)", "the other way\n(orange)"])
panels[1].set(xlabel="cost of the plan", ylim=(1.6, -0.6), title="What they cost: one mark per random key")
figure.suptitle("One problem, two good plans", fontweight="bold")
plt.show()

# %% [markdown]
# ## The oracle ladder
#
# Which part holds an agent back? Replace one part by the truth, keep the rest, and plan the same episodes. What helps
# most is the part to mend.
#
# - `none`: the agent as it is.
# - `dynamics`: every imagined step is the true one. It can only help if the *model* is at fault.
# - `cost`: distances are the true numbers of steps. It helps if the *cost* is at fault.
# - `subgoals:k`: level k always sets the state that is one stride ahead on a shortest path. It helps if what comes from
#   *above* is at fault; what is still missing then is the fault of the levels below.
# - `random-subgoals`: subgoals from nowhere, as a floor.
#
# These are the published runs; the command is in their cards.

# %%
ladders = {}
for name in ("nested-d3", "nested-d4"):
    path = files("hjepa").joinpath("published", name, "ladder.json")
    if path.is_file():
        ladders[name] = read_records(str(path))
heights = [len(ladder) for ladder in ladders.values()]
figure, grid_of_panels = plt.subplots(
    len(ladders), 2, figsize=(12.5, 0.46 * sum(heights) + 1.5 * len(heights)), sharey="row", squeeze=False,
    height_ratios=heights, layout="constrained",
)  # fmt: skip
for (name, ladder), panels in zip(ladders.items(), grid_of_panels):
    rungs = [f"{r['levels']} levels, {r['metric']}: {r['oracle'] or 'none'}" for r in ladder]
    for place, record in enumerate(ladder):
        low, high = record["success_ci95"]
        rate, ratio = record["success_rate"], record["path_ratio"]
        colour = "black" if record["oracle"] is None else level_colour(record["levels"])
        bars = [[100 * (rate - low)], [100 * (high - rate)]]
        panels[0].errorbar(100 * rate, place, xerr=bars, fmt="o", color=colour, capsize=3, markersize=8)
        if ratio is not None:
            panels[1].plot(ratio, place, "o", color=colour, markersize=8)
            panels[1].annotate(f"{ratio:.2f}", (ratio, place), (8, -4), textcoords="offset points")
    for panel in panels:
        plain_axes(panel, "x")
    panels[0].set_yticks(range(len(rungs)), rungs)
    panels[0].set_ylim(len(rungs) - 0.5, -0.5)
    panels[0].set(xlim=(-2, 102), xlabel="success, % (bars: 95 % interval)")
    panels[1].margins(x=0.15)
    panels[1].set(xlabel="steps walked / shortest path, where solved")
    panels[0].set_title(f"{name}, {ladder[0]['episodes']} {ladder[0]['split']} tasks", loc="left")
figure.suptitle("One part replaced by the truth at a time (black: none)", fontweight="bold")
plt.show()

# %% [markdown]
# ## A failing episode taken apart
#
# Two levels and plain distance, a weak agent on purpose. The first episode that it does not solve:

# %%
spec = tasks.task_spec(TASK)
plain = replace(config.plan, metric="l2")
watched = {}
for metric in ("l2", "critic"):
    agent = make_agent(stack, spec, levels=2, settings=replace(config.plan, metric=metric), record=True)
    watched[metric] = agent, play(agent, spec, episodes, first=0, seed=0)
_, trace = watched["l2"]
failures = np.flatnonzero(trace.results.success == 0)
failed = int(failures[0])
print(f"not solved, of {len(episodes)} episodes: {failures.tolist()}; a closer look at episode {failed}")
hjepa.figures.subgoals(trace, episode=failed, start=0, stop=40)

# %% [markdown]
# Follow the numbers. Level 2's subgoals are places that the agent can reach and does reach. They lead to where the plain
# distance is small. A cross in the strip means that level 2 was *skipped*: it took the goal to be within its stride and left
# the rest to level 1. If that happens on the wrong side of a wall, level 1 alone has to find the way round, and cannot.

# %% [markdown]
# **What did it believe?** Two curves along the way that it walked: what it minimised (the plain distance to the goal), and what
# counts (the true steps to the goal). Where the first stays low while the second does not fall, the agent sits in a valley
# of the cost. The third curve is what the critic would have said at the same places.

# %%
walked = trace.agent[failed, : int(trace.results.steps[failed]) + 1]
true = tasks.distances(trace.episodes.walls[failed][None], trace.episodes.goal[failed][None])[0]
with torch.no_grad():
    memories = stack.write(torch.from_numpy(episodes.grid[failed : failed + 1]))
    along = stack.encode(torch.from_numpy(walked)[None], memories, upto=1)[-1]
    said = {
        m: distance_to_goal(m, failed)(along[:, :, None], None)[0, :, 0].numpy() for m in ("l2", "critic")
    }
figure, (upper, lower) = plt.subplots(2, 1, figsize=(11, 5), sharex=True, layout="constrained")
for axes in (upper, lower):
    plain_axes(axes)
upper.plot(said["l2"], color=METRICS["l2"], linewidth=2)
upper.set_ylabel("squared distance")
upper.set_title("What the agent minimised: the plain distance to the goal", loc="left")
lower.plot(true[tuple(walked.T)], color="#009E73", linewidth=2.5, label="true steps to the goal")
lower.plot(
    said["critic"], color="black", linewidth=1.3, linestyle="--", label="what the critic would have said"
)
lower.set(xlabel="step of the episode", ylabel="steps to the goal", ylim=(0, None))
lower.set_title("What counts", loc="left")
lower.legend()
figure.suptitle(f"Episode {failed}, two levels, metric l2", fontweight="bold")
plt.show()

# %% [markdown]
# **Which part is at fault?** The ladder for this one episode: the same agent, with one part replaced by the truth, and then
# with another metric or one level more, which needs no oracle.

# %%
changes = {
    "as it is": {},
    "true dynamics": {"oracle": "dynamics"},
    "true subgoals of level 2": {"oracle": "subgoals:2"},
    "true cost": {"oracle": "cost"},
    "three levels": {"levels": 3},
    "metric imagined": {"settings": replace(config.plan, metric="imagined")},
    "metric critic": {"settings": replace(config.plan, metric="critic")},
}
alone = episodes.select(np.array([failed]))
print(f"episode {failed}; the shortest way has {alone.oracle_steps[0]} steps")
for name, change in changes.items():
    agent = make_agent(stack, spec, **{"levels": 2, "settings": plain} | change)
    results = play(agent, spec, alone, first=failed, seed=0).results
    outcome = f"arrives in {results.steps[0]} steps" if results.success[0] else "does not arrive"
    print(f"   {name:25} {outcome}")

# %% [markdown]
# **Is that so in general?** `diagnose` measures it per level on all twelve episodes (`hjepa plan --diagnostics` writes the same
# into records). `rank_correlation_map`: how well the cost orders states. `imagined_feasible`: can what the level imagines be
# done. `subgoals_feasible`: can a subgoal be reached in its stride. `subgoals_gain`: how much closer to the goal it is (1: a
# whole stride). `subgoals_reached`: does the agent stand there when it is due.

# %%
columns = []
for metric, (agent, seen) in watched.items():
    keys = combine(0, torch.arange(len(episodes)))
    columns += diagnose(agent, seen.episodes, torch.from_numpy(seen.agent), seen.decisions, keys)
    print(f"metric {metric:8} {seen.results.success.sum()} of {len(episodes)} solved")
print(f"\n{'':22}{'metric l2':>18}{'metric critic':>18}\n{'':22}" + 2 * f"{'level 1':>9}{'level 2':>9}")
names = (
    "rank_correlation_map",
    "imagined_feasible",
    "subgoals_feasible",
    "subgoals_gain",
    "subgoals_reached",
)
for name in names:
    values = [column.get(name) for column in columns]
    print(f"{name:22}" + "".join("        -" if value is None else f"{value:9.2f}" for value in values))

# %% [markdown]
# Read it from the bottom. Subgoals that can be reached and are reached, and yet lead nowhere, are the mark of a bad cost:
# model and search do what they are told. Subgoals that cannot be reached would have been the mark of a bad upper
# level, and subgoals that are missed that of a bad lower one.
#
# - `03_how_many_levels` shows what both cures, a better cost and more levels, are worth on hundreds of episodes.
# - `hjepa plan --oracle none,dynamics,cost,subgoals:2 --diagnostics` runs the ladder for any stack and task.
