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
# # How a level learns: collapse, and what is known after it
#
# **Question.** A level learns to predict its own latent. Nobody says what the latent has to hold, so one that never changes is predicted perfectly. What keeps a level from it, and what
# does it know in the end?
#
# **Answer.** Something has to push latents apart: a term of the loss, and with enough weight. Without one the latent shrinks to almost nothing in a few dozen steps, while the error of
# prediction looks better and better (section 1). A level that has learned knows where it is and which way it looks; levels above it say where a stride ends, and less and less of what is
# fast (section 3). And it is surprised where a rule of its world is broken, the more so the finer its time scale (section 5).
#
# Trainings here are live and small: one training seed, little data, 100 or 150 steps. They show *that* something happens. They do not rank ways: the card (`hjepa/published/learning/card.md`)
# has the commands for that, and says what has been run.

# %% jupyter={"source_hidden": true}
# %matplotlib inline
import json
import warnings
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np
import torch

import hjepa
import tasks
from hjepa.config import parse_config, read_preset
from hjepa.devices import fix_threads
from hjepa.evaluation.masked_reading import read_masked
from hjepa.evaluation.surprise import Calibration, from_lists, noticed, surprise_of_windows
from hjepa.evaluation.violations import violate
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_path
from hjepa.figures.learning import (
    collapse_curves,
    facts_by_level,
    facts_legend,
    grey_patches,
    noticed_map,
    surprise_along,
)
from hjepa.figures.style import INK, plain_axes
from hjepa.figures.training import METRICS_FILE, read_metrics
from hjepa.training.clips import draw_clips
from hjepa.training.collapse import CollapseWarning
from hjepa.training.fit import fit
from hjepa.training.masked_fit import MaskedRun, fit_masked, read_run
from levels.masked import Masked, MaskedSettings, hidden_tokens
from tasks.observations import grid_to_walls

fix_threads()
TASK, RUNS = "hjepa/NestedRooms-d2-v0", Path(mkdtemp())
CARD = Path(str(files("hjepa").joinpath("published", "learning")))
data = {
    split: tasks.collect(TASK, RUNS / split, plans=plans, episodes_per_plan=4, length=64, seed=0, split=split)
    for split, plans in (("train", 100), ("validation", 32), ("test", 32))
}
print({split: f"{len(store.agent):,} moments" for split, store in data.items()})

# %% [markdown]
# ## 1. Collapse and its cures
#
# Level 1 of `nested-d2`, made small, sees the symbols of nested rooms. Its loss is the error of prediction, a price for change (`similarity`), and what its way not to collapse asks for:
#
# - `vicreg`: every number of the latent has spread 1, and no two of them go together.
# - `sigreg`: latents look like a standard normal from every direction.
# - `rate_reduction`: all latents together take many bits, two moments in a row few.
# - `barlow`: two moments in a row agree in every number, and numbers have nothing in common.
# - `contrastive`: which of several moments is the one that follows?
# - `distillation`: nothing is asked for; predictions aim at a slow copy of the encoder.
# - `none`: nothing, the control.
#
# Each has the weight that it has by default, and no weight was tuned for this notebook. One is shown twice: the default of `sigreg` is 0.1, and the paper's weight comes to 13 at 128 latents (`levels/anti_collapse/sigreg.py`).
#
# While they train, `hjepa fit` watches. Printed is what it says of `none`, and which others it warns of.

# %% jupyter={"source_hidden": true}
STEPS = 100


def learn(name, kind, steps=STEPS, **weights):
    """Train level 1 in its own folder; the warnings of a collapse."""
    content, _ = read_preset("nested-d2")
    content["levels"] = content["levels"][:1]
    content["levels"][0] |= {"rollout": 4, "hidden": 64, "channels": 16, "anti_collapse": kind}
    content["levels"][0]["loss"] |= {"inverse": 0.0} | weights
    content["train"] |= {"steps": [steps], "batch": 128, "plans": 4, "log_every": 10, "metric_trajectories": 32}
    for part in (content, content["plan"]):
        for key in ("critic", "subgoals", "flat"):
            part.pop(key, None)
    content["plan"] |= {"metric": "l2", "horizon": [4], "commit": 2, "share": [1.0]}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit(parse_config(content, name), data["train"].path, RUNS / name, device="cpu", progress=False)
    return [str(each.message) for each in said if each.category is CollapseWarning]


ways = {name: (name, {}) for name in ("none", "vicreg", "sigreg", "distillation", "rate_reduction", "barlow", "contrastive")}
ways["sigreg x130"] = ("sigreg", {"sigreg": 13.0})
said = {name: learn(name, kind, **weights) for name, (kind, weights) in ways.items()}
print("none:", said["none"][0])
print("warned of:", ", ".join(name for name, lines in said.items() if lines))

# %% [markdown]
# Left: `spread` is how far latents are from the mean of their floor plan (root mean square, per number). Middle: `effective rank` counts the directions that they use. Right: a probe learns, beside the level, to read
# where the agent is; its gradient stops, so the level learns nothing from it.

# %% jupyter={"source_hidden": true}
collapse_curves({name: RUNS / name for name in ways}, latent_dim=16, open_marks=["sigreg x130"])


# %% jupyter={"source_hidden": true}
def last(name, terms):
    """What the last logged step shows."""
    curves = read_metrics(RUNS / name / METRICS_FILE)
    return [curves[1, term][1][-1] for term in terms]


def show(names):
    """One line for each training, as it ended."""
    print(f"{'':18}{'spread':>9}{'rank of 16':>12}{'place, cells':>14}{'prediction':>12}{'of copying':>12}")
    for name in names:
        spread, rank, place, error, ahead = last(name, ("spread", "effective_rank", "position_error", "prediction", "ahead_1"))
        print(f"{name:18}{spread:9.4f}{rank:12.1f}{place:14.2f}{error:12.5f}{ahead:12.2f}")


show(ways)

# %% [markdown]
# How to read it. The latents that have shrunk have the smallest errors of prediction, because there is nothing left to predict: in units of what copying the latent would get wrong, the last column, they are far worse than copying. The error of
# prediction alone says nothing about a level; that is why the other columns are logged. Nor does the effective rank alone: it does not depend on scale, and here `none` and `sigreg`, shrunk to almost a point, have the highest of all.
# Those that stayed up know where the agent is to about a cell, yet predict no better than copying: 100 steps are few.
# And `sigreg` shows that a cure without weight is none.
#
# What these few steps cannot say: which way is best. There is one seed, no weight was swept, and some of the ways that are down here may come up later. `hjepa/published/learning/anti_collapse.py` sweeps weights on
# validation tasks and compares several seeds; the card says whether it has been run.

# %% [markdown]
# ## 2. The cure that uses actions
#
# Inverse dynamics asks which action lies between two successive latents. To answer, a latent has to hold what actions change. Here it is without any other cure, once with the preset's weight, 1, and once with 100, for 150
# steps. Left: its loss; the dotted line is what guessing costs, the entropy of actions that change something. Right: the spread.

# %% jupyter={"source_hidden": true}
inverse = {"none, inverse 1": (1.0, "#0072B2", "o"), "none, inverse 100": (100.0, "#D55E00", "s")}
pairs = data["train"].windows(np.random.default_rng(0), 8192, 2, 64)
done = pairs.action[(pairs.agent[:, 0] != pairs.agent[:, 1]).any(-1), 0]  # its loss is about steps that changed something
share = np.bincount(done) / len(done)
guess = -(share[share > 0] * np.log(share[share > 0])).sum()
figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for name, (weight, colour, mark) in inverse.items():
    said[name] = learn(name, "none", 150, inverse=weight)
    curves = read_metrics(RUNS / name / METRICS_FILE)
    for panel, term in zip(panels, ("inverse", "spread")):
        panel.plot(*curves[1, term], color=colour, marker=mark, markersize=5, label=name)
panels[0].axhline(guess, color=INK, linestyle=":", zorder=4)
panels[0].set_title("loss of inverse dynamics, nats", fontsize=10)
panels[1].set_title("spread of a number of the latent", fontsize=10)
panels[1].set_yscale("log")
panels[1].legend(frameon=False)
for panel in panels:
    plain_axes(panel)
    panel.set_xlabel("training step")
plt.show()
show(["none", *inverse])
print(f"guessing costs {guess:.3f} nats; inverse dynamics ends at " + ", ".join(f"{last(name, ['inverse'])[0]:.3f} ({name})" for name in inverse))
print("warned of:", ", ".join(name for name in inverse if said[name]))

# %% [markdown]
# Both losses lie on the line: in so few steps nothing was learned but how frequent actions are. With 100 times the weight the latent keeps more spread, and the collapse is warned of all the same. So inverse dynamics alone is no cure here. It may
# be one in longer trainings (the shipped weights had 3,000 steps of 1,024 windows, beside `vicreg`); `anti_collapse.py` trains every way with it and without.

# %% [markdown]
# ## 3. What a level knows, and what it can say
#
# Now the shipped `nested-d2`, trained for thousands of steps. Probes that learn from its frozen latents read four facts on floor plans of the test split: in which cell the agent is, which way it looks, in which quarter it
# is, and where the passages in the walls are. Filled: read from the latent of the moment. Open: read by the same probe from what the level *imagined* of this moment, one of its strides before. Cross: what
# copying gets right, because a stride left the fact as it was.

# %% jupyter={"source_hidden": true}
measured = json.loads((CARD / "levels-nested-d2.json").read_text())[0]
figure, panels = plt.subplots(1, 4, figsize=(12, 4.1), sharey=True, layout="constrained")
facts_by_level(panels, measured["levels"])
panels[0].set_ylabel("right, % of moments on test floor plans")
facts_legend(figure)
plt.show()

# %% [markdown]
# All levels share level 1's latent, so the filled marks are alike at every level by construction. What differs is what levels can *say*: one stride ahead, upper levels keep the place and lose the heading, more of it the longer the stride.
# The heading may change at every step; which quarter the agent is in lasts. So upper levels drop what is fast in their predictions, not in their latents. They are told here the outcome code that fits best, so this is what they can express,
# not what they know beforehand. Of the passages the latent holds nothing: walls are looked up in the picture where a prediction needs them.
#
# One set of weights, one seed (`hjepa/published/learning/card.md`, under *Abstraction, measured*).

# %% [markdown]
# ## 4. Masked prediction: predict what is hidden, but as a latent
#
# Another way to learn from pictures without labels. A clip of four frames is cut into patches, blocks of space and time are hidden, and what is hidden is predicted from the rest. The question is what to predict: the
# *pixels* of hidden patches, or the *latent* that a slow copy of the network makes of them. The pictures here have texture that nobody can predict: squares that flicker, a field that drifts, frames that dim. In the last row what is hidden is light grey. Pixels ask for all of it, a
# latent may leave it out.

# %% jupyter={"source_hidden": true}
small = MaskedSettings(width=32, depth=2, predictor_depth=1)  # masked.yaml has width 64, depth 4 and 2
clip = draw_clips(data["train"], np.random.default_rng(3), 1, small.frames).frames[0]
plain = draw_clips(data["train"], np.random.default_rng(3), 1, small.frames, flicker=0, drift=0).frames[0]
shape = Masked(clip.shape[1:], small).shape
hidden = hidden_tokens(torch.Generator().manual_seed(0), 1, shape, small)[0].numpy()
rows = {"the world": plain, "with texture": clip, "what is seen": grey_patches(clip, hidden, small.patch)}
figure, panels = plt.subplots(3, 4, figsize=(8, 6.3), layout="constrained")
for line, (name, frames) in zip(panels, rows.items()):
    line[0].set_ylabel(name)
    for number, (panel, frame) in enumerate(zip(line, frames), 1):
        panel.imshow(frame)
        panel.set(xticks=[], yticks=[])
        panels[0, number - 1].set_title(f"frame {number}", fontsize=10)
plt.show()
print(f"hidden: {hidden.mean():.0%} of {hidden.size} patches of {small.patch}x{small.patch} pixels")

# %% [markdown]
# Both targets, trained for a moment, with the settings of `masked.yaml` but a smaller network and 8 clips a step. Afterwards a probe that looks at the last frame's tokens reads facts on test floor plans, from the encoder at step 0 and at the end. `dimming` and `flicker` are texture.

# %% jupyter={"source_hidden": true}
LABELS, TARGETS = 128, {"latent": ("#0072B2", "o"), "pixels": ("#D55E00", "s")}
losses, read = {}, {}
for target in TARGETS:
    run = MaskedRun(replace(small, target=target), steps=60, batch=8, snapshot_every=60, log_every=4)
    folder = fit_masked(run, data["train"].path, RUNS / f"masked-{target}", "cpu", progress=False)
    losses[target] = np.array(read_run(folder)[1]["losses"])
    at = [0, run.steps] if target == "latent" else [run.steps]  # both begin with the same encoder
    read[target] = read_masked(folder, data["train"].path, data["test"].path, [LABELS], LABELS, steps=60, at=at)
chance = {one.fact: 100 * one.chance for one in read["latent"]}
figure, panels = plt.subplots(1, 3, figsize=(12, 4.0), layout="constrained", width_ratios=[1, 1, 2])
for panel, (target, (colour, mark)) in zip(panels, TARGETS.items()):
    plain_axes(panel)
    panel.plot(*losses[target].T, color=colour, marker=mark, markersize=5)
    panel.set(xlabel="training step", ylim=(0, None))
    panel.set_title({"latent": "target latent: absolute error", "pixels": "target pixels: squared error"}[target], fontsize=10)
plain_axes(panels[2])
begun = [100 * one.accuracy for one in read["latent"] if one.step == 0]
panels[2].plot(np.arange(len(chance)) - 0.2, begun, "D", color=INK, markerfacecolor="white", markersize=7, label="step 0, both")
for shift, (target, (colour, mark)) in zip((0.0, 0.2), TARGETS.items()):
    values = [100 * one.accuracy for one in read[target] if one.step == run.steps]
    panels[2].plot(np.arange(len(chance)) + shift, values, mark, color=colour, markersize=8, label=f"{target}, step {run.steps}")
panels[2].hlines(list(chance.values()), np.arange(len(chance)) - 0.35, np.arange(len(chance)) + 0.35, color=INK, linestyle=":", label="chance")
panels[2].set_xticks(range(len(chance)), list(chance))
panels[2].set(ylim=(0, 104), ylabel="read right, %")
panels[2].legend(frameon=False, ncols=3, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.12))
plt.show()

# %% [markdown]
# These few steps decide nothing: most facts are read about as well at step 0. The two losses have different units and cannot be compared; the latent's has an aim that moves, the slow copy. What lies open in one patch, which is one tile of the picture, is read from the
# encoder of step 0 already; probes have few labels, and few steps themselves. The comparison over seeds, at full size, **has not been run**: nothing says so far that predicting latents is better than predicting pixels here, or worse. The command:
#
# ```bash
# python hjepa/published/learning/masked_prediction.py --out runs/masked --seeds 0,1,2 --masks blocks,patches
# ```

# %% [markdown]
# ## 5. Surprise: which level notices a broken rule?
#
# A level predicts its next latent, so it can be surprised. Held-out trajectories say how large its error usually is; from them the error at a step becomes a *p-value*, the share of ordinary steps that surprise it as much. That can be compared
# between levels. A p-value of 0.01 is an alarm.
#
# At the top of a panel a p-value is as small as it can be: no ordinary step surprised that much.
#
# One rule is broken, once: the agent is suddenly elsewhere (`teleport`), or steps through a wall. White triangle: the moment before; dark: the moment after. Everything else obeys the rules. These are the first windows that were drawn.

# %% jupyter={"source_hidden": true}
stack = hjepa.load_stack("nested-d2")
spans, half = stack.config.spans, 12  # a violation lies in the second half of 2 x 12 steps
usual = data["validation"].windows(np.random.default_rng(0), 512, 2 * half + 1, 32)
ordinary = [Calibration(each.ravel()) for each in surprise_of_windows(stack, data["validation"].grids[usual.grid_index[:, 0]], usual.agent, usual.action)]
figure, panels = plt.subplots(2, 2, figsize=(11, 6.6), layout="constrained", width_ratios=[1, 2.3])
for (where, along), kind in zip(panels, ("teleport", "through-wall")):
    made = violate(data["test"], kind, np.random.default_rng(0), 64, half, 32)
    found = surprise_of_windows(stack, made.grid[:1], made.broken[:1], made.action[:1])
    moment, path = int(made.moment[0]), made.broken[0]
    draw_floor_plan(where, grid_to_walls(made.grid[:1])[0])
    draw_path(where, path[:moment], width=3)
    where.annotate("", path[moment, :2], path[moment - 1, :2], arrowprops={"arrowstyle": "->", "linestyle": "--", "color": INK}, zorder=8)
    draw_agent(where, path[moment - 1], face="white")
    draw_agent(where, path[moment])
    where.set_title(f"{kind}, from step {moment - 1} to {moment}", fontsize=10)
    surprise_along(along, [own.p_value(each[0]) for own, each in zip(ordinary, found)], spans, moment)
    along.set_title(f"{kind}: how rare is what happened?", fontsize=10)
    along.annotate("alarm", (0, 0.01), (4, 3), textcoords="offset points", fontsize=9)
panels[1, 1].set_xlabel("environment step; grey: the step that breaks the rule")
panels[0, 1].legend(frameon=False, loc="upper left", ncols=3, fontsize=9, reverse=True)
plt.show()

# %% [markdown]
# A level is surprised at one of *its* steps, so what level 3 says holds for six steps of the world. Level 1 sees one step, and no step leads through a wall. In six steps an agent may get to many places, by doors too, so level 3 has less reason to be
# surprised. How usual these two cases are, from the lists beside the card: 512 windows drawn on 32 test floor plans for each, fewer where a violation can happen seldom. AUROC is the chance that a trajectory with a broken rule surprises more than its control, which
# has the same start and actions; in brackets its 95 % interval, floor plans drawn anew.

# %% jupyter={"source_hidden": true}
lists = {name: json.loads((CARD / f"surprise-{name}.json").read_text()) for name in ("nested-d2", "nested-d3", "told-nested-keys-d2")}
rates = {name: [noticed(from_lists(each)) for each in content["trajectories"]] for name, content in lists.items()}
figure, axes = plt.subplots(figsize=(11.5, 4.2), layout="constrained")
noticed_map(axes, rates)
plt.show()
for name, content in lists.items():
    print(f"{name}: one step of levels 1, 2, ... is {', '.join(map(str, content['spans']))} steps of the world")

# %% [markdown]
# In every column the area falls from level to level: the time scale of a broken rule of one step is level 1's. `told-nested-keys-d2` is handed door, key and place as numbers. Weights of one training seed each. An area is no alarm: upper levels raise one, at a p-value of 0.01, for fewer
# of these violations than the area lets one hope (the card has the shares).
#
# ## Try next
#
# - Another weight: change `{"sigreg": 13.0}` in section 1, or give `{"similarity": 0.0}`. A way of your own: a class beside those in `levels/anti_collapse/`, as `--set levels.0.anti_collapse=module:Name`.
# - `hjepa fit --preset nested-d2 --set levels.0.anti_collapse=barlow ...` logs the same columns of every level into `metrics.csv`; `hjepa.figures.training_curves(run)` draws them.
# - All seven with weights swept, over seeds: `python hjepa/published/learning/anti_collapse.py --data d2.data --out runs --seeds 0,1,2` (hours).
# - What the levels of *your* run know and notice: `measure_levels.py` and `measure_surprise.py` in `hjepa/published/learning/`, with `--checkpoint RUN`.
# - `04_inside_the_costs`: what planning makes of such a latent.
