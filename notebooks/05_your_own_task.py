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
# # Your own task, from nothing to a report
#
# Thirty lines make a new world, a preset says which levels learn it, and two commands train, compare and report. Nothing
# here is special to a notebook: it writes two files into the folder `my_task`, and every step below is a command that you can
# type in a terminal in that folder.

# %%
import os
import sys
from dataclasses import replace
from pathlib import Path

if Path.cwd().name != "my_task":
    Path("my_task").mkdir(exist_ok=True)
    os.chdir("my_task")
sys.path.insert(0, os.getcwd())  # in a terminal: export PYTHONPATH=.

# %% [markdown]
# ## 1. A world
#
# Any MiniGrid environment will do, if its world holds walls, floor, doors that are not locked and one goal object, and
# if it keeps MiniGrid's own `step`. This one is a *serpentine*: walls across the room with one gap each, at a height that
# is drawn anew in every episode. The way through is long, and mostly not in the direction of the goal.
#
# The cell below writes the module. A task may be named `module:Id-v0`, as Gymnasium has it. Every process that needs the
# task, also the workers of an ablation, then imports the module first, and the module registers the environment.

# %%
# %%writefile serpentine.py
"""A MiniGrid environment of my own: a room with walls across, one gap in each."""

import gymnasium
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Goal, Wall
from minigrid.minigrid_env import MiniGridEnv


class Serpentine(MiniGridEnv):
    """Start on the left, goal on the right; the walls between have one gap each, at a random height."""

    def __init__(self, size: int = 9, **kwargs):
        mission = MissionSpace(mission_func=lambda: "reach the goal")
        super().__init__(mission_space=mission, grid_size=size, max_steps=8 * size, **kwargs)

    def _gen_grid(self, width, height):
        self.grid = Grid(width, height)
        self.grid.wall_rect(0, 0, width, height)
        for x in range(2, width - 2, 2):
            gap = self._rand_int(1, height - 1)
            for y in range(1, height - 1):
                if y != gap:
                    self.put_obj(Wall(), x, y)
        self.put_obj(Goal(), width - 2, self._rand_int(1, height - 1))
        self.agent_pos, self.agent_dir = (1, self._rand_int(1, height - 1)), self._rand_int(0, 4)
        self.mission = "reach the goal"


gymnasium.register("Serpentine-v0", entry_point=Serpentine)

# %% [markdown]
# That is all. The adapter finds the rest: it resets the environment with seeds of its own, reads the floor plan, keeps
# geometries of the test split out of training, and knows the shortest path, so that results can be held against it.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt

import hjepa
import tasks
from hjepa.devices import fix_threads
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal
from hjepa.report.page import write_report
from hjepa.sweeps.grid import expand
from hjepa.sweeps.sweep import ablate

fix_threads()
TASK = "serpentine:Serpentine-v0"
spec = tasks.task_spec(TASK)
print(f"{spec.id}: {spec.width} x {spec.height} cells, {spec.step_budget} steps an episode")
episodes = tasks.sample_episodes(TASK, "test", episodes=4, seed=0)
figure, panels = plt.subplots(1, 4, figsize=(13, 3.8), layout="constrained")
for panel, walls, start, goal, steps in zip(
    panels, episodes.walls, episodes.start, episodes.goal, episodes.oracle_steps
):
    draw_floor_plan(panel, walls)
    draw_agent(panel, start)
    draw_goal(panel, goal)
    panel.set_title(f"shortest way: {steps} steps")
figure.suptitle("Four test episodes of the new task: from the triangle to the star", fontweight="bold")
plt.show()

# %% [markdown]
# ## 2. A preset
#
# One YAML file says what is collected, which levels there are, how they are trained and how they plan.
#
# - `collect`: 400 floor plans, eight walks on each, by an explorer that seeks random goals, with noise.
# - `levels`: level 1 learns what one action does. Level 2 predicts where trajectories are three steps later, in the same
#   latent (`encoder: shared`), and reads the floor plan for itself (`memory`).
# - `critic`: a small network that learns how many steps it takes to a goal, on any floor plan. It is trained last.
# - `train.steps` is small, so that this notebook ends in minutes. Ten times as many are a good start for real use.
# - `ablate`: what is compared. Here one and two levels, under plain distance and under the critic.
#
# A preset that cannot work is refused when it is read, with the remedy.

# %%
PRESET = """
task: serpentine:Serpentine-v0
collect: {plans: 400, episodes_per_plan: 8, length: 64, seed: 0, explorer: goal-seeking}
levels:
  - {encoder: agent, macro_action: primitive, stride: 1, latent_dim: 12, hidden: 64, head: 48, rollout: 6,
     memory: {channels: 12, dilations: [1]},
     loss: {prediction: 4.0, prior: 1.0, variance: 10.0, covariance: 2.0, similarity: 0.5, inverse: 1.0}}
  - {stride: 3, encoder: shared, latent_dim: 12, codes: 24, rollout: 3, hidden: 96, head: 48,
     memory: {channels: 24, dilations: [1], wide: 64, spacing: 1},
     loss: {prediction: 4.0, prior: 1.0, inverse: 0.0, similarity: 0.0}}
train: {steps: [700, 700], batch: 960, plans: 16, learning_rate: 0.02, upper_learning_rate: 0.01}
critic: {steps: 350, sweeps: 40, train_sweeps: 32}
plan: {metric: critic, horizon: [6, 3], commit: 3, iterations: 2, block: 16, step_cost: 0.2, haste: 1.0, share: [1.0, 1.0],
       support: 3.0, support_free: 1.0, reached: 0.5, ground: 64, ground_weight: 1.0, front: 4.0, max_candidates: 512}
ablate: {levels: [1, 2], metric: [l2, critic], depth: truncated, episodes: 40, budget_tflops: 0.002}
"""
_ = Path("serpentine.yaml").write_text(PRESET)

# %% [markdown]
# ## 3. An ablation
#
# `hjepa ablate` collects and trains what its cells need, plans the same held-out episodes with every agent, and writes one
# record per cell. Stopped at any time, it goes on where it was; run again, it does nothing twice. In a terminal:
# `hjepa ablate --preset serpentine.yaml --out sweep`. (To do it piece by piece: `hjepa collect`, `hjepa fit`, `hjepa plan`.)

# %%
result = ablate(expand("serpentine.yaml"), "sweep")
for name, reason in result.failed.items():
    print(name, reason)
for record in sorted(result.records, key=lambda record: (record["metric"], record["levels"])):
    low, high = record["success_ci95"]
    ratio = record["path_ratio"]
    print(
        f"{record['levels']} level(s), metric {record['metric']:7}"
        f" {100 * record['success_rate']:5.1f} % solved (95 % interval {100 * low:.0f} to {100 * high:.0f}),"
        + (" no path to compare" if ratio is None else f" path {ratio:.2f} x the shortest")
    )
print(f"a random policy: {100 * result.records[0]['random_success_rate']:.1f} %")

# %%
hjepa.figures.success_by_levels(result.records)

# %% [markdown]
# Read it as in `03_how_many_levels`: plain distance sends a flat agent to the wall next to the goal. A second level looks past
# it; a critic tells that the far side of a wall is far. With 40 episodes the bars are wide, and one short training is one
# draw of the dice: a claim would need several training seeds and more episodes.
#
# ## 4. A report
#
# One page for a browser, without network and without scripts: how many levels to use, the figures, and the file behind
# every number. In a terminal: `hjepa report sweep --out report.html`.

# %%
report = write_report(["sweep"], "report.html")
print(report.answer)
print(f"my_task/{report.page.name}: {report.page.stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# ## 5. Look at it
#
# The weights that the ablation trained are a checkpoint like any other: load them, and watch.

# %%
trained = [folder for folder in Path("sweep/train").iterdir() if (folder / "model.json").exists()]
checkpoint = max(trained, key=lambda folder: folder.stat().st_mtime)  # the newest, should there be others
stack = hjepa.load_stack(checkpoint)
trace = hjepa.watch(stack, TASK, levels=2, episodes=6, seed=0, budget_tflops=0.002)
solved = [number for number in range(6) if trace.results.success[number]]
print(f"solved: {solved} of 0 to 5")
hjepa.figures.subgoals(trace, episode=solved[0] if solved else 0)

# %% [markdown]
# What does the critic say? A glance at its landscape shows at once whether it has understood the walls.

# %%
first = solved[0] if solved else 0
hjepa.figures.landscapes(
    stack.truncate(1), trace.episodes.grid[first], trace.episodes.goal[first], metric="critic"
)

# %% [markdown]
# And where an agent fails, which part is at fault? Put the truth in the place of one part at a time
# (`hjepa plan --oracle`): what gains most is what to mend. Here for two levels under plain distance.

# %%
plain = replace(stack.config.plan, metric="l2")
for oracle in (None, "dynamics", "cost"):
    record = hjepa.evaluate(
        stack, TASK, levels=2, episodes=16, seed=0, budget_tflops=0.002, oracle=oracle, settings=plain
    )
    ratio = "" if record["path_ratio"] is None else f", path {record['path_ratio']:.2f} x the shortest"
    name = "as it is" if oracle is None else f"true {oracle}"
    print(f"{name:15} {sum(record['success']):2} of 16 solved{ratio}")

# %% [markdown]
# ## How to go on
#
# - More steps (`train.steps`), more floor plans (`collect.plans`), a third level, several training seeds
#   (`hjepa ablate ... --train-seeds 0,1,2`).
# - The most common reason for failure is a level 1 that is right in 98 of 100 steps: a search over six steps finds the other
#   two. `hjepa plan --diagnostics` says how often it is right (`imagined_feasible`).
# - A fair flat agent: `hjepa tune`, and what it chose under `plan.flat` in the preset.
# - The presets in `hjepa/presets`, `told-nested-d3` above all, say what worked on larger worlds.
