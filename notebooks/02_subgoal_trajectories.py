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
# # Subgoal trajectories: what does every level imagine?
#
# **Question.** A plan is a row of latent vectors that nobody can read. What do the levels imagine while they plan, and what do upper levels see that level 1 does not?
#
# **Answer.** Upper levels imagine a few places far ahead, some through walls, and level 1 every step of the way to the first of them. On the task below the shortest way has 23
# steps; one level, tuned for itself, arrives in 43, with two levels the same weights need 36, with three 31. Upper levels need not be exact: a subgoal is only
# kept for one stride, then there is a new one.
#
# A latent is made visible in three ways: as a place, which a small probe reads out (it trains nothing, and the planner never sees it); over time; and on a plane
# through the latent space. The weights, `nested-d3`, see the symbols of a picture and are told nothing; only section 3, on larger rooms, takes weights that
# are told coordinates and the grid.

# %%
# %matplotlib inline
from dataclasses import replace

from IPython.display import Markdown

import hjepa
from hjepa.devices import fix_threads
from hjepa.figures.latent_plane import latent_planes
from hjepa.figures.prior_map import prior_map
from hjepa.figures.ways import ways_walked

fix_threads()
TASK, SEED, METRIC = "hjepa/NestedRooms-d3-v0", 23, "imagined"


def watch(weights, task, levels, seed, gflop):
    stack = hjepa.load_stack(weights)
    # Not the critic, which knows the way: here the levels have to find it. One task is a block of its own.
    settings = replace(stack.config.plan, metric=METRIC, block=1)
    return hjepa.watch(stack, task, levels=levels, seed=seed, settings=settings, budget_tflops=gflop / 1000)


traces = {levels: watch("nested-d3", TASK, levels, SEED, 20) for levels in (1, 2, 3)}

# %% [markdown]
# ## 1. One episode, level by level
#
# Each panel is a level, the highest first. A line starts where the agent stood when the level planned. The large circle is the first place it imagined: the *subgoal* that the
# level below has to meet. A subgoal means "there, one stride from now": it is compared with where the level below will be at that moment. When the stride is walked, the
# level above thinks again.
#
# Colour says which level, lightness when: light is early in the episode, dark is late. Plans above level 1 are dashed, for they join places many steps apart, with nothing imagined
# between them, and may so cross walls.
#
# **A cross in the timeline: the level was skipped.** It planned and found the goal nearer than its own next step. A stride is too coarse for that, so it handed the goal itself down, and the level
# below aims at it directly. So upper levels fall silent near the goal, the highest first.

# %%
hjepa.figures.subgoals(traces[3], task=TASK)

# %% [markdown]
# The first steps alone, where plans do not lie on top of each other:

# %%
hjepa.figures.subgoals(traces[3], stop=12, task=TASK)

# %% [markdown]
# As a film: drag the slider, or step with the buttons. Lines are the plans that the levels follow at that moment.

# %%
hjepa.figures.player(traces[3])

# %% [markdown]
# ## 2. Take a level away
#
# The same weights, task and compute. Knowledge of the world is not what is missing, as level 1 predicts as well as before. What is different is who looks how far: one level plans 16
# steps and walks 4 of them, as the preset's `plan.flat` has it, tuned on validation tasks. This is one task, chosen because the ways differ. Of 96 validation tasks under this cost one level solves 96.9 %
# and two 93.8 (`hjepa/published/nested-d3/card.md`): a level taken away costs nothing here.

# %%
names = [f"{levels} level{'s' * (levels > 1)}" for levels in traces]
ways_walked(list(traces.values()), names)

# %% [markdown]
# ## 3. Four levels on 8x8 rooms
#
# A larger floor plan: 33 x 33 places, 256 steps at most. No weights that see are trained on it, so these are *told* coordinates and the grid. On the left a flat agent
# (`told-flat-d4`) that was trained and tuned for itself, on the right four levels (`told-nested-d4`), at the same compute. It is one task, the first of the test tasks. Of 600, the flat agent
# solves 29.7 % (95 % interval 26.2 to 33.4) under this metric, four levels 62.5 % (58.6 to 66.3): `hjepa/published/told-nested-d4/card.md`.

# %%
EIGHT = "hjepa/NestedRooms-d4-v0"
flat = watch("told-flat-d4", EIGHT, 1, 0, 40)
deep = watch("told-nested-d4", EIGHT, 4, 0, 40)
ways_walked([flat, deep], ["1 level, trained and tuned for itself", "4 levels"])

# %% [markdown]
# What the four levels imagined. Level 4 sets five subgoals for the whole way. From step 40 to about step 60 the way to the goal gets no shorter: the lower levels go round in one room, with the third and
# fourth subgoal of level 4 behind its wall, until they find the door at the side.

# %%
hjepa.figures.subgoals(deep, task=EIGHT)

# %% [markdown]
# ## 4. What a level believes it can do
#
# Before any goal comes in, each level has a *prior*: where trajectories tend to be, one of its steps later. Here 200 steps are drawn from each level's prior at the start and read out as places.
# They should fill the grey cells, which can truly be reached within the span, and stop at walls. What lies beyond is a place that the search finds sooner or
# later. (Points are moved at random by about a tenth of a cell.)

# %%
start = traces[3].episodes.start[0]
prior_map(traces[3].stack, traces[3].episodes.grid[0], start, levels=3)

# %% [markdown]
# ## 5. The latent space
#
# Every state of this floor plan, a cell and a heading, in level 3's latent space, seen along the two directions in which states differ most. Colour is the true number of steps to the goal,
# yellow near it. On the left latents as they are: how alike states look. On the right after the linear map of the *imagined* metric: level 1 has walked
# this floor plan in imagination, and directions that change slowly on such walks are stretched. Now distance says how long a way takes: rooms are clusters, and doors lie between them.

# %%
latent_planes(traces[3])

# %% [markdown]
# ## 6. How well do subgoals do their work?
#
# `diagnostics` measures it against the truth, level by level, here on 16 tasks. Of what a level imagines: could it be reached in its time? Of its subgoals: could they be reached in a stride, how much of a
# stride nearer to the goal are they, and did the agent stand there when they were due?

# %%
stack = hjepa.load_stack("nested-d3")
record = hjepa.evaluate(
    stack, TASK, levels=3, episodes=16, seed=0, diagnostics=True, budget_tflops=0.02,
    settings=replace(stack.config.plan, metric=METRIC),
)  # fmt: skip
WORDS = {
    "imagined_feasible": "imagined places that can be reached in time",
    "subgoals_feasible": "subgoals that can be reached in a stride",
    "subgoals_gain": "nearer to the goal, % of a stride",
    "subgoals_reached": "subgoals met when due",
}
lines = ["| % | level 1 | level 2 | level 3 |", "|---|---|---|---|"]
for name, words in WORDS.items():
    values = [level.get(name) for level in record["diagnostics"]]
    lines.append("| " + " | ".join([words, *("" if v is None else f"{100 * v:.0f}" for v in values)]) + " |")
print(f"{100 * record['success_rate']:.0f} % of {record['episodes']} tasks solved, {1000 * record['tflops_per_episode']:.1f} GFLOP an episode")
Markdown("\n".join(lines))
