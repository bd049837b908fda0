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
# # Quickstart: load a stack, plan, watch
#
# A *stack* is several world models on top of each other. Level 1 predicts what one action does; level 2 predicts
# what four steps can do; level 3 what eight can. None of them predicts images: each works in a *latent space*, a
# short vector per moment. Nobody told them about rewards or goals. They learned from trajectories, which an explorer that
# knows the way made with some noise. Their perception is *told*: coordinates and the grid are handed over, and the upper
# levels here share level 1's latent (`hjepa/published/told.md`).
#
# A goal is one more observation. To get there, the top level looks for a few large steps that end at the goal, and
# hands the first of them down as a *subgoal*. The level below looks for smaller steps that meet the subgoal on time.
# Level 1 walks. When a stride is walked, the level above thinks again.
#
# This notebook loads a stack that ships with the project and lets it plan on a floor plan it has never seen, of the
# generator that also drew those it was trained on.

# %%
# %matplotlib inline
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import hjepa
import tasks
from hjepa.devices import fix_threads
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal

fix_threads()  # one thread is fastest for models this small, and gives everyone the same bits
TASK = "hjepa/NestedRooms-d3-v0"
stack = hjepa.load_stack("told-nested-d3")
for number, (level, span) in enumerate(zip(stack.config.levels, stack.config.spans), 1):
    print(
        f"level {number}: one of its steps is {span} of the world's; a latent has {level.latent_dim} numbers"
    )

# %% [markdown]
# ## The task
#
# Rooms within rooms. At every nesting level there is exactly one door between neighbouring quarters, so the way between
# far rooms is rarely the straight one. The agent (a triangle) turns left, turns right, or walks forward; a turn costs a
# step too. `far` tasks start and end in diagonally opposite quarters. Floor plans of the test split were never in
# training.

# %%
episodes = tasks.sample_episodes(TASK, "test", "far", episodes=4, seed=0)
figure, panels = plt.subplots(1, 4, figsize=(13, 3.8), layout="constrained")
for panel, walls, start, goal, steps in zip(
    panels, episodes.walls, episodes.start, episodes.goal, episodes.oracle_steps
):
    draw_floor_plan(panel, walls)
    draw_agent(panel, start)
    draw_goal(panel, goal)
    panel.set_title(f"shortest way: {steps} steps")
figure.suptitle("Four test tasks: from the triangle to the star", fontweight="bold")
plt.show()

# %% [markdown]
# ## Plan, and watch
#
# What counts as near the goal is the metric's to say. Here it is `imagined`: before the first step, level 1 walks the
# floor plan in imagination, and distance is how long such walks take from one latent to the other.
#
# `hjepa.watch` plans a few episodes and keeps everything that was imagined on the way.

# %%
settings = replace(stack.config.plan, metric="imagined")
trace = hjepa.watch(stack, TASK, levels=3, episodes=4, seed=0, settings=settings)
for number in range(4):
    solved = "solved" if trace.results.success[number] else "not solved"
    print(
        f"episode {number}: {solved} in {trace.results.steps[number]} steps;"
        f" the shortest way has {episodes.oracle_steps[number]}"
    )

# %% [markdown]
# One episode in one picture. Each panel belongs to a level, the coarsest first. A line starts where the agent stood when
# the level planned, and runs through the places it imagined; the large mark is the first of them, the subgoal that the
# level below has to meet. Colour is time.

# %%
episode = int(np.flatnonzero(trace.results.success)[0])
hjepa.figures.subgoals(trace, episode=episode)

# %% [markdown]
# The same as a film: the agent walks, and the plan that each level follows at that moment is drawn in the level's colour.

# %%
hjepa.figures.player(trace, episode=episode)

# %% [markdown]
# ## Does the hierarchy matter?
#
# `levels` says how many levels may be used; `stack.truncate(n)` is the same thing. All agents get the same compute per
# episode. Twenty tasks are few: look at the intervals. One level here is level 1 of the stack, which imagines 8 steps, and
# no fair flat agent: the one that was trained and tuned for itself is in `03_how_many_levels` and in the cards under
# `hjepa/published`.
#
# It depends on the metric. These weights also hold a `critic`, a small network that reads off the floor plan how many
# steps are left. With it, and without `settings`, one level is enough here: who knows the way need not look far ahead.
# It is a map of values over the grid, and to step down it needs no world model at all (`--planner value-map`).

# %%
records = [hjepa.evaluate(stack, TASK, levels=n, episodes=20, seed=0, settings=settings) for n in (1, 2, 3)]
for record in records:
    low, high = record["success_ci95"]
    print(
        f"{record['levels']} level(s): {100 * record['success_rate']:.0f} % solved"
        f" (95 % interval {100 * low:.0f} to {100 * high:.0f}),"
        f" {1e3 * record['tflops_per_episode']:.1f} GFLOP an episode"
    )
print(f"a random policy: {100 * records[0]['random_success_rate']:.0f} %")

# %%
hjepa.figures.success_by_levels(records)

# %% [markdown]
# ## An agent in your own loop
#
# `hjepa.Agent` acts in anything that shows it symbolic images of the right size: here, in MiniGrid's own environment class
# with any of its wrappers and renderers. `begin` perceives the floor plan once, `act` is asked once per step.

# %%
import gymnasium
import torch
from minigrid.wrappers import FullyObsWrapper

spec = tasks.task_spec(TASK)
agent = hjepa.Agent(
    stack, spec.step_budget, hjepa.AgentOptions(levels=3, budget_tflops=spec.default_budget_tflops)
)
env = FullyObsWrapper(gymnasium.make(TASK, split="test"))
observation, info = env.reset(seed=1)
print("what an observation holds:", sorted(observation), observation["image"].shape)

# %%
one = tasks.sample_episodes(TASK, "test", episodes=1, seed=3)
world = tasks.make_batched(spec, 1)
observation, _ = world.reset(options={"episodes": one})
running = agent.begin(observation, one.goal_observation, keys=torch.tensor([3]))
walked, arrived, over = 0, False, False
while not over:
    observation, _, terminated, truncated, _ = world.step(agent.act(running, observation))
    walked, arrived, over = walked + 1, bool(terminated[0]), bool(terminated[0] or truncated[0])
print("arrived" if arrived else "gave up", "after", walked, "steps; shortest:", one.oracle_steps[0])

# %% [markdown]
# ## How to go on
#
# - `02_subgoal_trajectories`: what each level imagines, over time and in its latent space.
# - `hjepa plan --checkpoint told-nested-d3 --task hjepa/NestedRooms-d3-v0 --json results.json`: a whole evaluation.
# - `hjepa fit --preset told-nested-d3 ...`: train a stack like this one.
