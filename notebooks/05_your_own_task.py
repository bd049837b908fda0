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
# **Question.** I have an environment of my own. What does it take until levels plan in it?
#
# **Answer.** A Gymnasium environment in a module, a preset of a few lines, and three commands: `hjepa collect` writes trajectories, `hjepa fit` learns levels from them, `hjepa plan` measures.
# Here all of that takes a few minutes of one core, from pictures alone. Level 1 alone then reaches 88 % of 24 held-out goals, where random actions reach 38 %. A second level, trained for as little
# as this, does not help: 46 %. A level that does not know yet where its strides lead sets subgoals that lead astray.
#
# The environment, [two_rooms.py](two_rooms.py), has fewer than sixty lines: a red dot in a picture of 65 x 65 pixels, a wall with one door, and actions that are two numbers. Nobody
# says to a level where the dot is or what a wall is. Nothing here is special to a notebook; type the same commands in a terminal, in the folder of the module. What they write
# lies in the folder `my_task`.

# %%
# %matplotlib inline
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from IPython.display import Markdown

import hjepa
import tasks
from hjepa.cli import main
from hjepa.devices import fix_threads
from hjepa.figures.sights import starts_and_goals

sys.path.insert(0, os.getcwd())  # in a terminal: export PYTHONPATH=.
OUT, TASK = Path("my_task"), "two_rooms:TwoRooms-v0"
OUT.mkdir(exist_ok=True)
fix_threads()


def command(words):
    """What ``hjepa`` does in a terminal, without the progress that it shows there."""
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(words.split())
    if code:
        raise RuntimeError(said.getvalue())


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
starts_and_goals(tasks.make_world(TASK))

# %% [markdown]
# ## 1. Trajectories
#
# `persistent` actions drift: they go on for a while in about the same direction. 120 episodes of 60 observations to learn from,
# and 30 others that nothing learns from. In a terminal:
#
# ```bash
# hjepa collect --env two_rooms:TwoRooms-v0 --policy persistent --episodes 120 --length 60 --out my_task/data
# ```

# %%
common = f"collect --env {TASK} --policy persistent --length 60"
command(f"{common} --split train --episodes 120 --out {OUT}/data")
command(f"{common} --split test --episodes 30 --out {OUT}/held-out")
data = tasks.ObservationStore.open(OUT / "data")
print(f"{data.episodes} episodes, {data.transitions} steps; an observation holds {' and '.join(data.senses)}")

# %% [markdown]
# ## 2. Levels
#
# The preset, [two_rooms.yaml](two_rooms.yaml), says which levels there are, how they learn and how they plan. Level 1 learns what
# one action does to the picture. Level 2 predicts where trajectories are four steps later, in the same latent. `train.steps` is
# small, so that this notebook ends in minutes; five times as many are a start for real use. A preset that cannot work is refused
# when it is read.
#
# ```bash
# hjepa fit --preset two_rooms.yaml --set train.steps=[500,400] --data my_task/data --out my_task/run
# ```

# %%
command(f"fit --preset two_rooms.yaml --set train.steps=[500,400] --data {OUT}/data --out {OUT}/run")
print(Path("two_rooms.yaml").read_text())

# %% [markdown]
# Did it learn? Of the terms of the loss these four say most.
#
# - `prediction`: how far the predicted latent is from the one that came. It has to fall.
# - `prior`: how well a level knows which actions, or macro-actions, trajectories take.
# - `variance`: falls towards 0 as latents spread out, and stays high where they collapse to a point, which would make prediction easy and worthless.
# - `inverse`: error of telling the action from two latents. Only if it falls does the latent know where the dot is.

# %%
hjepa.figures.training_curves(OUT / "run", terms=("prediction", "prior", "variance", "inverse"))

# %% [markdown]
# ## 3. Plans
#
# Start and goal are 25 steps apart in a held-out trajectory, and there are 50 steps to get there. `distance:0.2` is a fifth of
# the spread of positions, about four pixels. The environment itself is stepped, wrappers and all. Beside every number stands
# what random actions reach. The command prints a table; the list that it writes holds every episode, and is read here.
#
# ```bash
# hjepa plan --checkpoint my_task/run --task two_rooms:TwoRooms-v0 --goals offset:25 --data my_task/held-out \
#            --success distance:0.2 --episodes 24 --json my_task/plan.json
# ```

# %%
asked = f"plan --checkpoint {OUT}/run --task {TASK} --goals offset:25 --data {OUT}/held-out --success distance:0.2"
command(f"{asked} --episodes 24 --workers 1 --json {OUT}/plan.json")
lines = ["| levels | reached, % (95 % interval) | random actions, % | GFLOP an episode |", "|---|---|---|---|"]
for record in json.loads((OUT / "plan.json").read_text()):
    low, high = (100 * end for end in record["success_ci95"])
    reached = f"{100 * record['success_rate']:.0f} ({low:.0f} to {high:.0f})"
    random = f"{100 * record['random_success_rate']:.0f}"
    lines.append(f"| {record['levels']} | {reached} | {random} | {1000 * record['tflops_per_episode']:.1f} |")
Markdown("\n".join(lines))

# %% [markdown]
# With 24 episodes intervals are wide, and one short training is one draw of the dice, which falls otherwise on another machine: a claim needs several training seeds,
# more episodes, and a flat agent that was tuned for itself.
#
# ## How to go on
#
# - More steps (`--set train.steps=[2000,4000]`) and more episodes; `--goals offset:50`, which have to pass the door.
# - `--goals world` plans to the goals that the environment shows itself, with its own success.
# - A policy of your own: `hjepa collect --policy module:function`.
# - The tasks of the field are made like this one, with batched twins: `hjepa tasks` lists `hjepa/TwoRoom-v0`,
#   `hjepa/DiverseMaze-v0`, `hjepa/SokobanLong-v0` and `hjepa/FourRoomDistractors-v0`.
# - MiniGrid environments work by the same commands, from symbols (`--observe symbols`) or pictures.
