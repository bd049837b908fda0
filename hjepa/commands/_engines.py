"""Options that choose where the cells of an ablation run, and the engine they make."""

from __future__ import annotations

from typing import Any

from hjepa.commands._options import assignment, between, whole
from hjepa.errors import InputError

ENGINES = ("local", "ray", "slurm")

_OWNERS = {"ray_address": "ray"} | {
    f"slurm_{name}": "slurm" for name in ("cluster", "partition", "time", "mem", "array", "parameters")
}
"""Options that only one engine has."""


def add_engine(parser: Any) -> None:
    """``--engine`` and what the engines need."""
    add = parser.add_argument
    add("--engine", choices=list(ENGINES), default="local", help="where cells run; default: local processes")
    add(
        "--workers",
        type=whole(1, 100_000),
        metavar="W",
        help="cells at once; default: local 2, else what there is room for",
    )
    add("--cpus", type=whole(1, 4096), default=1, metavar="C", help="CPUs and threads of a cell; default: 1")
    add(
        "--gpus",
        type=between(0, 1024),
        default=0,
        metavar="G",
        help="GPUs of a cell; with ray 0.5 puts two on one, a local worker sees one; default: 0, on the CPU",
    )
    add(
        "--retries",
        type=whole(0, 1000),
        default=3,
        metavar="R",
        help="of a cell whose machine is lost (ray) or whose time is up (slurm); default: 3",
    )
    add(
        "--ray-address", metavar="HOST:PORT", help="default: RAY_ADDRESS, a Ray on this machine, or a new one"
    )
    add(
        "--slurm-cluster",
        choices=["slurm", "local"],
        help="local: the same jobs as processes here, to try things out; default: slurm",
    )
    add("--slurm-partition", metavar="NAME", help="default: the cluster's")
    add("--slurm-time", type=whole(1), metavar="MINUTES", help="limit of a cell; default: 240")
    add(
        "--slurm-mem",
        type=between(0, 1e6, above=True),
        metavar="GB",
        help="memory of a cell; default: the cluster's",
    )
    add("--slurm-array", type=whole(1), metavar="N", help="most cells in one job array; default: 1000")
    add(
        "--slurm-set",
        dest="slurm_parameters",
        action="append",
        type=assignment,
        metavar="KEY=VALUE",
        help="any other option of sbatch, as account=vision; may be repeated",
    )


def make_engine(options: Any) -> Any:
    """The engine that the options ask for.

    Raises:
        InputError: an option of another engine, a value that cannot be, or an extra that is not installed.
    """
    from hjepa.sweeps.engines import LocalProcesses, RayCluster, Slurm

    for name, owner in _OWNERS.items():
        if getattr(options, name) is not None and owner != options.engine:
            shown = "set" if name == "slurm_parameters" else name.partition("_")[2]
            raise InputError(
                f"--{owner}-{shown} with --engine {options.engine}", "ablate", f"add --engine {owner}"
            )
    shared = {"cpus": options.cpus, "gpus": options.gpus}
    if options.engine == "local":
        return LocalProcesses(2 if options.workers is None else options.workers, **shared)
    shared |= {"workers": options.workers, "retries": options.retries}
    if options.engine == "ray":
        return RayCluster(options.ray_address, **shared)
    settings = {
        "cluster": options.slurm_cluster,
        "partition": options.slurm_partition,
        "minutes": options.slurm_time,
        "mem_gb": options.slurm_mem,
        "array_size": options.slurm_array,
    }
    pairs = [text.partition("=") for text in options.slurm_parameters or ()]
    parameters = {key.strip(): value.strip() for key, _, value in pairs}
    given = {name: value for name, value in settings.items() if value is not None}
    return Slurm(**given, parameters=parameters, **shared)
