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
# **Question.** An agent does not arrive. Is it the *cost*, which says how far an imagined latent is from the goal; the *model*, which
# imagines it; or the *search*, which looks for actions of low cost?
#
# **Answer.** Here mostly the cost. Of 12 episodes on 4 x 4 rooms two levels solve 9 under plain distance (`l2`) and 12 under the critic. In a failing one, taken
# apart at the end, the true dynamics in the model's place change nothing; the true cost, true subgoals or either better metric bring the
# agent to the goal.
#
# To see that, this notebook draws what each cost says of every cell, follows gradients down it, puts the truth in the place of
# one part after the other (the *oracle ladder*), and takes the failing episode apart. A level is *skipped* while the goal is
# nearer than one of its own steps: it passes the goal down and makes no plan. The weights, `told-nested-d3`, are told coordinates and the
# grid, so that perception is not among the suspects.

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
from hjepa.agent.imagination import imagined_metrics
from hjepa.devices import fix_threads
from hjepa.evaluation.diagnostics import diagnose
from hjepa.evaluation.evaluate import make_agent, play
from hjepa.evaluation.records import pooled, read_records
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal
from hjepa.figures.groups import METRIC_COLOURS, METRIC_MARKERS, grouped, levels_name
from hjepa.figures.style import INK, level_colour, plain_axes
from hjepa.model.level_model import LevelModel
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
stack = hjepa.load_stack("told-nested-d3")
config = stack.config
episodes = tasks.sample_episodes(TASK, "test", episodes=12, seed=0)

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
# None of them was told about walls or doors. Below, how far every cell is from the goal by each of them. The number is the
# rank correlation with the true steps: at 1 the landscape orders all cells as the shortest path does. A squared distance
# has no unit, so each of these maps has a scale of its own; the critic and the truth count steps, on one scale. All levels of
# this stack share one latent, so one picture holds for each of them.

# %% jupyter={"source_hidden": true}
EPISODE = 0
grid, goal = episodes.grid[EPISODE], episodes.goal[EPISODE]


def draw_energy(panel, energy, least=None, most=None, grey="#C4C4C4"):
    """A landscape (W, H) as a heat map, walls grey."""
    colours = plt.get_cmap("viridis_r").with_extremes(bad=grey)
    image = panel.imshow(np.ma.masked_invalid(energy.T), cmap=colours, vmin=least, vmax=most)
    panel.set(xticks=[], yticks=[])
    return image


def mark(label, marker, face="white", size=12.0, edge="black"):
    """An entry of a key."""
    return plt.Line2D(
        [], [], linestyle="", marker=marker, color=face, markeredgecolor=edge, markersize=size, label=label
    )


KEY = {
    "start": mark("start", ">", size=10),
    "goal": mark("goal", "*", size=14),
    "wall": mark("wall", "s", "#C4C4C4"),
}

maps = {metric: hjepa.figures.landscape(stack, grid, goal, 1, metric) for metric in METRIC_COLOURS}
truth = maps["critic"].path
most = max(np.nanmax(truth), np.nanmax(maps["critic"].energy))
figure, panels = plt.subplots(1, 5, figsize=(15.5, 4.9), layout="constrained")
for panel, (metric, found) in zip(panels, maps.items()):
    shared = (0, most) if metric == "critic" else (None, None)
    bar = figure.colorbar(draw_energy(panel, found.energy, *shared), ax=panel, location="bottom", shrink=0.85)
    bar.set_label("steps to go" if metric == "critic" else "squared distance")
    panel.set_title(f"metric {metric}\nrank correlation {found.rank_correlation:.2f}")
bar = figure.colorbar(draw_energy(panels[-1], truth, 0, most), ax=panels[-1], location="bottom", shrink=0.85)
bar.set_label("steps, turns counted")
panels[-1].set_title("the truth\n(shortest path)")
for panel in panels:
    draw_goal(panel, goal, size=15, face="white")
figure.legend(handles=[KEY["goal"], KEY["wall"]], loc="outside lower center", ncols=2, frameon=False)
figure.suptitle("How far is every cell from the goal? Bright: near, dark: far", fontweight="bold")
plt.show()

# %% [markdown]
# ## The same landscape, level by level
#
# What differs from level to level is how far one plan reaches: the horizon times the span. A plan can only end where it
# reaches, and a perfect search ends it at the least energy in there (the cross). In plain distance, a short reach holds only the near side of a wall: the best place is in front of it, and
# after the next plan it still is. That is a *local minimum*, and it is one of the cost. There are two ways out: reach
# further, as upper levels do, or a cost without it.

# %% jupyter={"source_hidden": true}
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
figure, panels = plt.subplots(2, stack.depth, figsize=(3.6 * stack.depth, 8.3), layout="constrained")
for row, metric in zip(panels, ("l2", "critic")):
    for k, panel in enumerate(row):
        energy = hjepa.figures.landscape(stack, grid, goal, k + 1, metric).energy
        inside = away <= reach[k]
        image = draw_energy(panel, energy)
        image.set_alpha(np.where(inside | np.isnan(energy), 1.0, 0.3).T)
        outline(panel, inside, level_colour(k + 1))
        best = np.unravel_index(np.nanargmin(np.where(inside, energy, np.nan)), energy.shape)
        draw_agent(panel, start, face="white")
        panel.plot(*best, "X", color="black", markersize=16, markeredgecolor="white", markeredgewidth=1.5)
        draw_goal(panel, goal, size=13, face="white")
        left = int(hjepa.figures.landscape(stack, grid, goal, 1, "l2").path[best])
        panel.set_title(
            f"level {k + 1} reaches {reach[k]} steps", color=level_colour(k + 1), fontweight="bold"
        )
        panel.set_xlabel(
            f"from the cross still {left} steps to the goal" if left else "the cross is at the goal"
        )
    row[0].set_ylabel(f"metric {metric}", fontsize=13)
    scale = plt.cm.ScalarMappable(image.norm, image.cmap)
    bar = figure.colorbar(
        scale, ax=list(row), shrink=0.85, pad=0.01, ticks=[np.nanmin(energy), np.nanmax(energy)]
    )
    bar.ax.set_yticklabels(["near", "far"])
cross = mark("where a perfect search ends one plan: the least energy in the frame", "X", "black", 14, "white")
frame = plt.Line2D(
    [], [], color=INK, linewidth=2.2, label="frame: what one plan reaches (pale: out of reach)"
)
figure.legend(handles=[*KEY.values(), cross, frame], loc="outside lower center", ncols=5, frameon=False)
figure.suptitle(
    "How far one plan of each level gets with a perfect search. From the start to the goal it is"
    f" {episodes.oracle_steps[EPISODE]} steps",
    fontweight="bold",
)
plt.show()

# %% [markdown]
# Is this episode typical? Let a perfect search walk on every floor plan of twelve test episodes: hop to the least energy within
# reach, again and again. From which share of all states does it end at the goal? What is missing to 100 % is the fault of
# the cost alone: neither the model nor the search is in this figure.


# %% jupyter={"source_hidden": true}
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


share = {metric: np.zeros((len(episodes), len(reach))) for metric in METRIC_COLOURS}
for number in range(len(episodes)):
    own_states, own_steps = tasks.cell_distances(episodes.walls[number], any_heading=False)
    for metric in METRIC_COLOURS:
        energy = energies(number, metric)
        for k, ahead in enumerate(reach):
            share[metric][number, k] = arrives(energy, own_states, own_steps, episodes.goal[number], ahead)

figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
plain_axes(axes)
for place, (metric, colour) in enumerate(METRIC_COLOURS.items()):
    shift = 0.04 * (place - 1.5)
    spread = share[metric].std(0) / np.sqrt(len(episodes))
    axes.errorbar(
        np.arange(len(reach)) + shift, share[metric].mean(0), spread,
        fmt=f"{METRIC_MARKERS[metric]}-", color=colour, capsize=3, markersize=8, label=f"metric {metric}",
    )  # fmt: skip
axes.set_xticks(range(len(reach)), [f"{ahead}\n(level {k + 1})" for k, ahead in enumerate(reach)])
axes.set_yticks(np.linspace(0, 1, 6), [f"{p} %" for p in range(0, 101, 20)])
axes.set(xlabel="steps within reach of one plan", ylabel="states from which it arrives", ylim=(-0.03, 1.05))
axes.legend(loc="lower right", title=f"bars: standard error over {len(episodes)} floor plans")
axes.set_title("From how many states a perfect search arrives, by metric and reach", fontweight="bold")
plt.show()

# %% [markdown]
# ## Where gradient descent goes
#
# Now a real search: level 1 alone, eight steps. Sixteen plans are drawn from the level's prior (thin lines); Adam then
# descends on their actions (thick lines). A one-hot action is a corner of a simplex: gradients go through the softmax,
# and the model always sees a corner. The cross is the least energy among all states that can truly be reached in eight
# steps. Where a thick line comes to the cross, the search has done what it can; what is wrong with that place is wrong with
# the cost. Lines are shifted a little, so that all can be seen.

# %% jupyter={"source_hidden": true}
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


AFTER = {"color": level_colour(1), "linewidth": 2.4}
BEFORE = {"color": "0.25", "linewidth": 0.9}
WIDE, HIGH = 10, 8  # cells that are shown, from the corner of the map where the agent starts
figure, panels = plt.subplots(1, 3, figsize=(14, 6.2), layout="constrained")
for panel, metric in zip(panels, ("l2", "imagined", "critic")):
    energy = maps[metric].energy
    near = energy[:WIDE, :HIGH]
    image = draw_energy(panel, energy, np.nanmin(near), np.nanmax(near))
    image.set_alpha(0.5)
    bar = figure.colorbar(
        image, ax=panel, location="bottom", shrink=0.6, ticks=[np.nanmin(near), np.nanmax(near)]
    )
    bar.ax.set_xticklabels(["near the goal", "far"])
    problem = problem_of(EPISODE, metric, seed=1)
    before, after, drawn_cost, cost = descend(problem, iterations=16)
    jitter = np.random.default_rng(0)
    for trajectory, look in ((after, AFTER), (before, BEFORE)):
        for places in read(trajectory.latents[0]):
            line = np.vstack([start[:2], places]) + jitter.uniform(-0.25, 0.25, 2)
            panel.plot(*line.T, alpha=0.8, **look)
    floor, place = least(EPISODE, metric)
    panel.set(xlim=(-0.5, WIDE - 0.5), ylim=(HIGH - 0.5, -0.5))
    panel.plot(*place, "X", color="black", markersize=17, markeredgecolor="white", zorder=8)
    draw_agent(panel, start, face="white")
    panel.set_title(
        f"metric {metric}\nenergy of the best plan: {drawn_cost:.0f} as drawn, {cost:.0f} after Adam\n"
        f"least that can truly be reached: {floor:.0f}",
        fontsize=11,
    )
lines = [
    plt.Line2D([], [], **BEFORE, label="plan as drawn"),
    plt.Line2D([], [], **AFTER, label="after 16 steps of Adam"),
]
cross = mark("least energy within eight true steps", "X", "black", 14, "white")
figure.legend(
    handles=[*lines, cross, KEY["start"], KEY["wall"]], loc="outside lower center", ncols=5, frameon=False
)
figure.suptitle(
    "Sixteen plans of level 1, eight steps long, before and after gradient descent\n"
    "(a part of the map; the goal lies beyond, to the lower right)",
    fontweight="bold",
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


# %% jupyter={"source_hidden": true}
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
    looks = {"as level 1 imagined it": ("o-", level_colour(1)), "in truth": ("s--", INK)}
    for values, (name, (style, colour)) in zip(relative, looks.items()):
        spread = values.std(0) / np.sqrt(len(values))
        panel.errorbar(
            range(len(rounds)), values.mean(0), spread, fmt=style, color=colour, capsize=3, label=name
        )
    panel.set_xticks(range(len(rounds)), rounds)
    panel.set(xlabel="steps of Adam", title=f"metric {metric}")
panels[0].set_ylabel("energy of the best plan /\nleast that can truly be reached")
panels[0].legend()
panels[2].annotate(
    "1: the least that can truly be reached",
    (0, 1),
    (0, -5),
    textcoords="offset points",
    va="top",
    color="0.3",
)
figure.suptitle(
    f"What gradient descent finds, imagined and true (bars: standard error over {len(episodes)} episodes)",
    fontweight="bold",
)
plt.show()

# %% [markdown]
# ## Two ways round, found from different starts of the search
#
# Rooms around a crossing can be walked round either way. Below are a start and a goal between which both ways are equally
# long (found with the true distances, which the agent never sees). Level 2 plans sixty times, with nothing changed but the
# random key of its proposals, in the metric `critic`. A search that keeps only the one best plan hides that there were two;
# many starts find both, and at nearly the same cost. Gradient descent alone would not go from one to the other: between
# them stands a wall.


# %% jupyter={"source_hidden": true}
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
around = np.vstack([start[:2], goal[:2], sides])
(left_end, top), (right_end, bottom) = around.min(0) - 3.5, around.max(0) + 3.5
panels[0].set(xlim=(max(left_end, -0.5), right_end), ylim=(bottom, max(top, -0.5)))
plain_axes(panels[1], "x")
for way, (name, colour, marker) in enumerate(
    (("one way", level_colour(2), "o"), ("the other way", INK, "s"))
):
    jitter = np.random.default_rng(way)
    own = np.flatnonzero(arrived & (side == way))
    for plan in own:
        line = np.vstack([start[:2], places[plan, : left[plan].argmin() + 1]])
        line[1:] += jitter.uniform(-0.18, 0.18, (len(line) - 1, 2))
        panels[0].plot(*line.T, f"{marker}-", color=colour, linewidth=1.2, markersize=5, alpha=0.5)
    costs = plans.cost.numpy()[own]
    panels[1].plot(costs, way + jitter.uniform(-0.2, 0.2, len(own)), marker, color=colour, alpha=0.6)
    if len(own):
        print(f"{name}: {len(own)} plans, the best costs {costs.min():.2f}")
draw_agent(panels[0], start, face="white")
draw_goal(panels[0], goal, size=16)
panels[0].set_title(f"A part of the map: from the triangle to the star,\nboth ways take {length} steps")
panels[0].set_xlabel(f"{(~arrived).sum()} of {tries} plans end elsewhere (not drawn)")
panels[1].set_yticks([0, 1], ["one way\n(circles)", "the other way\n(squares)"])
panels[1].set(xlabel="cost of the plan", xlim=(0, None), ylim=(1.6, -0.6))
panels[1].set_title("What they cost: one mark per plan,\neach from a random key of its own")
figure.suptitle(f"One problem, two good plans (of level {k + 1})", fontweight="bold")
plt.show()

# %% [markdown]
# ## The oracle ladder
#
# Which part holds an agent back? Replace one part by the truth, keep the rest, and plan the same episodes. What helps
# most is the part to mend.
#
# - *As it is*: the agent itself, with nothing replaced.
# - *True dynamics*: every imagined step is the true one. It can only help if the *model* is at fault.
# - *True cost*: distances are the true numbers of steps. It helps if the *cost* is at fault.
# - *True subgoals of level k*: level k always sets the state that is one stride ahead on a shortest path. It helps if what
#   comes from *above* is at fault; what is still missing then is the fault of the levels below.
# - *Random subgoals*: from nowhere, as a floor.
#
# These are the published runs (`hjepa plan --oracle`); the commands are in their cards. A rung that was not run is listed, and
# says so. A ratio of steps is over the tasks that a rung solved, so a rung that solves harder ones can look longer.


# %% jupyter={"source_hidden": true}
def rungs_of(levels):
    """Every rung for an agent with so many levels: its oracle, and in words."""
    above = {f"subgoals:{levels}": f"true subgoals of level {levels}", "random-subgoals": "random subgoals"}
    parts = {None: "as it is", "dynamics": "true dynamics", "cost": "true cost"}
    return parts | above if levels > 1 else parts


def rows_of(ladder):
    """(levels, words, record or None if it was not run), from the top; subgoals of level k come with k levels."""
    run = {key: pooled(parts) for key, parts in grouped(ladder, ("levels", "oracle")).items()}
    whole = {levels for levels, oracle in run if oracle is None}
    for levels in sorted({levels for levels, _ in run}, reverse=True):
        for oracle, words in rungs_of(levels).items():
            if levels in whole or (levels, oracle) in run:
                yield levels, words, run.get((levels, oracle))


def draw_ladder(panels, rows, colour, marker):
    """Success on the left, path / shortest on the right; dotted: the agent as it is, with as many levels."""
    bases = {levels: record for levels, words, record in rows if words == "as it is"}
    for place, (levels, _, record) in enumerate(rows):
        base = bases.get(levels)
        for panel, name, scale in ((panels[0], "success_rate", 100), (panels[1], "path_ratio", 1)):
            if base is not None and base[name] is not None:
                ends = [place - 0.5, place + 0.5]
                panel.plot([scale * base[name]] * 2, ends, ":", color="0.4", linewidth=1.3, zorder=1)
        if record is None:
            panels[0].text(1, place, "not run", va="center", color="0.35", style="italic")
            continue
        rate, (low, high) = record["success_rate"], record["success_ci95"]
        look = {"color": colour, "marker": marker, "markersize": 9, "clip_on": False}
        look["markerfacecolor"] = "white" if record is base else colour
        panels[0].errorbar(
            100 * rate, place, xerr=[[100 * (rate - low)], [100 * (high - rate)]], capsize=3, **look
        )
        if record["path_ratio"] is None:
            panels[1].text(1.01, place, "none solved", va="center", color="0.35", style="italic")
        else:
            panels[1].plot(record["path_ratio"], place, **look)
            text = f"{record['path_ratio']:.2f}"
            panels[1].annotate(text, (record["path_ratio"], place), (9, -4), textcoords="offset points")


ladders = {}
for card in sorted(files("hjepa").joinpath("published").iterdir(), key=lambda card: card.name):
    if card.joinpath("ladder.json").is_file():
        records = read_records(str(card.joinpath("ladder.json")))
        for (metric, *_), ladder in grouped(records, ("metric", "planner", "budget_tflops")).items():
            ladders[card.name, metric] = list(rows_of(ladder))
heights = [len(rows) for rows in ladders.values()]
figure, grid_of_panels = plt.subplots(
    len(ladders), 2, figsize=(12.5, 0.42 * sum(heights) + 1.4 * len(heights) + 0.4), sharey="row", squeeze=False,
    height_ratios=heights, layout="constrained",
)  # fmt: skip
for ((name, metric), rows), panels in zip(ladders.items(), grid_of_panels):
    for panel in panels:
        plain_axes(panel, "x")
    draw_ladder(panels, rows, METRIC_COLOURS[metric], METRIC_MARKERS[metric])
    one = next(record for *_, record in rows if record)
    panels[0].set_yticks(range(len(rows)), [f"{levels_name(levels)}, {words}" for levels, words, _ in rows])
    panels[0].set(xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5), xlabel="success, % (bars: 95 % interval)")
    panels[1].set(
        xlim=(1, max(1.5, 1.08 * panels[1].get_xlim()[1])),
        xlabel="steps walked / shortest path (1: shortest)",
    )
    panels[0].set_title(f"{name}, metric {metric}: {one['episodes']} {one['split']} tasks", loc="left")
figure.suptitle(
    "One part replaced by the truth at a time (open and dotted: the agent as it is)", fontweight="bold"
)
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
    agent = make_agent(
        stack, spec, hjepa.AgentOptions(levels=2, settings=replace(config.plan, metric=metric), record=True)
    )
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
# counts (the true steps to the goal). Where the first is low while the second is not, the agent is in a valley of the
# cost. The third curve is what the critic would have said at the same places.

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
upper.plot(said["l2"], color=METRIC_COLOURS["l2"], linewidth=2)
upper.set(ylabel="squared distance", ylim=(0, None))
upper.set_title("What the agent minimised: the plain distance to the goal", loc="left")
lower.plot(true[tuple(walked.T)], color="0.6", linewidth=3, label="true steps to the goal")
critic_look = {"color": METRIC_COLOURS["critic"], "linewidth": 1.3, "linestyle": "--"}
lower.plot(said["critic"], label="what the critic would have said", **critic_look)
lower.set(xlabel="step of the episode", ylabel="steps to the goal", ylim=(0, None))
lower.set_title("What counts: the true number of steps", loc="left")
lower.legend()
figure.suptitle(f"Episode {failed}, not solved: two levels, metric l2", fontweight="bold")
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
    parts = {"levels": 2, "settings": plain} | change
    oracle = parts.pop("oracle", None)
    agent = make_agent(stack, spec, hjepa.AgentOptions(**parts), oracle)
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
