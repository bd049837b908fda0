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
# # Subgoal trajectories: what every level imagines
#
# A plan is a latent trajectory: vectors that nobody can read. This notebook makes them visible in three ways: on the
# floor plan, where a small probe reads the place out of a latent (the probe trains nothing and the planner never sees
# it); over time, level by level; and in the latent space itself, projected onto a plane.

# %%
# %matplotlib inline
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch

import hjepa
import tasks
from hjepa.agent.imagination import imagined_metrics
from hjepa.devices import fix_threads
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal, draw_path, legend_handles
from hjepa.figures.style import level_colour, time_colours, time_map
from hjepa.model.level_model import LevelModel
from planners.grounding import Unconstrained
from planners.protocols import Problem
from planners.rollouts import sample_rollout

fix_threads()
TASK, EPISODE = "hjepa/NestedRooms-d3-v0", 9
stack = hjepa.load_stack("told-nested-d3")
LEVELS = 3
# Not the critic, which knows the way to the goal: here the levels have to find it.
settings = replace(stack.config.plan, metric="imagined")
trace = hjepa.watch(stack, TASK, levels=LEVELS, episodes=EPISODE + 1, seed=0, settings=settings)
walls, start, goal = (
    trace.episodes.walls[EPISODE],
    trace.episodes.start[EPISODE],
    trace.episodes.goal[EPISODE],
)
print(f"{trace.results.steps[EPISODE]} steps walked, {trace.episodes.oracle_steps[EPISODE]} needed")

# %% [markdown]
# ## One episode, level by level
#
# The top level sees far and vaguely, level 1 near and exactly. A subgoal is *aligned in time*: it means "there, one
# stride from now", is compared with where the level below will be at that moment, and the stride is walked before the
# next one is set.

# %%
hjepa.figures.subgoals(trace, episode=EPISODE)

# %% [markdown]
# The first steps alone, where the plans do not lie on top of each other:

# %%
hjepa.figures.subgoals(trace, episode=EPISODE, start=0, stop=12)

# %% [markdown]
# And as a film with a slider: drag it, or step with the buttons. Lines are the plans that the levels follow at that
# moment.

# %%
hjepa.figures.player(trace, episode=EPISODE)

# %% [markdown]
# ## Take a level away
#
# The same weights, the same task, the same compute, fewer levels. What is missing is not knowledge of the world: level 1
# predicts as well as before. Missing is somebody who looks further than level 1 can. (This episode was chosen because one
# level does not arrive; in about half of the test episodes it does.) The lines move a little to the lower right as time goes
# on, so that a way walked twice can be seen.

# %%
figure, panels = plt.subplots(1, LEVELS, figsize=(4.1 * LEVELS, 4.6), layout="constrained")
limit = tasks.task_spec(TASK).step_budget
for count, panel in zip(range(1, LEVELS + 1), panels):
    seen = hjepa.watch(stack, TASK, levels=count, episodes=EPISODE + 1, seed=0, settings=settings)
    steps = int(seen.results.steps[EPISODE])
    path = seen.agent[EPISODE, : steps + 1, :2] + np.linspace(-0.25, 0.25, steps + 1)[:, None]
    draw_floor_plan(panel, walls)
    draw_path(panel, path, time_colours(np.arange(steps), 0, limit), width=2.5)
    draw_agent(panel, start, face="white")
    draw_goal(panel, goal)
    outcome = (
        f"arrives after {steps} steps"
        if seen.results.success[EPISODE]
        else f"stopped at the limit of {steps} steps"
    )
    panel.set_title(f"{count} level{'s' if count > 1 else ''}: {outcome}")
scale = plt.cm.ScalarMappable(plt.Normalize(0, limit), time_map())
figure.colorbar(scale, ax=list(panels), label="step of the episode", shrink=0.8)
ends = [handle for handle in legend_handles() if handle.get_label() in ("start", "goal")]
figure.legend(handles=ends, loc="outside lower center", ncols=2, frameon=False)
needed = trace.episodes.oracle_steps[EPISODE]
figure.suptitle(f"The same task with fewer levels: ways walked (shortest: {needed} steps)", fontweight="bold")
plt.show()

# %% [markdown]
# ## What a level believes it can do
#
# Before any goal comes in, each level has a *prior*: where trajectories tend to be, one of its steps later. Here 200 steps
# are drawn from each level's prior at the start, and read out as places. They should fill what can be reached within the
# span, and stop at walls. (What lies beyond a wall here is a place that search will find sooner or later. How often that
# happens is measured in `hjepa plan --diagnostics`.)

# %%
states, steps = tasks.cell_distances(walls)
here = int(np.flatnonzero((states == start).all(-1))[0])
figure, panels = plt.subplots(1, LEVELS, figsize=(4.1 * LEVELS, 4.9), layout="constrained")
with torch.no_grad():
    memories = stack.write(torch.from_numpy(trace.episodes.grid[EPISODE : EPISODE + 1]))
    latents = stack.encode(torch.from_numpy(start)[None, None], memories, upto=LEVELS)
    for k, panel in enumerate(panels):
        span = stack.config.spans[k]
        problem = Problem(latents[k][:, 0], memories[k], 1, Unconstrained(), torch.tensor([k]))
        drawn = sample_rollout(LevelModel(stack, k, 1.0), problem, 200).latents[0, :, 0]
        places = stack.probes[k].expected(drawn)
        draw_floor_plan(panel, walls)
        reachable = states[(steps[here] >= 0) & (steps[here] <= span)]
        panel.scatter(*reachable[:, :2].T, marker="s", s=95, color="#9FC5E8", zorder=1)
        panel.scatter(
            *(places + 0.12 * torch.randn(places.shape)).T,
            s=8,
            color=level_colour(k + 1),
            alpha=0.7,
            zorder=3,
        )
        draw_agent(panel, start, face="white")
        panel.set_title(f"level {k + 1}: {span} step{'s' if span > 1 else ''} from now")
looks = (
    ("place that can be reached in this time", "s", "#9FC5E8"),
    (
        "imagined place, in the level's colour (of 200; moved at random by about a tenth of a cell)",
        "o",
        "0.3",
    ),
)
marks = [
    plt.Line2D(
        [], [], linestyle="", marker=marker, color=colour, label=name, markersize=9 if marker == "s" else 4
    )
    for name, marker, colour in looks
]
figure.legend(handles=[legend_handles()[1], *marks], loc="outside lower center", ncols=3, frameon=False)
figure.suptitle("Where one step of each level leads, by its prior", fontweight="bold")
plt.show()

# %% [markdown]
# ## The latent space
#
# Every state of this floor plan (cell and heading), encoded by the top level and projected onto the two directions in
# which it varies most (of sixteen); colour is the true number of steps to the goal, bright near it. On the left as they
# are: states that lie close together on the map lie close together here, and a wall between them makes no difference.
# Plain distance would walk into it. On the right the same latents after the linear map of the *imagined* metric: level
# 1 has walked this floor plan in imagination, and directions that change slowly on such walks are stretched
# (`levels.metrics.commute_metric`). Now distance says how long it takes. The line is the way that the agent walked, the
# marks are the top level's first plan.

# %%
at = torch.from_numpy(np.stack([start, goal]))[None]
with torch.no_grad():
    everywhere = stack.encode(torch.from_numpy(states)[None], memories, upto=LEVELS)[-1][0]
    ends = stack.encode(at, memories, upto=LEVELS)
    walked = torch.from_numpy(trace.agent[EPISODE, : int(trace.results.steps[EPISODE]) + 1])
    way = stack.encode(walked[None], memories, upto=LEVELS)[-1][0]
part = stack.truncate(LEVELS)
models = [LevelModel(part, k, 1.0) for k in range(LEVELS)]
keys, walks = torch.tensor([EPISODE]), stack.config.plan.walks
stretch = imagined_metrics(part, models, ends[0], memories[:LEVELS], keys, walks)[-1][0]
target = int(np.flatnonzero((states == goal).all(-1))[0])
first = next(d for d in trace.decisions if d.level == LEVELS and EPISODE in d.rows.tolist())
plan = first.plan.latents[first.rows.tolist().index(EPISODE)]

figure, panels = plt.subplots(1, 2, figsize=(12.5, 6), layout="constrained")
for panel, matrix, name in zip(
    panels, (torch.eye(len(stretch)), stretch), ("as they are", "in the imagined metric")
):
    mapped = everywhere @ matrix
    centre = mapped.mean(0)
    _, spread, axes = torch.linalg.svd(mapped - centre, full_matrices=False)
    share = 100 * spread**2 / (spread**2).sum()
    flat = [((part @ matrix - centre) @ axes[:2].T).numpy() for part in (everywhere, way, plan, ends[-1][0])]
    dots = panel.scatter(*flat[0].T, c=steps[:, target], cmap=time_map().reversed(), s=9, alpha=0.8)
    panel.plot(*flat[1].T, color="0.3", linewidth=1.2, label="way walked")
    imagined = np.concatenate([flat[3][:1], flat[2]])
    panel.plot(
        *imagined.T, "o--", color=level_colour(LEVELS), linewidth=1.5, label=f"level {LEVELS}'s first plan"
    )
    look = {"markeredgecolor": "black", "linestyle": "", "zorder": 5}
    panel.plot(*flat[3][0], "D", color="white", markersize=9, label="start", **look)
    panel.plot(*flat[3][1], "*", color="crimson", markersize=17, label="goal", **look)
    panel.set(
        xlabel=f"first direction ({share[0]:.0f} % of the variance)",
        ylabel=f"second direction ({share[1]:.0f} %)",
        title=f"latents {name}",
        aspect="equal",
        adjustable="datalim",
    )
figure.colorbar(dots, ax=list(panels), label="true steps to the goal")
handles, names = panels[0].get_legend_handles_labels()
figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
figure.suptitle("All states of the floor plan in the top level's latent space", fontweight="bold")
plt.show()

# %% [markdown]
# ## How well do subgoals do their work?
#
# `diagnostics` measures it against the truth, per level: could a subgoal be reached in its stride at all, how much closer
# to the goal was it (1 would be a whole stride closer), and did the agent stand there when it was due?

# %%
record = hjepa.evaluate(stack, TASK, levels=LEVELS, episodes=20, seed=0, settings=settings, diagnostics=True)
for name in ("imagined_feasible", "subgoals_feasible", "subgoals_gain", "subgoals_reached"):
    values = [level.get(name) for level in record["diagnostics"]]
    print(f"{name:20}", *["   -  " if value is None else f"{value:6.2f}" for value in values])
