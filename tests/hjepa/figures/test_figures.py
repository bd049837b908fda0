"""Figures: what is drawn, from hand-made traces, records and run folders; how it looks is for eyes."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import rgb_to_hsv, to_hex, to_rgb
from matplotlib.figure import Figure

import tasks
from hjepa import figures
from hjepa.errors import InputError
from hjepa.evaluation.comparison import Measured
from hjepa.evaluation.evaluate import Results, Trace
from hjepa.evaluation.records import Record, build_record
from hjepa.evaluation.statistics import wilson
from hjepa.figures.groups import METRIC_COLOURS, METRIC_MARKERS, planner_note
from hjepa.figures.measured import Row, rows_figure
from hjepa.figures.routes import Route, Scene, route_panels
from hjepa.figures.style import GOAL
from hjepa.figures.subgoals import runs, same_place
from levels.metrics_names import METRICS
from planners.plan_state import Decision
from planners.protocols import Plan
from tasks.oracles import shortest_actions

TASK = "hjepa/NestedRoomsFixed-d3-v0"
SPANS = (1, 4, 12)
HORIZONS = (4, 3, 4)


class PlainProbe:
    """Reads positions out of latents that are positions."""

    def expected(self, latent: torch.Tensor) -> torch.Tensor:
        return latent[..., :2]


def shortest_walk(batch: tasks.EpisodeBatch) -> np.ndarray:
    """(E, T + 1, 3): every agent on a shortest path; it stands still once it has arrived."""
    table = tasks.distances(batch.walls, batch.goal)
    walked = [batch.start]
    for _ in range(int(batch.oracle_steps.max())):
        action = shortest_actions(batch.walls, table, walked[-1])
        walked.append(tasks.step_agents(batch.walls, walked[-1], action))
    return np.stack(walked, 1)


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Two episodes walked perfectly by three levels that foresee the path; level 3 is skipped in its second plan."""
    batch = tasks.sample_episodes(TASK, "test", episodes=2, seed=0)
    agent = shortest_walk(batch)
    steps = batch.oracle_steps
    decisions = []
    for level in (3, 2, 1):
        span, horizon = SPANS[level - 1], HORIZONS[level - 1]
        # Level 1 plans again after 4 steps, at the end of its plan.
        for number, time in enumerate(range(0, int(steps.max()), max(span, 4))):
            rows = torch.tensor([e for e in range(2) if time < steps[e]])
            ahead = np.minimum(time + span * np.arange(1, horizon + 1), agent.shape[1] - 1)
            latents = torch.from_numpy(agent[rows][:, ahead]).float()
            none = torch.zeros(len(rows))
            plan = Plan(latents, latents, none, none, none, 1, none.double())
            skipped = torch.full((len(rows),), level == 3 and number == 1)
            time_now = torch.full((len(rows),), time)
            decisions.append(Decision(level, rows, time_now, level == 3, plan, latents[:, 0], skipped))
    ones = np.ones(2, dtype=np.int64)
    results = Results(
        ones, steps, ones.astype(float), ones, ones, ones, np.zeros_like(ones), ones.astype(float), ones * 0
    )
    stack: Any = SimpleNamespace(depth=3, probe=lambda k: PlainProbe(), config=SimpleNamespace(task=TASK))
    return Trace(batch, agent, results, decisions, stack)


def record(levels: int, depth: str = "truncated", rate: float = 0.5, **changes: Any) -> dict[str, Any]:
    """40 episodes with shortest paths of 1 to 40 steps, of which the nearest succeed."""
    oracle = np.arange(1, 41)
    success = (oracle <= round(40 * rate)).astype(int)
    given: dict[str, Any] = {
        "task": TASK, "split": "test", "tasks": "uniform", "seed": 0, "levels": levels, "depth": depth,
        "metric": "commute", "planner": "adam", "step_budget": 128, "success": success,
        "steps": np.where(success, oracle, 128), "oracle_steps": oracle, "active_share": np.ones(levels),
        "tflops_per_episode": 0.01 * levels, "random_success_rate": 0.06, "train_seed": 0,
    }  # fmt: skip
    return build_record(**{**given, **changes})


def drawn(figure: Figure, gid: str) -> list[Any]:
    """Every artist with an id, in all panels."""
    return figure.findobj(lambda artist: artist.get_gid() == gid)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def render(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), format="png", dpi=30)


def test_every_level_shows_its_subgoals_where_they_were_imagined(trace: Trace) -> None:
    figure = figures.subgoals(trace, episode=1)
    render(figure)
    steps = int(trace.results.steps[1])
    for level in (1, 2, 3):
        times = np.arange(0, steps, max(SPANS[level - 1], 4))
        if level == 3:
            times = np.delete(times, 1)  # skipped: nobody followed it
        (marks,) = drawn(figure, f"subgoals-level-{level}")
        due = np.minimum(times + SPANS[level - 1], trace.agent.shape[1] - 1)
        np.testing.assert_allclose(marks.get_offsets(), trace.agent[1, due, :2])
        (lines,) = drawn(figure, f"plans-level-{level}")
        assert [len(line) for line in lines.get_segments()] == [HORIZONS[level - 1] + 1] * len(times)
        np.testing.assert_allclose([line[0] for line in lines.get_segments()], trace.agent[1, times, :2])
        (planned,) = drawn(figure, f"planned-level-{level}")
        np.testing.assert_allclose(planned.get_offsets()[:, 0], times)
    (skipped,) = drawn(figure, "skipped-level-3")
    np.testing.assert_allclose(skipped.get_offsets(), [[12, 3]])
    assert not len(drawn(figure, "skipped-level-2")[0].get_offsets())


def test_a_level_has_one_hue_and_later_is_darker(trace: Trace) -> None:
    figure = figures.subgoals(trace, episode=1)
    for level in (1, 2, 3):
        own = rgb_to_hsv(np.array(to_rgb(figures.level_colour(level))))
        seen = [
            drawn(figure, f"{what}-level-{level}")[0].get_facecolors() for what in ("subgoals", "planned")
        ]
        seen.append(drawn(figure, f"plans-level-{level}")[0].get_colors())
        for colours in seen:
            np.testing.assert_allclose(rgb_to_hsv(colours[:, :3])[:, 0], own[0], atol=0.02)
            lightness = colours[:, :3] @ (0.299, 0.587, 0.114)
            assert (np.diff(lightness) < 0).all()
        band = drawn(figure, f"time-level-{level}")[0].get_cmap()
        np.testing.assert_allclose(band(0.0), seen[1][0], atol=1e-6)
        np.testing.assert_allclose(band(0.5)[:3], to_rgb(figures.level_colour(level)), atol=0.01)


def test_plans_above_level_1_are_dashed_as_in_the_moving_picture(trace: Trace) -> None:
    still, moving = figures.subgoals(trace), figures.plan_animation(trace)
    moving._draw_was_started = True  # it is looked at, not shown
    for level in (1, 2, 3):
        (lines,) = drawn(still, f"plans-level-{level}")
        dashed = lines.get_linestyles()[0][1] is not None
        assert dashed == drawn(moving._fig, f"plan-level-{level}")[0].is_dashed() == (level > 1)


def test_panels_run_from_the_top_level_down_with_walls_goal_and_path(trace: Trace) -> None:
    figure = figures.subgoals(trace, episode=0)
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert [title[:7] for title in titles] == ["Level 3", "Level 2", "Level 1"]
    for axes in figure.axes[:3]:
        np.testing.assert_array_equal(axes.images[0].get_array(), trace.episodes.walls[0].T)
    goals = drawn(figure, "goal")
    assert [(mark.get_xdata()[0], mark.get_ydata()[0]) for mark in goals] == [
        tuple(trace.episodes.goal[0, :2])
    ] * 3
    assert len(drawn(figure, "path")) == 3
    shortest = int(trace.episodes.oracle_steps[0])
    assert f"{TASK}, episode 0, 3 levels: reached the goal in {shortest} steps" in texts(figure)


def test_left_to_goal_falls_by_one_each_step_of_a_shortest_path(trace: Trace) -> None:
    (line,) = drawn(figures.subgoals(trace), "left")
    shortest = int(trace.episodes.oracle_steps[0])
    np.testing.assert_array_equal(line.get_ydata(), np.arange(shortest, -1, -1))


def test_part_of_an_episode(trace: Trace) -> None:
    figure = figures.subgoals(trace, start=4, stop=12)
    assert len(drawn(figure, "subgoals-level-2")[0].get_offsets()) == 2
    assert not drawn(figure, "subgoals-level-3")
    said = texts(figure)
    assert "steps 4 to 12 shown" in said and "agent at step 4" in said and "agent at step 12" in said
    whole = texts(figures.subgoals(trace))
    assert "agent at step" not in whole and "\nend\n" in whole


def test_subgoals_on_one_cell_share_a_label(trace: Trace) -> None:
    points = np.array([[1, 1], [4, 1], [1.2, 1.1], [1, 0.9], [9, 9], [4.1, 1]])
    assert same_place(points) == [[0, 2, 3], [1, 5], [4]]
    assert [runs(list(numbers)) for numbers in ((7,), (3, 4), (1, 3, 4, 5), (1, 3, 5, 7, 8, 9))] == [
        "7", "3,4", "1,3–5", "1,3,…,7–9",
    ]  # fmt: skip
    standing = dataclasses.replace(trace, decisions=trace.decisions[:])
    for number, decision in enumerate(standing.decisions):
        if decision.level == 2:
            still = torch.zeros_like(decision.plan.latents) + 3.0
            plan = dataclasses.replace(decision.plan, latents=still)
            standing.decisions[number] = dataclasses.replace(decision, plan=plan)
    labels = drawn(figures.subgoals(standing), "number-level-2")
    made = len(drawn(figures.subgoals(trace), "planned-level-2")[0].get_offsets())
    assert [label.get_text() for label in labels] == [f"1–{made}"]


def test_one_level_alone(trace: Trace) -> None:
    stack: Any = SimpleNamespace(depth=1, probe=lambda k: PlainProbe(), config=trace.stack.config)
    low = dataclasses.replace(trace, stack=stack, decisions=[d for d in trace.decisions if d.level == 1])
    figure = figures.subgoals(low)
    render(figure)
    assert "Level 1: aims at the goal" in texts(figure)


@pytest.mark.parametrize("episode", [-1, 2])
def test_episode_out_of_range(trace: Trace, episode: int) -> None:
    for draw in (figures.subgoals, figures.plan_animation):
        with pytest.raises(InputError, match=f"episode {episode} of a trace of 2; choose from 0 to 1"):
            draw(trace, episode=episode)


def test_what_cannot_be_drawn_of_a_trace(trace: Trace) -> None:
    with pytest.raises(InputError, match="steps 9 to 9 of an episode"):
        figures.subgoals(trace, start=9, stop=9)
    with pytest.raises(InputError, match="record=True"):
        figures.subgoals(dataclasses.replace(trace, decisions=[]))
    with pytest.raises(InputError, match="0 frames per second"):
        figures.plan_animation(trace, fps=0)


def test_level_colours_are_the_same_in_every_figure(trace: Trace, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,level,loss\n" + "".join(f"1,{k},2.0\n" for k in (1, 2, 3)))
    map_of_subgoals = figures.subgoals(trace)
    curves = figures.training_curves(tmp_path)
    rates = figures.success_by_distance([record(k) for k in (1, 2, 3)])
    moving = figures.plan_animation(trace)
    moving_figure = moving._fig
    moving._draw_was_started = True  # it is looked at, not shown
    assert len({figures.level_colour(k) for k in range(1, 7)}) == 6
    for level in (1, 2, 3):
        colour = figures.level_colour(level).lower()
        ring = drawn(map_of_subgoals, f"subgoals-level-{level}")[0].get_edgecolor()[0]
        seen = [ring, drawn(curves, f"level-{level}")[0].get_color()]
        seen += [drawn(rates, f"rate-levels-{level}")[0].get_color()]
        seen += [drawn(moving_figure, f"plan-level-{level}")[0].get_color()]
        assert [to_hex(found) for found in seen] == [colour] * 4
    with pytest.raises(ValueError, match="level 0"):
        figures.level_colour(0)


def test_success_by_levels_draws_rates_intervals_floor_and_ceiling() -> None:
    records = [
        record(1, rate=0.25),
        record(2, rate=0.5),
        record(3, "trained", 0.75),
        record(1, "trained", 0.5),
    ]
    records.append(record(2, rate=0.1, metric="l2"))
    figure = figures.success_by_levels(records)
    render(figure)
    points = {
        gid: [mark.get_ydata()[0] for mark in drawn(figure, gid)]
        for gid in ("rate-commute-truncated", "rate-commute-trained", "rate-l2-truncated")
    }
    assert points == {
        "rate-commute-truncated": [0.25, 0.5],
        "rate-commute-trained": [0.5, 0.75],
        "rate-l2-truncated": [0.1],
    }
    faces = {
        drawn(figure, f"rate-commute-{depth}")[0].get_markerfacecolor() for depth in ("truncated", "trained")
    }
    assert len(faces) == 2 and "white" in faces
    bars = [c.get_segments()[0][:, 1] for c in figure.axes[0].collections if len(c.get_segments())]
    np.testing.assert_allclose(sorted(map(tuple, bars))[-1], wilson(30, 40), atol=1e-9)
    assert drawn(figure, "random")[0].get_ydata()[0] == 0.06
    assert drawn(figure, "shortest")[0].get_ydata()[0] == 1.0
    said = texts(figure)
    assert "random policy\n6 %" in said and "metric: l2, n = 40" in said and "Wilson" in said


def test_a_whole_stack_ends_the_series_of_its_parts_and_of_stacks_trained_with_fewer_levels() -> None:
    deep = [record(1, rate=0.25), record(2, rate=0.5), record(3, "trained", 0.75)]
    figure = figures.success_by_levels(
        [one | {"checkpoint_sha256": "deep"} for one in deep]
        + [record(k, "trained", 0.1 * k) | {"checkpoint_sha256": f"own {k}"} for k in (1, 2)]
    )
    assert len(drawn(figure, "rate-commute-trained")) == 3  # the whole one once
    lines = {
        line.get_linestyle(): line.get_xydata() for line in figure.axes[0].lines if len(line.get_xdata()) > 2
    }
    assert lines.keys() == {"-", "--"}
    np.testing.assert_allclose(lines["-"][:, 1], [0.1, 0.2, 0.75])
    np.testing.assert_allclose(lines["-"][-1], [3, 0.75])
    np.testing.assert_allclose(lines["--"][-1], lines["-"][-1])


def test_a_metric_looks_the_same_beside_any_others() -> None:
    levels = {figures.level_colour(k) for k in range(1, 5)}
    assert set(METRIC_COLOURS) == set(METRIC_MARKERS) == set(METRICS)
    assert len({*METRIC_COLOURS.values(), *levels, GOAL}) == len(METRICS) + 5
    assert len(set(METRIC_MARKERS.values())) == len(METRICS)
    for others in ((), ("critic", "imagined"), ("commute", "critic")):
        figure = figures.success_by_levels([record(1, metric=metric) for metric in ("l2", *others)])
        (mark,) = drawn(figure, "rate-l2-truncated")
        assert (mark.get_color(), mark.get_marker()) == (METRIC_COLOURS["l2"], METRIC_MARKERS["l2"])
    figures.success_by_levels([record(1, metric="a metric of my own")])


def test_differences_have_their_title_and_round_ticks() -> None:
    numbers = [Measured(value, value - 0.1, value + 0.1, 200, 1, ()) for value in (-0.06, 0.41)]
    rows = [Row(f"{k} levels", [(k, number)]) for k, number in enumerate(numbers, 2)]
    figure = rows_figure(rows, 760, "percentage points", zero=True, title="One level more")
    assert figure.get_suptitle() == "One level more"
    assert {round(100 * tick, 6) % 10 for tick in figure.axes[0].get_xticks()} == {0}


def test_the_ceiling_counts_only_paths_that_fit_the_step_budget() -> None:
    figure = figures.success_by_levels([record(1, rate=0.25, step_budget=20, steps=np.full(40, 41))])
    assert drawn(figure, "shortest")[0].get_ydata()[0] == 0.5


def test_tasks_get_their_own_panels() -> None:
    figure = figures.success_by_levels([record(1), record(1, task="hjepa/NestedRooms-d2-v0")])
    assert len(figure.axes) == 2
    assert {axes.get_title().split(",")[0] for axes in figure.axes} == {TASK, "hjepa/NestedRooms-d2-v0"}


def test_success_by_distance_has_a_point_for_every_bin_that_holds_episodes() -> None:
    figure = figures.success_by_distance([record(1, rate=0.5)])
    render(figure)
    # Of 1..8, 9..16, 17..26 and 27..40 steps, those up to 20 succeed.
    assert [mark.get_ydata()[0] for mark in drawn(figure, "rate-levels-1")] == [1.0, 1.0, 0.4, 0.0]
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["1–8\nn=8", "9–16\nn=8", "17–26\nn=10", "27–40\nn=14"]


def test_success_by_compute_places_records_at_their_cost() -> None:
    figure = figures.success_by_compute([record(1), record(3, "trained", 0.9)])
    render(figure)
    places = [drawn(figure, f"rate-levels-{k}")[0] for k in (1, 3)]
    np.testing.assert_allclose([mark.get_xdata()[0] for mark in places], [0.01, 0.03])
    assert figure.axes[0].get_xscale() == "log"
    assert figures.success_by_compute([record(1, tflops_per_episode=0.0)]).axes[0].get_xscale() == "linear"


@pytest.mark.parametrize("name", ["success_by_levels", "success_by_distance", "success_by_compute"])
def test_no_records(name: str) -> None:
    with pytest.raises(InputError, match="no records"):
        getattr(figures, name)([])


def test_training_curves_hold_every_number_of_the_table(tmp_path: Path) -> None:
    rows = ["step,level,loss,inverse", "50,1,4.0,0.5", "100,1,3.0,0.001", "150,2,2.0,", "200,2,1.0,"]
    (tmp_path / "metrics.csv").write_text("\n".join(rows))
    figure = figures.training_curves(tmp_path)
    render(figure)
    loss, inverse = drawn(figure, "level-1")
    assert (list(loss.get_xdata()), list(loss.get_ydata())) == ([50, 100], [4.0, 3.0])
    assert list(inverse.get_ydata()) == [0.5, 0.001]
    assert len(drawn(figure, "level-2")) == 1
    assert "inverse (log)" in texts(figure) and "level 2\nhas no inverse" in texts(figure)
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["level 2", "level 1"]


def test_training_curves_of_chosen_terms(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,level,loss,inverse\n50,1,4.0,0.5\n100,1,3.0,0.1\n")
    figure = figures.training_curves(tmp_path, terms=["inverse"])
    (line,) = drawn(figure, "level-1")
    assert list(line.get_ydata()) == [0.5, 0.1]
    with pytest.raises(InputError, match="terms prior; choose from loss, inverse"):
        figures.training_curves(tmp_path, terms=["prior"])


@pytest.mark.parametrize("content", [None, "step,level,loss\n", "step,level,loss\nten,1,2.0\n", "a,b\n1,2\n"])
def test_training_curves_without_numbers(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(
        InputError, match="metrics.csv: (no such file|holds no numbers|line 2 holds no numbers)"
    ):
        figures.training_curves(tmp_path)


def test_animation_follows_agent_and_plans(trace: Trace, tmp_path: Path) -> None:
    from PIL import Image

    animation = figures.plan_animation(trace, episode=0)
    figure = animation._fig
    animation._func(13)
    agent = trace.agent[0]
    (path,) = drawn(figure, "path")
    np.testing.assert_array_equal(np.stack(path.get_data(), -1), agent[:14, :2])
    (ring,) = drawn(figure, "subgoal-level-2")
    np.testing.assert_allclose(np.stack(ring.get_data(), -1), agent[[16], :2])
    assert not len(drawn(figure, "plan-level-3")[0].get_xdata())  # skipped at step 12
    animation._func(11)
    np.testing.assert_allclose(drawn(figure, "plan-level-3")[0].get_xdata()[:2], agent[[0, 12], 0])
    figures.save_gif(animation, tmp_path / "walk.gif", dpi=15)
    with Image.open(tmp_path / "walk.gif") as picture:
        # Equal neighbours may be merged into one longer frame.
        assert 0.5 * len(agent) < picture.n_frames <= trace.results.steps[0] + 1


def test_side_by_side_waits_for_the_slowest(trace: Trace, tmp_path: Path) -> None:
    less = trace.results.steps - 5
    slow = dataclasses.replace(
        trace,
        results=dataclasses.replace(trace.results, steps=less),
        decisions=[decision for decision in trace.decisions if int(decision.time.max()) < less.min()],
    )
    animation = figures.side_by_side([trace, slow], ["left", "right"])
    figure, steps = animation._fig, int(trace.results.steps[0])
    frames = list(animation._iter_gen())
    assert (
        frames[: steps - 4] == list(range(steps - 4))
        and max(frames) == steps
        and frames[-12:] == [steps] * 12
    )
    animation._func(steps)
    left, right = (np.stack(path.get_data(), -1) for path in drawn(figure, "path"))
    np.testing.assert_array_equal(left, trace.agent[0, : steps + 1, :2])
    np.testing.assert_array_equal(right, trace.agent[0, : steps - 4, :2])
    assert [axes.get_title() for axes in figure.axes] == ["left", "right"]
    animation._func(0)


def test_side_by_side_refuses_what_cannot_be_compared(trace: Trace) -> None:
    with pytest.raises(InputError, match="1 titles of 2 traces"):
        figures.side_by_side([trace, trace], ["one"])
    other = dataclasses.replace(trace, episodes=tasks.sample_episodes(TASK, "test", episodes=2, seed=1))
    with pytest.raises(InputError, match="different tasks"):
        figures.side_by_side([trace, other], ["one", "two"])


def test_figures_leave_pyplot_alone() -> None:
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy(); from hjepa import figures;"
        "from hjepa.figures.style import new_figure; new_figure(1, 1).savefig('/dev/null', format='png');"
        "assert matplotlib.rcParams == before; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_title_of_ways_fits_on_a_phone() -> None:
    walls = np.zeros((5, 5), bool)
    ends = np.array([1.0, 1.0]), np.array([3.0, 3.0])
    routes = [Route(f"{levels} levels", "", levels) for levels in (1, 2)]
    scene = Scene("Episode 173, not solved with 10 levels; shortest way 104 steps", walls, *ends, routes)
    for width in (358, 960):
        figure = route_panels([scene], width)
        figure.canvas.draw()
        title = figure.subfigs[0]._suptitle
        assert title.get_window_extent().x1 < figure.bbox.width
        assert ("\n" in title.get_text()) == (width < 400)


def test_who_plans_differently_is_said_once_per_metric() -> None:
    def rows(metric: str, planners: dict[int, str]) -> list[Record]:
        same = {"task": "t", "split": "test", "tasks": "far", "depth": "trained", "train_seed": 0}
        return [same | {"metric": metric, "levels": n, "planner": name} for n, name in planners.items()]

    critic = rows("critic", {1: "adam", 2: "adam", 3: "adam"}) + rows("commute", {1: "adam"})
    assert planner_note(critic) == ""
    all_other = critic + rows("l2", {1: "sampling", 2: "sampling", 3: "sampling"})
    assert planner_note(all_other) == "planner: adam, but sampling under l2"
    some = critic + rows("l2", {1: "cem", 2: "adam", 3: "cem"})
    assert planner_note(some) == "planner: adam, but cem for 1 level and 3 levels under l2"
