"""Say how many levels to use, and which strides to train, from measurements that plan nothing.

Measured are, of every level: how far its imagination can be trusted, how fast and slow its latent changes, how well its
distance orders states by the way to the goal, and how often hops to whatever is nearest to the goal arrive (the descent
test). Without --data a few trajectories are collected for the run's own task and thrown away afterwards.
"""

from __future__ import annotations

from typing import Any

from hjepa.commands._options import add_allow, seeds, whole
from hjepa.places import output_file
from levels.metrics_names import METRICS


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("run", metavar="RUN", help="shipped weights, or a run folder")
    add("--data", metavar="DIR", help="trajectories made by collect; default: collected for the run's task")
    add("--metric", metavar="M", help=f"of the goal cost: {', '.join(METRICS)}; default: the run's")
    add("--layouts", type=whole(1, 1000), default=4, metavar="N", help="measured on; default: 4")
    add("--seed", type=seeds, default=0, metavar="S", help="of all draws; default: 0")
    add("--json", metavar="FILE", help="where the measurements go as well")
    add_allow(parser)


def run(options: Any) -> None:
    file = None if options.json is None else output_file(options.json)

    from hjepa.advice.advisor import advice_table, advise_run
    from hjepa.json_files import write_json

    found = advise_run(options.run, options.data, options.metric, options.seed, options.layouts)
    print(advice_table(found))
    if file is not None:
        write_json(file, found.as_json())
