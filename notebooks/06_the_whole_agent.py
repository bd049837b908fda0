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
# # The whole agent: what is each box for?
#
# **Question.** LeCun's objective-driven agent has boxes around its world model: perception, short-term memory, cost (with
# guardrails and a critic), configurator, actor. Which of them can it do without?
#
# **Answer.** On 24 missions (fetch a key, open a door, reach a goal, keep out of forbidden cells, see seven by seven cells at a time)
# the whole agent does all. Without the guardrail it does 8 %, without the legs of the mission 33 %. Without memory it does 92 %, by longer
# ways. Upper levels it does not need on so small a plan: level 1 alone does all too, by shorter ways and twice the compute (section 6).
#
# The weights are `told-nested-keys-d2`: what is seen of the door, the key and the agent's place is handed to level 1 as
# numbers (`hjepa/published/told.md`). They were trained on floor plans seen whole, without missions, guardrails or partial views: the boxes are
# put together here, and nothing is trained.

# %%
# %matplotlib inline
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown

import hjepa
from hjepa.config import with_plan
from hjepa.devices import fix_threads
from hjepa.evaluation.evaluate import make_agent, play
from hjepa.figures.believed import believed_legend, draw_believed
from hjepa.figures.floor import draw_agent
from hjepa.figures.groups import interval
from hjepa.figures.style import FAINT, INK
from hjepa.gridworld.configurator import Configurator
from hjepa.gridworld.guardrails import Region
from hjepa.gridworld.missions import read_mission, sample_missions
from hjepa.gridworld.short_term_memory import Memory, remembering
from hjepa.model.perception import Perception
from tasks import make_batched, task_spec
from tasks.mission_oracles import mission_steps
from tasks.observations import DOOR, KEY, grid_to_walls

fix_threads()
TASK, EPISODE = "hjepa/NestedPartialKeys-d2-v0", 4
spec = task_spec(TASK)
print(spec.description)

# %% [markdown]
# ## 1. The mission is data
#
# A mission is a list of legs and what to keep out of; here in YAML, on one line. `across` lays cells across the shortest way of every floor plan, so
# that nobody arrives who does not walk around them. The mission says *where* key, door and goal are; where the walls are it does not say.

# %%
mission = read_mission("{do: [{fetch: key}, {open: door}, {reach: goal}], avoid: across}")
episodes, missions = sample_missions(TASK, mission, "test", None, 24, seed=0)
print(
    f"{len(episodes)} test episodes, the shortest allowed way takes {episodes.oracle_steps.mean():.0f} steps on average"
)

# %% [markdown]
# ## 2. The boxes
#
# Each box is an attribute of `hjepa.Agent` with a protocol; whatever keeps the protocol can take its place.

# %%
stack = hjepa.load_stack("told-nested-keys-d2")
settings = with_plan(stack.config, ["plan.start=distance"]).plan
agent = make_agent(
    stack, spec, hjepa.AgentOptions(levels=3, settings=settings, memory=remembering("map"), record=True)
)
boxes = [
    ("world model", agent.stack, f"{agent.depth} JEPA levels"),
    ("perception", agent.perception, Perception.__name__),
    ("short-term memory", agent.memory, Memory.__name__),
    ("critic", agent.stack.critics, "one per level"),
    ("guardrails", agent.guardrails, "none of its own: the mission brings some"),
    ("configurator", agent.configurator, Configurator.__name__),
    ("planner", agent.planner, "slow: top down, gradient MPC at every level"),
    ("actor", agent.stack.actors, "fast: one policy per level, distilled from plans"),
]


def table(head, lines):
    return Markdown("\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines]))


table(
    ["box", "is a", "protocol, or what it holds"],
    [[name, f"`{type(part).__name__}`", note] for name, part, note in boxes],
)

# %% [markdown]
# ## 3. One episode, step by step
#
# This loop is all there is: observe, act. Inside of `act` the agent writes what it sees into its memory, sees whether a leg is done,
# sets which levels are in use, measures anew what has changed, and plans where a plan is due. We look over its shoulder and keep what it believes.

# %%
one = episodes.select(slice(EPISODE, EPISODE + 1))
mine = missions.select(slice(EPISODE, EPISODE + 1))
world = make_batched(spec, 1)
observation, _ = world.reset(options={"episodes": one})
state = agent.begin(observation, mine, torch.tensor([EPISODE]))
moments, done = [], False


def handed_down(state):
    """Level -> where the subgoal lies that it set last; none of a level that is skipped now."""
    latest = {each.level: each for each in state.plan.decisions if each.level <= int(state.plan.top[0]) + 1}
    return {
        level: agent.stack.probe(level - 1).expected(each.plan.latents[0, :1])[0].numpy()
        for level, each in latest.items()
        if level > 1 and not each.skipped[0]
    }


while not done:
    action = agent.act(state, observation)
    pose = observation["pose"][0].copy()
    field = state.plan.levels[0].field[0].amin(0)
    moments.append(
        {
            "pose": pose,
            "known": state.short_term.read()[0],
            "leg": int(state.course.leg[0]),
            "aim": state.goal[0, :2].numpy().copy(),
            "steps to go": field.numpy().copy(),
            "levels": int(state.plan.top[0]) + 1,
            "subgoals": handed_down(state),
        }
    )
    observation, _, terminated, truncated, _ = world.step(action)
    done = bool(terminated[0] or truncated[0])
path = np.stack([moment["pose"] for moment in moments] + [world.agent[0]])
allowed = not mine.avoid[0][path[:, 0], path[:, 1]].any()
print(
    f"{len(moments)} steps; the shortest allowed way has {one.oracle_steps[0]}; kept out of forbidden cells: {allowed}"
)

# %% [markdown]
# Above: what the agent knows (white and dark cells), what it has not seen (dotted; it believes in plain floor there), where it has been, and what it is
# after. Numbered rings are subgoals: the place that a level wants to be at after its next step, which the level below plans towards. A level is *skipped*,
# and draws none, while the aim is nearer than it looks.
# Below: the critic's steps to go to the state that the current leg aims at. When a wall turns up the field is spread anew, and
# when a leg is done it is another field altogether.

# %%
LEGS = ["fetch the key", "open the door", "reach the goal"]
key, door = (np.argwhere(one.grid[0, ..., 0] == code)[0] for code in (KEY, DOOR))


def draw(axes, moment, walked, zone=None):
    """One moment: what the agent believes, is after, and hands down."""
    names = ("known", "pose", "aim", "subgoals")
    draw_believed(
        axes,
        walked=walked,
        goal=one.goal[0],
        avoid=mine.avoid[0],
        zone=zone,
        key=key,
        door=door,
        **{name: moment[name] for name in names},
    )


highest_subgoal = max(level for moment in moments for level in [1, *moment["subgoals"]])
legs = np.array([moment["leg"] for moment in moments])
first = [0, *(np.flatnonzero(legs == leg)[0] for leg in (1, 2) if (legs == leg).any())]
shown = sorted(
    {*first, *(int(a + b) // 2 for a, b in zip(first, [*first[1:], len(moments)])), len(moments) - 1}
)
figure, panels = plt.subplots(2, len(shown), figsize=(2.35 * len(shown), 5.6), layout="constrained")
highest = max(moment["steps to go"][~grid_to_walls(one.grid)[0]].max() for moment in moments)
for column, step in zip(panels.T, shown):
    moment = moments[step]
    draw(column[0], moment, path[: step + 1])
    column[0].set_title(f"step {step}: {LEGS[moment['leg']]}", fontsize=9)
    image = column[1].imshow(moment["steps to go"].T, cmap="cividis_r", vmin=0, vmax=min(highest, 40))
    draw_agent(column[1], moment["pose"], size=0.36, face="white")
    column[1].plot(*moment["aim"], "o", markersize=15, fillstyle="none", color=INK, markeredgewidth=1.6)
    column[1].set(xticks=[], yticks=[])
panels[0, 0].set_ylabel("known and walked")
panels[1, 0].set_ylabel("critic, level 1")
figure.colorbar(image, ax=panels[1], label="steps to go (40 and more: dark)", shrink=0.8)
figure.legend(
    handles=believed_legend(highest_subgoal), loc="outside lower center", ncols=5, fontsize=8.5, frameon=False
)
plt.show()

# %% [markdown]
# ## 4. What the configurator did
#
# With each leg the aim changes, and with the aim the distance. The configurator leaves out levels that look further than what is left: a level that plans
# eight steps ahead has nothing to say about a key that is three steps away. When everything is near, level 1 plans alone.

# %%
steps = np.arange(len(moments))
figure, (upper, lower) = plt.subplots(
    2, 1, figsize=(9, 4.6), sharex=True, layout="constrained", height_ratios=[3, 2]
)
left = [moment["steps to go"][tuple(moment["pose"][:2])] for moment in moments]
upper.plot(steps, left, color=INK)
upper.set(ylabel="steps to go\n(critic, at the agent)", ylim=(0, 1.25 * max(left)))
for leg, begun in enumerate(first):
    for axes in (upper, lower):
        axes.axvline(begun, color=FAINT, linewidth=1)
    upper.annotate(
        LEGS[leg],
        (begun, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, -12),
        textcoords="offset points",
        fontsize=9,
    )
lower.step(steps, [moment["levels"] for moment in moments], where="post", color=INK)
lower.set(ylabel="levels in use", yticks=[1, 2, 3], ylim=(0.6, 3.4), xlabel="environment step")
for axes in (upper, lower):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## 5. A zone that is drawn while it walks
#
# A guardrail is a constraint, not a weight: candidates that break it lose to all that do not, at every level, and an action that would lead in is replaced. So it
# may also change on the way. Here somebody forbids, in the middle of the episode, a cell ahead of the agent: the
# first on its way that leaves another one.

# %%
observation, _ = world.reset(options={"episodes": one})
agent.guard([])
state = agent.begin(observation, mine, torch.tensor([EPISODE]))


def still_open(agent, cells):
    """The first of the cells (N, 2) that can be forbidden and leaves a way for what is left of the mission; (W, H) bool."""
    for cell in cells[(cells != agent[0, :2]).any(-1)]:
        forbidden = mine.avoid.copy()
        forbidden[0, cell[0], cell[1]] = True
        if mission_steps(one.barriers, agent, replace(mine, avoid=forbidden), spec.step_budget // 2)[0] > 0:
            return forbidden[0] & ~mine.avoid[0]
    raise ValueError("every cell ahead is the only way")


drawn, detour, halfway = None, [], 2
for step in range(spec.step_budget):
    if step == halfway:
        drawn = still_open(observation["pose"], path[step + 1 :, :2])
        agent.guard([Region(drawn)], state)
    detour.append(observation["pose"][0].copy())
    action = agent.act(state, observation)
    if step == halfway:
        then = {
            "known": state.short_term.read()[0],
            "pose": detour[-1],
            "aim": state.goal[0, :2].numpy().copy(),
            "subgoals": handed_down(state),
        }
    observation, _, terminated, truncated, _ = world.step(action)
    if terminated[0] or truncated[0]:
        break
detour = np.stack([*detour, world.agent[0]])
after = detour[halfway + 1 :]
print(
    f"drawn at step {halfway}: cell {np.argwhere(drawn)[0].tolist()}; entered later: {bool(drawn[after[:, 0], after[:, 1]].any())}"
)
print(f"{len(detour) - 1} steps instead of {len(path) - 1}; goal reached: {bool(terminated[0])}")

# %%
last = {
    "known": state.short_term.read()[0],
    "pose": detour[-1],
    "aim": state.goal[0, :2].numpy(),
    "subgoals": {},
}
figure, panels = plt.subplots(1, 3, figsize=(10, 4.1), layout="constrained")
draw(panels[0], moments[-1], path)
panels[0].set_title(f"no zone: {len(path) - 1} steps", fontsize=10)
draw(panels[1], then, detour[: halfway + 1], drawn)
panels[1].set_title(f"step {halfway}: somebody draws a zone", fontsize=10)
draw(panels[2], last, detour, drawn)
panels[2].set_title(f"around the zone: {len(detour) - 1} steps", fontsize=10)
figure.legend(
    handles=believed_legend(highest_subgoal, zone=True),
    loc="outside lower center",
    ncols=5,
    fontsize=8.5,
    frameon=False,
)
plt.show()

# %% [markdown]
# ## 6. Every box taken out, one at a time
#
# The same 24 test missions, the same weights, the same compute. *Done*: all legs in order without ever standing in a forbidden cell. What each box is for shows
# in what is lost without it.

# %%
straight = replace(
    missions, verb=missions.verb[:, -1:], place=missions.place[:, -1:], slot=missions.slot[:, -1:]
)
free = replace(missions, avoid=np.zeros_like(missions.avoid))


def measure(name, asked=missions, zones=None, levels=3, memory="map", settings=settings):
    playing = make_agent(
        stack, spec, hjepa.AgentOptions(levels=levels, settings=settings, memory=remembering(memory))
    )
    results = play(playing, spec, episodes, 0, 0, zones, asked).results
    won = results.success.astype(bool)
    return {
        "agent": name,
        "done, %": 100 * won.mean(),
        "entered, %": 100 * results.violated.mean(),
        "path / shortest": np.mean(results.steps[won] / episodes.oracle_steps[won]) if won.any() else np.nan,
        "GFLOP": results.flops.mean() / 1e9,
    }


rows = [
    measure("whole"),
    measure("no memory: the view of now, every plan anew", memory="none"),
    measure("no guardrail", free, missions.avoid),
    measure("no legs: straight for the goal", straight),
    measure("no configured levels: all three from the start", settings=replace(settings, start="top")),
    measure("level 1 alone", levels=1),
    measure("level 1 alone, at a glance: its actor", levels=1, settings=replace(settings, planner="actor")),
]
formats = ["{}", "{:.0f}", "{:.0f}", "{:.2f}", "{:.1f}"]
table(list(rows[0]), [[form.format(value) for form, value in zip(formats, row.values())] for row in rows])

# %%
figure, axes = plt.subplots(figsize=(8.5, 3.2), layout="constrained")
shares = [row["done, %"] for row in rows]
bounds = 100 * np.array([interval(share / 100, len(episodes)) for share in shares]).T
place = np.arange(len(rows))
colours = ["0.25", *["0.65"] * (len(rows) - 1)]
axes.barh(place, shares, color=colours, height=0.6)
axes.errorbar(shares, place, xerr=bounds, fmt="none", color=INK, capsize=3)
axes.set(yticks=place, yticklabels=[row["agent"] for row in rows], xlim=(0, 103))
axes.set_xlabel(f"missions done, % of {len(episodes)}, with 95 % interval")
axes.invert_yaxis()
axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# Guardrails and legs are what the mission cannot be done without. Memory is not: from most cells of so small a plan a view
# of 7x7 shows what matters, and nearly all missions are done without any, by a longer way (on 4x4 rooms it is needed: card
# `agent`). Levels are another matter: the critic orders states so well on so small a plan that
# level 1 alone arrives by the shorter way, with twice the compute (cards `told-nested-d3` and `told-nested-d4` say where levels pay). Its actor acts at a fraction of
# that compute, and nearly as well.
#
# **What to try next.** Another mission: write your own line in section 1. Another memory: `memory="ring:4"`. A box of your own: anything
# that keeps the protocol, `hjepa.AgentOptions(configurator=...)`. And on a larger plan the same episode without keys:
#
# ```bash
# hjepa plan --checkpoint told-nested-d3 --task hjepa/NestedPartial-d3-v0 --memory map --levels 1,2,3 --json parts.json
# ```
