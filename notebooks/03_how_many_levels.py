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
# # How many levels? An ablation, small and whole
#
# **Question.** How many levels should an agent have, and how does one find out?
#
# **Answer.** As many as the way is long and the cost does not know it. Where the cost knows the way (a map of values over the grid), a flat
# agent solves all and no level is needed. Under `imagined`, a cost that every level measures in its own imagination, the flat agent solves
# 96.8 % of 600 tasks on 4 x 4 rooms and three levels 99.7 %; on 8 x 8 rooms the flat agent solves 29.7 % and four levels 62.5 %. Those agents are
# told coordinates and the grid. `nested-d3`, which sees symbols and is told nothing, solves 95.3 % with level 1 alone (untuned) and 98.5 % with two.
#
# An ablation takes one thing away and measures what is lost. Here the thing is a level. There are two ways to take
# levels away, and a claim about depth should say which one it means:
#
# - **truncated**: train one deep stack, then plan with its lowest levels only. One training serves every depth.
# - **trained**: train a stack for each depth. Every depth gets weights of its own.
#
# A level is *skipped* while the goal is nearer than one of its own steps: it passes the goal down and makes no plan, so a deep agent
# near its goal is the agent with fewer levels. Compute is counted in GFLOP an episode: perception, every candidate, forward and backward.
#
# This notebook runs a small ablation live, with both kinds of depth. Then it reads the published one, whose numbers mean something.

# %%
# %matplotlib inline
import tempfile
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

import hjepa
from hjepa.devices import fix_threads
from hjepa.evaluation.comparison import Entry, blocks
from hjepa.evaluation.records import pooled, read_records, success_interval
from hjepa.figures.groups import METRIC_COLOURS, METRIC_MARKERS, episodes_name, grouped
from hjepa.figures.measured import Row, rows_figure
from hjepa.figures.style import plain_axes
from hjepa.sweeps.grid import expand, read_grid
from hjepa.sweeps.sweep import ablate

fix_threads()
work = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A small ablation, live
#
# A grid lists values; every combination is a *cell*: one stack, planned with one number of levels. `expand` writes the
# cells out, `ablate` collects trajectories, trains what the cells need (once for all cells that share it), plans, and
# keeps one record per cell. Run it again and finished cells are skipped.
#
# The preset is `tiny` with a tenth of the training it would need, on episodes of any distance. **What it learns is not
# the point**: after so few steps nobody plans well. The point is how the comparison is made.
#
# Two settings are compared. In `sequential` training one level learns after the other, and each takes the latents of the
# level below as they are: no gradient flows down. In `joint`, here with `end_to_end`, all levels learn at once and the
# upper ones pull at the lower ones.

# %%
SHORT = {"train.steps": ["[60, 40, 40]"], "collect.plans": ["32"], "train.clip": ["1e9"]}
SMALL = {"train_seeds": (0,), "tasks": "uniform", "episodes": 24, "budget_tflops": (0.001,)}


def small_ablation(**overrides):
    """The cells of one way of training: both kinds of depth, 1 to 3 levels."""
    swept = SHORT | {key: [str(value)] for key, value in overrides.items()}
    depth = ("truncated", "trained")
    return expand("tiny", read_grid("tiny", levels=(1, 2, 3), depth=depth, overrides=swept, **SMALL))


sequential = small_ablation()
for spec in sequential:
    print(f"{spec['levels']} level(s), {spec['depth']}")

# %%
result = ablate(sequential, work / "sweep")
hjepa.figures.success_by_levels(result.records)

# %% [markdown]
# At equal depth, do the open and the filled markers stand for two agents or for one? Episode by episode:

# %%
steps = {(record["levels"], record["depth"]): np.array(record["steps"]) for record in result.records}
for levels in (1, 2):
    alike = (steps[levels, "truncated"] == steps[levels, "trained"]).sum()
    print(
        f"{levels} level(s), cut or trained alone: as many steps in {alike} of {SMALL['episodes']} episodes"
    )

# %% [markdown]
# ### Why both depths give the same levels
#
# Their levels hold the same numbers. Below, every weight of a level in the deep stack is held against the same level of a
# stack that was trained with fewer levels.
#
# Three things make it so. No gradient flows from a level into the one below. A batch is a function of the training seed,
# the step and the level, so level 1 sees the same data whether or not a level 2 comes after it. And the random state is
# set anew at every step, from the seed and the step. When training is joint and end to end, the first of the three is
# gone: levels 2 and 3 then change what level 1 learns, and a stack of one level is another agent than the lowest level
# of three.
#
# Small print. (1) Usually the gradient is clipped by the length of all that trains at a step. That includes the probe that
# reads places out of a latent for the figures, and a probe's first weights depend on how many levels were built before
# it; so clipped steps can differ a little. Clipping is off here, to compare bit by bit. (2) After training, distances are
# measured once on training trajectories, which are cut to whole strides of the top level. A stack of another depth cuts
# elsewhere, so its unit of cost is another by a little. That is why single episodes above may differ although no weight
# does.


# %%
def stacks_of(folder):
    """Number of levels -> stack, of the run folders that an ablation left."""
    runs = (run for run in (folder / "train").iterdir() if (run / "model.json").exists())
    return {stack.depth: stack for stack in map(hjepa.load_stack, runs)}


def largest_difference(one, other, level):
    """Between all weights of a level in two stacks."""
    pairs = zip(one.level(level - 1).parameters(), other.level(level - 1).parameters())
    return max(float((a - b).abs().max()) for a, b in pairs)


joint = small_ablation(**{"train.schedule": "joint", "train.end_to_end": True})
ablate([spec | {"episodes": 1} for spec in joint if spec["depth"] == "trained"], work / "joint")
pairs = [(1, 1), (2, 1), (2, 2)]  # depth of the shallow stack, level
found = {}
for name, folder in (("one after another", "sweep"), ("jointly, end to end", "joint")):
    stacks = stacks_of(work / folder)
    found[name] = [largest_difference(stacks[3], stacks[depth], level) for depth, level in pairs]
    print(f"{name}:")
    for (depth, level), difference in zip(pairs, found[name]):
        print(
            f"   level {level} of 3 against level {level} of {depth}: weights differ by at most {difference:.2g}"
        )

# %%
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
plain_axes(axes, "x")
for number, (name, hatch, colour) in enumerate(zip(found, ("", "//"), ("0.3", "0.6"))):
    places = np.arange(len(pairs)) + 0.38 * number
    axes.barh(places, found[name], 0.36, color=colour, hatch=hatch, edgecolor="white")
    for place, value in zip(places, found[name]):
        text = f" {value:.2g} ({name})" if value else f" 0: equal to the last bit ({name})"
        axes.text(value, place, text, va="center")
names = [f"level {level}: stack of 3\nagainst stack of {depth}" for depth, level in pairs]
axes.set_yticks(np.arange(len(pairs)) + 0.19, names)
axes.invert_yaxis()
axes.set_xlim(0, 1.4 * max(map(max, found.values())))
axes.set_xlabel("largest difference between two weights")
axes.set_title("Does a level depend on the levels above it?", fontweight="bold")
plt.show()

# %% [markdown]
# All shipped stacks are trained one level after another. So in what follows `truncated` may stand for both depths, up to
# the small print. One part is outside of this: the *critic* is trained after the last level, on batches that count on
# from there. A stack with fewer levels has the same levels, and a critic that learned the same from other batches.
#
# ## The whole ablation
#
# The published records (`hjepa/published/told-nested-d3/results.json`) come from the shipped four-level stack `told-nested-d3`: 4 x 4
# rooms on floor plans that were never in training (drawn by the same generator), tasks between opposite quarters.
#
# **Flat** is another agent: `told-flat-d3`, one level that was trained for itself with rollouts of 16 steps, and whose planning was
# tuned under each metric at the compute that all get. The lowest level of the stack is not a flat agent. It learned to
# imagine 8 steps, because more is never asked of it under a level 2; alone it does far worse, and what looks like a gain of
# hierarchy over it is mostly the gain of looking further. It is listed below, and compared with nothing.
#
# All perception here is *told* (`hjepa/published/told.md`). Every number is computed from the records; episodes of several evaluation
# seeds are pooled.


# %%
def published(name):
    """The records of one card, without those that plan with a piece of the truth."""
    path = files("hjepa").joinpath("published", name, "results.json")
    return [record for record in read_records(str(path)) if record["oracle"] is None]


def per_agent(records):
    """One record per agent, its episodes pooled over the evaluation seeds."""
    same = (
        "task",
        "levels",
        "depth",
        "metric",
        "planner",
        "budget_tflops",
        "train_seed",
        "checkpoint_sha256",
    )
    return [pooled(parts) for parts in grouped(records, same).values()]


stack, flat = published("told-nested-d3"), published("told-flat-d3")
records = [record for record in stack if record["levels"] > 1] + flat
agents = per_agent(records)
seeds = sorted({record["seed"] for record in records})
print(f"{len(records)} records, evaluation seeds {seeds}, {episodes_name(agents)} episodes for each agent")
print("agent                 metric      solved %  (95 % interval)  path / shortest  GFLOP an episode")
lowest = per_agent([record for record in stack if record["levels"] == 1])
for agent in sorted(agents + lowest, key=lambda agent: (agent["metric"], agent["levels"])):
    kind = f"{agent['levels']} levels"
    if agent["levels"] == 1:
        kind = "flat" if agent["depth"] == "trained" else "level 1 of the stack"
    low, high = success_interval(agent)
    ratio = "   - " if agent["path_ratio"] is None else f"{agent['path_ratio']:5.2f}"
    print(
        f"{kind:22}{agent['metric']:10} {100 * agent['success_rate']:7.1f}   ({100 * low:5.1f}, {100 * high:5.1f})"
        f"        {ratio}          {1e3 * agent['tflops_per_episode']:.1f}"
    )

# %% [markdown]
# ### Success against levels
#
# Every agent may spend the same compute per episode. One level is the flat agent. The metric is what a level measures
# distance with: `l2` is the plain distance of latents; the others know something of walls (`04_inside_the_costs` looks at them one by one). `critic` is a control: its field is a
# map of values over the grid, and stepping down that map without a world model (`--planner value-map`) solves every task.

# %%
hjepa.figures.success_by_levels(agents)

# %% [markdown]
# ### What does one more level add?
#
# All agents of one metric played the same episodes. So the right comparison is episode by episode: how much more often does the agent
# with one level more arrive *where the other one does not*? The interval of such a *paired* difference is narrower
# than the two intervals above suggest, because hard episodes are hard for both. An interval that leaves out zero says:
# on these floor plans, with these weights, the level helps (or harms). It says nothing about another training; for
# that, train several seeds (`hjepa ablate --train-seeds 0,1,2`). Colour and marker are those of the level that comes on top.


# %%
def agents_of(block):
    """(metric, levels) -> the flat agent, or one of the deep stack, whole or cut."""
    return {(agent.setting.metric, agent.levels): agent for agent in block.agents}


block = blocks([Entry(record) for record in records])[0]
agent_of = agents_of(block)
metrics = sorted({metric for metric, _ in agent_of})
counts = sorted({levels for _, levels in agent_of})
rows = []
for metric in metrics:
    for less, more in pairwise(counts):
        if {(metric, less), (metric, more)} <= set(agent_of):
            added = block.compare(agent_of[metric, more], agent_of[metric, less]).difference
            rows.append(
                Row(
                    f"{more} levels − {less if less > 1 else 'flat'}",
                    [(more, added)],
                    f"metric {metric}, {added.episodes} tasks",
                )
            )
label = "difference in success, percentage points (bars: 95 % interval, paired)"
rows_figure(rows, 760, label, zero=True, title="What one more level adds to success, on the same tasks")

# %% [markdown]
# ### Cost metric x hierarchy
#
# Two cures for the same disease. An agent that walks into a wall that stands between it and its goal can be cured by a
# *better cost*, which knows that the far side of a wall is far; or by *hierarchy*, by a level that looks beyond the wall. Does
# one of them make the other superfluous? Take both away, one at a time: plain distance or the best metric of the file,
# flat or with three levels. Left out of this is the `critic`: under a map of the way no world model is needed, so it says nothing
# about levels. The *interaction* is what hierarchy adds under the best metric minus what it adds under the plain
# one: below zero, the two cures overlap; above zero, they need each other; at zero, each does its own part. Only evaluation
# seeds that both metrics were run on count here, so that all four agents had the same tasks.

# %%
FLAT, DEEP = 1, 3
best = max(
    (m for m in metrics if m not in ("l2", "critic")), key=lambda m: block.rate(agent_of[m, FLAT]).value
)
print(f"the best metric of the file, by what a flat agent makes of it: {best}")
both = [{record["seed"] for record in records if record["metric"] == metric} for metric in ("l2", best)]
common = set.intersection(*both)
same = blocks([Entry(r) for r in records if r["metric"] in ("l2", best) and r["seed"] in common])[0]
one_of = agents_of(same)
corners = {(m, n): same.rate(one_of[m, n]) for m in ("l2", best) for n in (FLAT, DEEP)}
print(f"evaluation seeds of both: {sorted(common)}, {len(same.episodes)} tasks")


def difference(upper, lower):
    """Paired difference of success of two agents (metric, levels), with its 95 % interval."""
    return same.compare(one_of[upper], one_of[lower]).difference


gains = {m: one_of[m, DEEP].success - one_of[m, FLAT].success for m in ("l2", best)}
every = gains[best] - gains["l2"]
rng = np.random.default_rng(0)
drawn = every[:, rng.integers(0, every.shape[1], (4000, every.shape[1]))].mean((0, 2))
effects = {
    f"hierarchy, under {'plain l2' if m == 'l2' else m}": difference((m, DEEP), (m, FLAT))
    for m in ("l2", best)
} | {
    f"metric {best}, {'flat' if n == FLAT else f'{n} levels'}": difference((best, n), ("l2", n))
    for n in (FLAT, DEEP)
}
lines = [(name, e.value, e.lo, e.hi) for name, e in effects.items()]
lines.append(
    (
        f"interaction: hierarchy under {best}\nminus hierarchy under plain l2",
        float(every.mean()),
        *np.quantile(drawn, [0.025, 0.975]),
    )
)

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(12.5, 4.3), width_ratios=(1, 1.25), layout="constrained")
values = np.array([[corners[m, n].value for n in (FLAT, DEEP)] for m in ("l2", best)])
left.imshow(values, cmap="cividis", vmin=0, vmax=1)
for row, metric in enumerate(("l2", best)):
    for column, count in enumerate((FLAT, DEEP)):
        one = corners[metric, count]
        text = f"{100 * one.value:.1f} %\n({100 * one.lo:.0f} to {100 * one.hi:.0f})"
        ink = "white" if one.value < 0.5 else "black"
        left.text(column, row, text, ha="center", va="center", color=ink, fontsize=14)
left.set_xticks([0, 1], ["flat\n(1 level)", f"hierarchy\n({DEEP} levels)"], fontsize=11)
left.set_yticks([0, 1], ["plain\nl2", f"metric\n{best}"], fontsize=11)
left.tick_params(length=0)
left.set_title("Success (95 % interval)")
plain_axes(right, "x")
for place, (name, value, low, high) in enumerate(lines):
    look = {"fmt": "D", "markerfacecolor": "white"} if name.startswith("interaction") else {"fmt": "o"}
    bars = [[100 * (value - low)], [100 * (high - value)]]
    right.errorbar(100 * value, place, xerr=bars, color="0.2", capsize=4, markersize=8, linewidth=2, **look)
right.axvline(0, color="black", linewidth=1)
right.set_yticks(range(len(lines)), [name for name, *_ in lines], fontsize=11)
right.set_ylim(len(lines) - 0.5, -0.5)
right.set_xlabel("difference in success, percentage points (bars: 95 % interval, paired)")
right.set_title("What each cure adds, and how they go together")
figure.suptitle(
    f"Cost metric x hierarchy: four agents on the same {len(same.episodes)} tasks", fontweight="bold"
)
plt.show()


# %% [markdown]
# ### Where does a level help?
#
# Looking further should matter where the way is long. So the episodes by length of their shortest path. A bucket with
# few episodes has a wide bar: read bars, not points. Metrics that were run on more evaluation seeds have more episodes (n).

# %%
shown = sorted({"l2", best})
figure = hjepa.figures.success_by_distance([agent for agent in agents if agent["metric"] in shown])
run = {
    metric: sorted({record["seed"] for record in records if record["metric"] == metric}) for metric in shown
}
told = "; ".join(f"{metric}: evaluation seeds {', '.join(map(str, run[metric]))}" for metric in shown)
figure.suptitle(f"Success by length of the shortest path ({told})", fontweight="bold")
display(figure)

# %% [markdown]
# ### Is there one right number?
#
# It depends on how long ways are, and on what the metric knows. The same kind of stack on 2 x 2, 4 x 4 and 8 x 8 rooms, under
# a critic that read off the floor plan what walls cost, and under `imagined`, which every level measures by walking about in
# its own imagination. One level is the flat agent of each size (`told-flat-d2`, `-d3`, `-d4`; rollouts of 12, 16 and 16 steps); the open grey
# marks are level 1 of the stack. With a critic that orders states as the true way does, any number will do, however deep the nesting,
# and so will none. Under `imagined` the flat agent solves nearly all of the two smaller sizes, as it sees the whole way or half of it. On 8 x 8 rooms it sees
# a fifth, and three and four levels solve more (one training seed; rollouts of more than 16 steps are still to be tried for it). The 600 tasks
# on 2 x 2 rooms lie on 8 floor plans, which is why their bars, clustered by floor plan, are long.

# %% jupyter={"source_hidden": true}


def default_budget(records):
    """Those that may spend what their task allows by default."""
    most = max(record["budget_tflops"] for record in records)
    return [record for record in records if record["budget_tflops"] == most]


SIZES = {"told-nested-d2": "2 x 2 rooms", "told-nested-d3": "4 x 4 rooms", "told-nested-d4": "8 x 8 rooms"}
figure, panels = plt.subplots(1, 3, figsize=(12.5, 4.4), sharey=True, layout="constrained")
for panel, (name, rooms) in zip(panels, SIZES.items()):
    deep = published(name)
    own = per_agent(
        [r for r in deep if r["levels"] > 1] + default_budget(published(name.replace("nested", "flat")))
    )
    lowest = per_agent([r for r in deep if r["levels"] == 1 and r["metric"] == "imagined"])
    plain_axes(panel)
    for agent in lowest:
        rate = agent["success_rate"]
        bars = np.abs(np.array([success_interval(agent)]).T - rate)
        look = {"color": "0.5", "markerfacecolor": "white", "capsize": 4, "markersize": 7}
        panel.errorbar(
            [0.88],
            [rate],
            bars,
            fmt=METRIC_MARKERS["imagined"],
            label="level 1 of the stack, imagined",
            **look,
        )
    for metric in ("critic", "imagined"):
        line = sorted(
            (agent for agent in own if agent["metric"] == metric), key=lambda agent: agent["levels"]
        )
        xs, rates = [agent["levels"] for agent in line], [agent["success_rate"] for agent in line]
        bars = np.abs(np.array([success_interval(agent) for agent in line]).T - rates)
        look = {"color": METRIC_COLOURS[metric], "capsize": 4, "markersize": 8, "label": f"metric {metric}"}
        panel.errorbar(xs, rates, bars, fmt=f"{METRIC_MARKERS[metric]}-", **look)
        if metric == "imagined":
            for x, rate, agent in zip(xs, rates, line):
                few = f" (n = {agent['episodes']})" if agent["episodes"] < line[-1]["episodes"] else ""
                text = f"{100 * rate:.1f}{few}"
                look = {"textcoords": "offset points", "va": "top", "color": METRIC_COLOURS[metric]}
                panel.annotate(text, (x, rate), (7, -5 if rate > 0.9 else 3), **look)
    runs = {
        metric: max(agent["episodes"] for agent in own if agent["metric"] == metric)
        for metric in ("critic", "imagined")
    }
    told = ", ".join(f"{metric} {n}" for metric, n in runs.items())
    told = f"n = {runs['critic']}" if len(set(runs.values())) == 1 else f"n: {told}"
    steps = np.mean(line[-1]["oracle_steps"])
    panel.set_xticks(range(1, 5), ["flat", "2", "3", "4"])
    panel.set(xlabel="levels of the agent", xlim=(0.5, 4.7), ylim=(-0.02, 1.08))
    panel.set_title(f"{rooms} ({told})\nmean shortest way: {steps:.0f} steps")
panels[0].set_ylabel("success rate")
panels[0].set_yticks(np.linspace(0, 1, 6), [f"{p} %" for p in range(0, 101, 20)])
panels[1].legend(loc="center right")
figure.suptitle(
    "How much levels matter depends on the nesting and on the metric (bars: 95 % intervals)",
    fontweight="bold",
)
plt.show()

# %% [markdown]
# ### Success against compute
#
# So far everybody had the same budget. What if it shrinks? Each line is one number of levels from starved to well fed, against
# what an episode really took: perception, every candidate, forward and backward. Two lines of one colour are two ways to
# search: the cheap one draws candidates and takes the best, the other improves them by gradient (with too few candidates to
# begin with at small budgets). The flat agents (filled blue) were trained and tuned for themselves. Under the critic they are the
# cheapest at any success, because to write the floor plan down for the upper levels costs more than all they do. Under
# `imagined` the walks that the metric is measured on cost most, and flat agents need a good metric most: three levels get by with
# a quarter of the walks, and reach the best that the flat agent ever does with less than a third of its compute (card
# `told-nested-d3`). On 8 x 8 rooms four levels beat three once both have candidates enough; starved, they are behind.


# %%
def curve(name):
    """Records with several budgets that a card has."""
    return read_records(str(files("hjepa").joinpath("published", name, "curve.json")))


for name, metric in (
    ("told-nested-d3", "critic"),
    ("told-nested-d3", "imagined"),
    ("told-nested-d4", "critic"),
    ("told-nested-d4", "imagined"),
):
    figure = hjepa.figures.success_by_compute(
        [record for record in curve(name) if record["metric"] == metric]
    )
    figure.suptitle(f"Success by compute, {SIZES[name]}, metric {metric}", fontweight="bold")
    display(figure)

# %% [markdown]
# ## How to go on
#
# - `hjepa ablate --preset told-nested-d3 --levels 1,2,3,4 --metric l2,critic --out sweep` runs the whole one; `hjepa report sweep`
#   makes a page of it, with every number's file.
# - `04_inside_the_costs`: what the metrics see, and which part of an agent holds it back.
# - `05_your_own_task`: an ablation of a world of your own, from nothing.
