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
# # Your own task, from nothing to a plan
#
# A world of your own is a Gymnasium environment in a module of your own. This one, [two_rooms.py](two_rooms.py), has fewer than
# sixty lines: a red dot in a picture of 65 x 65 pixels, a wall with one door, and actions that are two numbers. Nobody says to a
# level where the dot is or what a wall is; it sees pictures and learns from trajectories.
#
# Nothing here is special to a notebook. Every step below is a command that you can type in a terminal, in the folder of the
# module: `hjepa collect`, `hjepa fit`, `hjepa plan`. What they write lies in the folder `my_task`.

# %%
import json
import os
import sys
from pathlib import Path

import hjepa
from hjepa.cli import main
from hjepa.devices import fix_threads

sys.path.insert(0, os.getcwd())  # in a terminal: export PYTHONPATH=.
OUT = Path("my_task")
OUT.mkdir(exist_ok=True)
fix_threads()
print(Path("two_rooms.py").read_text())

# %% [markdown]
# Three things in it are worth a word.
#
# - **Everything random is drawn from `self.np_random`.** A task is a seed: an environment that does not repeat itself with the
#   same seed is refused, in one line that says so.
# - **`info["goal"]` is what is seen at the goal.** Goals are observations. Where an environment shows none, goals are taken
#   from trajectories, as below.
# - **`position` stands beside the picture.** The preset's level 1 has an encoder of images, so it sees the picture alone;
#   distances between positions say when a goal from a trajectory is reached.
#
# The last line registers the environment. A task is named `module:Id-v0`, and every process that needs it imports the module.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np

import tasks

TASK = "two_rooms:TwoRooms-v0"
world = tasks.make_world(TASK)
seen = world.reset(tasks.plain_tasks(np.arange(5)))
goal = world.goal()
print(world.spec.senses, world.spec.actions, sep="\n")
figure, panels = plt.subplots(2, 5, figsize=(11, 4.6), layout="constrained")
for slot in range(5):
    for row, (name, shown) in enumerate((("start", seen), ("goal", goal))):
        panels[row, slot].imshow(shown["image"][slot])
        panels[row, slot].set_title(f"{name} {slot}")
        panels[row, slot].axis("off")
plt.show()

# %% [markdown]
# ## 1. Trajectories
#
# `persistent` actions drift: they go on for a while in about the same direction. 120 episodes of 60 observations to learn from,
# and 30 others that nothing learns from. In a terminal:
#
#     hjepa collect --env two_rooms:TwoRooms-v0 --policy persistent --episodes 120 --length 60 --out my_task/data

# %%
common = ["collect", "--env", TASK, "--policy", "persistent", "--length", "60"]
main([*common, "--split", "train", "--episodes", "120", "--out", f"{OUT}/data"])
main([*common, "--split", "test", "--episodes", "30", "--out", f"{OUT}/held-out"])
data = tasks.ObservationStore.open(OUT / "data")
print(data.episodes, "episodes,", data.transitions, "transitions;", data.senses)

# %% [markdown]
# ## 2. Levels
#
# The preset, [two_rooms.yaml](two_rooms.yaml), says which levels there are, how they learn and how they plan. Level 1 learns what
# one action does to the picture. Level 2 predicts where trajectories are four steps later, in the same latent. `train.steps` is
# small, so that this notebook ends in minutes; ten times as many are a start for real use. A preset that cannot work is refused
# when it is read.

# %%
print(Path("two_rooms.yaml").read_text())

# %%
main(["fit", "--preset", "two_rooms.yaml", "--data", f"{OUT}/data", "--out", f"{OUT}/run"])

# %% [markdown]
# Did it learn? The prediction error of level 1 falls against a latent that is kept from collapsing, and `inverse`, the error of
# telling the action from two latents, says whether the latent knows where the dot is.

# %%
hjepa.figures.training_curves(OUT / "run")

# %% [markdown]
# ## 3. Plans
#
# Start and goal are 25 steps apart in a held-out trajectory, and there are 50 steps to get there. `distance:0.2` is a fifth of
# the spread of positions, about four pixels. The environment itself is stepped, wrappers and all. Beside every number stands
# what random actions reach.

# %%
asked = ["plan", "--checkpoint", f"{OUT}/run", "--task", TASK, "--goals", "offset:25", "--data", f"{OUT}/held-out"]
main([*asked, "--success", "distance:0.2", "--episodes", "24", "--workers", "1", "--json", f"{OUT}/plan.json"])

# %%
records = json.loads((OUT / "plan.json").read_text())
for record in records:
    low, high = record["success_ci95"]
    print(
        f"{record['levels']} level(s): {100 * record['success_rate']:.0f} % of {record['episodes']} reached"
        f" (95 % interval {100 * low:.0f} to {100 * high:.0f}); random actions"
        f" {100 * record['random_success_rate']:.0f} %"
    )

# %% [markdown]
# With 24 episodes the interval is wide, and one short training is one draw of the dice: a claim needs several training seeds,
# more episodes, and a flat agent that was tuned for itself.
#
# ## How to go on
#
# - More steps (`--set train.steps=[2000,1000]`) and more episodes; `--goals offset:50`, which have to pass the door.
# - `--goals world` plans to the goals that the environment shows itself, with its own success.
# - A policy of your own: `hjepa collect --policy module:function`.
# - The tasks of the field are made like this one, with batched twins: `hjepa tasks` lists `hjepa/TwoRoom-v0`,
#   `hjepa/DiverseMaze-v0`, `hjepa/SokobanLong-v0` and `hjepa/FourRoomDistractors-v0`.
# - MiniGrid environments work by the same commands, from symbols (`--observe symbols`) or pictures.
