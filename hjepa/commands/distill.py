"""Distil the plans of a checkpoint into actors, which act at a glance: the fast mode of the agent.

From moments of training trajectories the agent plans with every number of levels, and each level learns what its plans
did. The actors are kept in
the folder of the checkpoint, beside weights that stay as they are. Plan with them by `--planner actor`, or give the
planners candidates of theirs by `--set plan.actor=16`.

With `--from data` nothing is planned: actors clone what the trajectories of a store did on the way to where they came
later (goal-conditioned behaviour cloning), of stacks that are told and of those that see. Follow them by
`--planner clone`, which takes their likeliest action and compares nothing.
"""

from __future__ import annotations

from typing import Any

from hjepa.commands._options import add_allow, add_device, seeds, whole


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="NAME_OR_DIR", help="shipped weights, or a run folder")
    add("--data", required=True, metavar="DIR", help="a trajectory store made by collect")
    add(
        "--from",
        dest="source",
        choices=["plans", "data"],
        default="plans",
        help="what is learned: plans of the agent, or what the data did; default: plans",
    )
    add(
        "--questions",
        type=whole(1, 10_000_000),
        default=6000,
        metavar="N",
        help="plans made with each number of levels, or pieces of trajectories; default: 6000",
    )
    add("--steps", type=whole(1), default=4000, metavar="N", help="of the optimiser; default: 4000")
    add("--hidden", type=whole(1, 16_384), default=128, metavar="N", help="width of the actors; default: 128")
    add("--seed", type=seeds, default=0, metavar="S", help="default: 0")
    add(
        "--out", metavar="DIR", help="folder of a copy that gets them, as shipped weights need; default: none"
    )
    add_device(parser)
    add_allow(parser)


def run(options: Any) -> None:
    from hjepa.training.actor_distillation import distill

    distill(
        options.checkpoint,
        options.data,
        options.questions,
        options.steps,
        options.hidden,
        options.seed,
        options.device,
        out=options.out,
        source=options.source,
    )
