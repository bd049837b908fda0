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
# # Quickstart: load a stack, plan, watch
#
# **Question.** What is a hierarchical world model, and how does one get it to act?
#
# **Answer.** A *stack* is several world models on top of each other. Level 1 predicts what one action does, level 2 what four steps can do, level 3 what eight can. None of
# them predicts pictures: each works in a *latent space*, a short vector per moment. They learned from trajectories, without rewards or goals. Three lines load a stack that ships with the
# project, plan a task on a floor plan that it has never seen, and draw what it imagined:
#
# ```python
# stack = hjepa.load_stack("nested-d3")
# trace = hjepa.watch(stack, "hjepa/NestedRooms-d3-v0", levels=3, budget_tflops=0.02)
# hjepa.figures.subgoals(trace)
# ```
#
# A goal is one more observation. To get there, the top level looks for a few large steps that end at the goal, and hands the first of them down as a *subgoal*. The level below looks for smaller
# steps that meet the subgoal on time, and level 1 walks. When a stride is walked, the level above thinks again. This stack sees the symbols of a picture and is told nothing: no coordinate, no map of walls.

# %%
# %matplotlib inline
from dataclasses import replace

import matplotlib.pyplot as plt
import torch

import hjepa
import tasks
from hjepa.devices import fix_threads
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal, legend_handles

fix_threads()  # one thread is fastest for models this small, and gives everyone the same bits
TASK, TFLOP = "hjepa/NestedRooms-d3-v0", 0.02  # 20 GFLOP of planning an episode at most
stack = hjepa.load_stack("nested-d3")
for number, (level, span) in enumerate(zip(stack.config.levels, stack.config.spans), 1):
    print(f"level {number}: one of its steps is {span} of the world's; a latent has {level.latent_dim} numbers")

# %% [markdown]
# ## The task
#
# Rooms within rooms. Between neighbouring quarters there is exactly one door, at every size of quarter, so the way between far rooms is rarely the straight one. The agent
# turns left, turns right, or walks forward; a turn costs a step too. Floor plans of the test split were never in training; the generator is the same.

# %%
episodes = tasks.sample_episodes(TASK, "test", episodes=4, seed=0)
figure, panels = plt.subplots(1, 4, figsize=(13, 4.0), layout="constrained")
for number, panel in enumerate(panels):
    draw_floor_plan(panel, episodes.walls[number])
    draw_agent(panel, episodes.start[number], face="white")
    draw_goal(panel, episodes.goal[number])
    panel.set_title(f"shortest way: {episodes.oracle_steps[number]} steps")
marks = legend_handles(walked=False)
figure.legend(handles=[marks[0], marks[2]], loc="outside lower center", ncols=2, frameon=False)
figure.suptitle("Four test tasks", fontweight="bold")
plt.show()

# %% [markdown]
# ## Plan, and watch
#
# What counts as near the goal is the metric's to say. Here it is `imagined`: before the first step, level 1 walks the floor plan in imagination, and distance is how long such walks take
# from one latent to the other. `hjepa.watch` plans the first episodes and keeps everything that was imagined on the way.

# %%
settings = replace(stack.config.plan, metric="imagined", block=1)  # block: episodes that are planned together
trace = hjepa.watch(stack, TASK, levels=3, episodes=1, seed=0, settings=settings, budget_tflops=TFLOP)
solved = "solved" if trace.results.success[0] else "not solved"
print(f"{solved} in {trace.results.steps[0]} steps; the shortest way has {trace.episodes.oracle_steps[0]}")

# %% [markdown]
# The episode in one picture. Each panel belongs to a level, the highest first. A line starts where the agent stood when the level planned and runs through the places it imagined; the
# numbered circle is the first of them, the subgoal that the level below has to meet. Colour says which level, lightness when: light is early, dark is late. Plans above level 1 are
# dashed: they join places many steps apart, so lines may cross walls.
#
# A cross in the timeline means that the level was **skipped**: the goal was nearer than one of its own steps. A level so coarse cannot help any more, and hands
# the goal itself to the level below.

# %%
hjepa.figures.subgoals(trace, task=TASK)

# %% [markdown]
# The same as a film: the agent walks, and the plan that each level follows at that moment is drawn in the level's colour.

# %%
hjepa.figures.player(trace)

# %% [markdown]
# ## Does the hierarchy matter?
#
# `levels` says how many levels may be used; `stack.truncate(n)` is the same thing. All agents get the same compute per episode. Sixteen tasks are few: look at the
# intervals. One level is level 1 of the stack, whose plans (16 steps) were tuned for it alone, as `plan.flat` in the settings says; those of two and three levels were not.
#
# It depends on the metric. These weights also hold a `critic`, a small network that reads off the picture how many steps are left. With it, and without `settings`, one level
# solves 100.0 % of 600 test tasks and three 100.0 % (`hjepa/published/nested-d3/card.md`): who knows the way need not look far ahead. Under `imagined` upper levels
# have a price: ways are longer, because subgoals are not exact. `04_inside_the_costs` shows why.

# %%
settings = replace(settings, block=16)
records = [
    hjepa.evaluate(stack, TASK, levels=levels, episodes=16, seed=0, settings=settings, budget_tflops=TFLOP)
    for levels in (1, 2, 3)
]
for record in records:
    low, high = record["success_ci95"]
    print(
        f"{record['levels']} level{'s' * (record['levels'] > 1)}: {100 * record['success_rate']:.0f} % solved"
        f" (95 % interval {100 * low:.0f} to {100 * high:.0f}), ways {record['path_ratio']:.2f} times the shortest,"
        f" {1e3 * record['tflops_per_episode']:.1f} GFLOP an episode"
    )
print(f"a random policy: {100 * records[0]['random_success_rate']:.0f} %")
hjepa.figures.success_by_levels(records)

# %% [markdown]
# ## An agent in your own loop
#
# `hjepa.Agent` acts in anything that shows it symbolic pictures of the right size. `begin` looks at the world once, `act` is asked once per step; here several tasks could run at the same time,
# and one does. It plans with the metric that the weights come with, the critic.

# %%
spec = tasks.task_spec(TASK)
agent = hjepa.Agent(stack, spec.step_budget, hjepa.AgentOptions(levels=2, budget_tflops=TFLOP))
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
# MiniGrid's own environment class, with any of its wrappers and renderers, shows the same observations:

# %%
import gymnasium
from minigrid.wrappers import FullyObsWrapper

env = FullyObsWrapper(gymnasium.make(TASK, split="test"))
observation, info = env.reset(seed=1)
print("what an observation holds:", sorted(observation), observation["image"].shape)

# %% [markdown]
# ## How to go on
#
# - `02_subgoal_trajectories`: what each level imagines, over time and in its latent space.
# - `hjepa plan --checkpoint nested-d3 --task hjepa/NestedRooms-d3-v0 --budget-tflops 0.02 --json results.json`: a whole evaluation.
# - `hjepa fit --preset nested-d3 ...`: train a stack like this one (the card has the commands).
