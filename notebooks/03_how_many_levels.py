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
# # How many levels should an agent have?
#
# **Question.** A level costs training and compute. When is it worth that?
#
# **Answer.** Where the way is longer than one level can imagine, and the cost does not know it. In TwoRoom, seen as images, a flat agent
# that was tuned for itself solves 91.0 % of the tasks whose goal is 100 steps away, and two levels 98.5 %: 7.5 points more (95 % interval 5.2 to
# 9.8). Goals 25 and 50 steps away flat solves as well, a third level brings nothing, and on small rooms no level brings anything. Foresight
# is worth about as much: with rollouts of 32 instead of 64 steps flat solved 83.5 %.
#
# *Flat* is an agent of one level that has learned to imagine as far as it plans, and whose planning was tuned for itself. Where one level was
# *not* tuned, this notebook says so: what levels add to it may be less. All weights here see images or symbols and are told nothing, but
# for section 4. Compute is counted in GFLOP an episode. Section 1 plans live and is small; the numbers that mean something are
# in sections 2 and 3, computed from the lists that every card holds.

# %% jupyter={"source_hidden": true}
# %matplotlib inline
import tempfile
from importlib.resources import files
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

import hjepa
from hjepa.config import load_preset
from hjepa.devices import fix_threads
from hjepa.evaluation.layouts import clustered_proportions
from hjepa.evaluation.records import pooled, read_records, success_interval
from hjepa.evaluation.statistics import wilson
from hjepa.evaluation.worlds import WorldEvaluation, begin_world, play_world, within_budget
from hjepa.figures.floor import draw_goal
from hjepa.figures.harder import success_from_task_to_task
from hjepa.figures.style import INK, level_colour
from hjepa.figures.two_room import Ways, dot_places, draw_two_rooms, draw_way
from hjepa.figures.worth import WorthRow, level_worths, worth_legend, worth_panel
from hjepa.model.checkpoints import describe
from hjepa.sweeps.sweep import collect_store
from tasks import ObservationStore
from tasks.field.two_room import way_steps

fix_threads()


def table(head, lines):
    return Markdown("\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines]))


def percent(record):
    low, high = (100 * end for end in success_interval(record))
    return f"{100 * record['success_rate']:.1f} ({low:.1f} to {high:.1f})"


# %% [markdown]
# ## 1. Take a level away, live
#
# The shipped weights `two-room`: a dot walks in continuous steps between two rooms with one door, and the agent sees 64 x 64 pixels. A task is
# a start and a goal that lie 100 steps apart in a held-out trajectory. Both agents share level 1, which has learned to imagine 64 steps.
# One level is the flat agent: its plans of 24 steps, 4 of them walked, were the best of what was tried on validation tasks. Two
# levels plan eight macro-actions of eight steps, 64 steps ahead, and hand the first one down.
#
# Of 200 tasks the 24 with the longest ways by the door are taken, for there a level should matter, if anywhere. 24 are few: this shows what
# happens, and how an ablation is done. It is not the measurement.

# %%
stack = hjepa.load_stack("two-room")
held_out = Path(tempfile.mkdtemp()) / "held-out"
more = ["collect.split=test", "collect.plans=330", "collect.seed=1"]
collect_store(load_preset("two-room", more), held_out)
asked = WorldEvaluation(
    describe("two-room")["played"], episodes=200, goals="offset:100", data=ObservationStore.open(held_out)
)
world, sense, tasks = begin_world(asked)
starts, goals = dot_places(world.reset(tasks)[sense]), dot_places(world.goal()[sense])
tasks = tasks.select(np.argsort(-way_steps(starts, goals), kind="stable")[:24])
ways, results = {}, {}
for levels in (1, 2):
    options = within_budget(hjepa.AgentOptions(levels=levels), world.spec)
    agent = hjepa.Agent(stack, world.spec.step_budget, options)
    ways[levels] = Ways(sense)
    results[levels] = play_world(agent, world, tasks, 0, asked.seed, sense, ways[levels])

# %%
success = {levels: found.success.astype(float) for levels, found in results.items()}
lines = []
for levels, found in results.items():
    low, high = wilson(int(found.success.sum()), len(tasks))
    solved = f"{100 * found.success.mean():.0f} ({100 * low:.0f} to {100 * high:.0f})"
    lines.append([str(levels), solved, f"{found.flops.mean() / 1e9:.1f}"])
gain = clustered_proportions(success[2] - success[1], np.arange(len(tasks)).astype(str))
print(
    f"two levels less flat, paired: {100 * gain.value:.0f} points (95 % interval {100 * gain.lo:.0f} to"
    f" {100 * gain.hi:.0f}), {len(tasks)} tasks"
)
table(["levels", "solved, % (95 % interval)", "GFLOP an episode"], lines)

# %% [markdown]
# What does a failure look like? Below are tasks that the flat agent does not solve and two levels do, and after them its longest ways. The
# goal is behind the wall, and the way through the door takes more steps than one plan of the flat agent has. The cost, commute time, does not know that way well
# enough, and the agent stays on its side. Two levels see the door and what comes after it in one plan.

# %% jupyter={"source_hidden": true}
lost = np.flatnonzero((success[1] == 0) & (success[2] == 1))
if len(lost) < 3:
    longest = [task for task in np.argsort(-results[1].steps, kind="stable") if task not in lost]
    lost = np.array([*lost, *longest])
world.reset(tasks)
starts, goals = ways[1].places[0], dot_places(world.goal()[sense])
door = way_steps(starts, goals)
figure, panels = plt.subplots(1, 3, figsize=(10.5, 5.0), layout="constrained")
for panel, task in zip(panels, lost):
    draw_two_rooms(panel)
    said = []
    for levels in (1, 2):
        way = ways[levels].of(task, results[levels].steps[task])
        draw_way(panel, way, level_colour(levels))
        panel.plot(*way[-1], "o", color=level_colour(levels), markeredgecolor=INK, markersize=8, zorder=5)
        name = "flat" if levels == 1 else "two levels"
        arrives = "in" if results[levels].success[task] else "not in"
        said.append(f"{name}: {arrives} {results[levels].steps[task]} steps")
    panel.plot(*way[0], "o", color="white", markeredgecolor=INK, markersize=8, zorder=6)
    draw_goal(panel, goals[task], size=15)
    panel.set_title("\n".join([f"by the door {door[task]:.0f} full steps", *said]), fontsize=10)
marks = [
    plt.Line2D([], [], color=level_colour(1), linewidth=2.2, marker="o", markeredgecolor=INK, label="flat, and where it ends"),
    plt.Line2D([], [], color=level_colour(2), linewidth=2.2, marker="o", markeredgecolor=INK, label="two levels"),
    plt.Line2D([], [], linestyle="", marker="o", color="white", markeredgecolor=INK, markersize=8, label="start"),
    plt.Line2D([], [], linestyle="", marker="*", color="#F0E442", markeredgecolor=INK, markersize=13, label="goal"),
]  # fmt: skip
figure.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False)
figure.suptitle("The same tasks with one level and with two (lines: pale at first, full at the end)", fontsize=11)
plt.show()
print(f"the {len(tasks)} ways by the door take {door.min():.0f} to {door.max():.0f} full steps; a plan of the flat agent has 24")

# %% [markdown]
# ## 2. The same task, measured
#
# 600 held-out tasks for each distance (`hjepa/published/two-room/card.md`). Where the way is short, flat solves all. Where it is longer than it can
# imagine, it does not, and the second level pays. The third brings nothing: its strides are 24 steps long, and that leaves the second
# level little to do.

# %% jupyter={"source_hidden": true}
PUBLISHED = files("hjepa").joinpath("published")


def published(card, file="results.json", **wanted):
    """The records of a card's list that have these fields, without those that plan with a piece of the truth."""
    records = read_records(str(PUBLISHED.joinpath(card, file)))
    return [
        one for one in records if one["oracle"] is None and all(one[name] == value for name, value in wanted.items())
    ]


def by_levels(records):
    """Number of levels -> the record of all its episodes, pooled over evaluation seeds."""
    counts = sorted({record["levels"] for record in records})
    return {n: pooled([record for record in records if record["levels"] == n]) for n in counts}


DISTANCES = {"25 steps": "offset-25.json", "50 steps": "offset-50.json", "100 steps": "results.json"}
found = [by_levels(published("two-room", file)) for file in DISTANCES.values()]
figure, axes = plt.subplots(figsize=(7.2, 3.9), layout="constrained")
success_from_task_to_task(axes, list(DISTANCES), {n: [one[n] for one in found] for n in (1, 2, 3)})
axes.set_xlabel("from the start to the goal in a held-out trajectory")
axes.set_title("TwoRoom from images: success by distance of the goal (bars: 95 % interval)", fontsize=11)
plt.show()

# %% [markdown]
# ## 3. What each level is worth, by task
#
# All agents of one row played the same tasks and may spend the same compute, so they are compared task by task: how many more does the agent with one level more solve?
# An interval that leaves out zero says that the level helps or harms on these floor plans, with these weights. Colour and marker are
# those of the level that comes on top. In every row one level was tuned for itself under that cost, on validation tasks.
#
# The costs are explained in `04_inside_the_costs`: `l2` knows no way, `commute` and `imagined` know how long walks take, `critic` is a learned number
# of steps to go.

# %% jupyter={"source_hidden": true}
braids = {kind: {"task": f"hjepa/Layouts-{kind}-s9-v0"} for kind in ("comb", "spiral", "braid")}
ROOMS_2 = "trained on rollouts of 16 steps, tuned under this cost"
TWO_ROOM = "trained on rollouts of 64 steps, tuned 100 steps away"
TUNED = "level 1 of the stack, rollouts of 16 steps, plans of 16, tuned"


def beside(weights, flat, deep="results.json", **wanted):
    """Records of one level from one list, of more from another, which plan the same tasks."""
    return published(weights, flat, **wanted) + [one for one in published(weights, deep, **wanted) if one["levels"] > 1]


LAYOUTS = ("nested-d2", "layouts-flat.json", "layouts-veto.json")
ROWS = [
    ("TwoRoom, 100 steps, images: commute", published("two-room"), TWO_ROOM, True),
    ("TwoRoom, 50 steps, images: commute", published("two-room", "offset-50.json"), TWO_ROOM, True),
    ("TwoRoom, 25 steps, images: commute", published("two-room", "offset-25.json"), TWO_ROOM, True),
    ("2x2 rooms, symbols: l2", published("nested-d2", metric="l2"), ROOMS_2, True),
    ("2x2 rooms, symbols: imagined", published("nested-d2", metric="imagined"), ROOMS_2, True),
    ("2x2 rooms, symbols: critic", published("nested-d2", metric="critic"), ROOMS_2, True),
    ("demo, one 4x4 plan, symbols: l2", published("demo", metric="l2"), "level 1 of the stack, rollouts of 16 steps, plans of 32, tuned", True),
    ("demo, one 4x4 plan, symbols: critic", published("demo", metric="critic"), TUNED, True),
    ("4x4 rooms, symbols: critic", published("nested-d3"), TUNED, True),
    ("8x8 rooms, symbols: critic", published("nested-d4"), TUNED, True),
    ("4x4 rooms, images: critic", beside("nested-d3-images", "flat.json"), TUNED, True),
    ("braids, symbols: critic", beside(*LAYOUTS, **braids["braid"]), TUNED, True),
    ("combs, symbols: critic", beside(*LAYOUTS, **braids["comb"]), TUNED, True),
    ("spirals, symbols: critic", beside(*LAYOUTS, **braids["spiral"]), TUNED, True),
]  # fmt: skip
rows = [WorthRow(name, level_worths(records), fair) for name, records, _, fair in ROWS]
groups = [("one level tuned for itself", rows)]
figure, axes = plt.subplots(figsize=(9.6, 8.4), layout="constrained")
worth_panel(axes, groups)
figure.legend(
    handles=worth_legend(rows),
    loc="outside lower center",
    ncols=3,
    frameon=False,
)
axes.set_title("What each level is worth, by task and cost", fontsize=12)
plt.show()

# %% [markdown]
# On 2x2 rooms nearly all tasks are solved whatever the number of levels. Their 600 tasks lie on 8 floor plans, which is why those bars are
# long: all of eight plans is not more than eight plans. On braids the learned critic takes some walls for ways; one level with short
# plans stands before such a wall, and a longer stride passes over it. So do longer plans: three levels were worth 10.5 points and are worth 2.0. On 4x4 rooms from symbols
# a second level was worth 3.2 points beside plans of 8 steps, 1.2 beside plans of 16, and nothing since the critic was mended. Everything in one table:

# %% jupyter={"source_hidden": true}
lines = []
for name, records, one_level, _ in ROWS:
    pools = by_levels(records)
    spent = ", ".join(f"{1e3 * one['tflops_per_episode']:.1f}" for one in pools.values())
    cells = [percent(pools[n]) if n in pools else "" for n in (1, 2, 3, 4)]
    lines.append([name, one_level, *cells, f"{pools[1]['episodes']}", spent])
table(["task and cost", "one level is", "1 level, %", "2", "3", "4", "tasks", "GFLOP by levels"], lines)

# %% [markdown]
# ## 4. What changes if the agent is told
#
# Weights named `told-...` are handed coordinates and the grid (`hjepa/published/told.md`). Read these for what levels do where perception is no question
# and rooms are larger than any that seeing weights were trained for. The bars on 2x2 rooms are long because their tasks lie on 8 floor plans. Flat is another agent here (`told-flat-...`): one level, trained for itself on rollouts of 12 and 16
# steps, and tuned under this cost, `imagined`, at the compute that all get.

# %% jupyter={"source_hidden": true}
SIZES = {"2x2 rooms": "d2", "4x4 rooms": "d3", "8x8 rooms": "d4"}
found = []
for size in SIZES.values():
    deep = [one for one in published(f"told-nested-{size}", metric="imagined") if one["levels"] > 1]
    flat = published(f"told-flat-{size}", metric="imagined")
    budget = max(one["budget_tflops"] for one in deep)
    found.append(by_levels(deep + [one for one in flat if one["budget_tflops"] == budget]))
ways_long = [f"{name}\nways of {np.mean(one[1]['oracle_steps']):.0f} steps" for name, one in zip(SIZES, found)]
figure, axes = plt.subplots(figsize=(7.2, 3.9), layout="constrained")
success_from_task_to_task(axes, ways_long, {n: [one[n] for one in found] for n in (1, 2, 3, 4)})
axes.set_title("Told, cost imagined: success by size of the rooms (bars: 95 % interval)", fontsize=11)
plt.show()
value_map = pooled(published("told-nested-d4", "value-map.json"))
print(f"8x8 rooms, told, a grid value map and no level at all: {percent(value_map)} %")

# %% [markdown]
# The same again: on 8x8 rooms the flat agent imagines 16 of 54 steps of a mean way, and each of the third and the fourth level brings about 16 points. And where the cost is a value map of
# the true grid, no level and not even a world model is needed: with the way known, nothing is left to look for.
#
# ## What is not shown
#
# - One training seed for each of these weights. Intervals are over tasks and floor plans, not over trainings.
# - Whether on 8x8 rooms a flat agent that was trained on longer rollouts would do better: it has 16 steps there, where four levels see 64 (told, under `imagined`). In TwoRoom longer
#   rollouts cut what the second level brings from 12.0 to 7.5 points, so part of it is foresight that is cheaper to train with a level.
# - Levels tuned as much as the one level of rows of 4x4 rooms, layouts and the demo: their plans were chosen before it was. On 2x2 rooms under `imagined` and the critic the shortest horizon tried, 8 steps, was taken: an edge
#   of that search.
# - All stacks were trained from level 1 up, one level after another, and are cut to fewer levels. Trained jointly they would be other agents.
# - Upper levels share level 1's latent here: what is abstract about them is time alone.
#
# ## How to go on
#
# - `hjepa ablate --preset smoke --out sweep`, then `hjepa report sweep --out sweep.html`: an ablation in minutes on shipped weights, and a page about it.
# - `04_inside_the_costs`: what the costs say, and why plain distance gets stuck.
# - `05_your_own_task`: the same with a world of your own.
