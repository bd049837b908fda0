"""Collect trajectories: of any Gymnasium environment, for a preset, or from a dataset of others.

Exactly one of --env, --preset and --from says of what. --env and --from write an observation store, what was seen and
done and nothing else (beside state/, which may be deleted); --preset writes the store that the preset learns from.
A killed run continues where it stopped; a finished store with the same arguments is kept as it is.
"""

from __future__ import annotations

import json
import os
from typing import Any

from hjepa.commands._options import add_overrides, progress_bar, seeds, whole, words
from hjepa.errors import InputError
from hjepa.places import output_folder

EPISODES = 500

_ENV_ALONE = ("policy", "episodes", "length", "layouts", "linger", "seed", "observe", "split")


def add_arguments(parser: Any) -> None:
    parser.add_argument("--env", metavar="ID", help="a Gymnasium environment, also module:Id-v0")
    parser.add_argument("--preset", metavar="NAME", help="a preset, or a YAML file like one")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="WHAT",
        help="FILE.npz as OGBench writes it, FILE.h5 as stable-worldmodel does, or minari:NAME",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the store")
    text = "with --env: random (default), persistent, headlong, curious, explorer (world's own) or module:function"
    parser.add_argument("--policy", metavar="POLICY", help=text)
    parser.add_argument("--episodes", type=whole(1), metavar="N", help=f"with --env; default: {EPISODES}")
    text = "with --env: most observations of an episode; default: until the environment ends it"
    parser.add_argument("--length", type=whole(2), metavar="L", help=text)
    text = (
        "with --env: different seeds to reset with, each for as many episodes; default: one for every episode"
    )
    parser.add_argument("--layouts", type=whole(1), metavar="N", help=text)
    text = "with --env: rows kept of an episode after the world has ended it, in which it stays as it is; default: 0"
    parser.add_argument("--linger", type=whole(0), metavar="N", help=text)
    parser.add_argument("--seed", type=seeds, metavar="S", help="with --env: of all draws; default: 0")
    text = "with --env: image, symbols or vector; default: what the environment shows"
    parser.add_argument("--observe", choices=["image", "symbols", "vector"], help=text)
    text = "with --env: whose seeds to reset with; default: train"
    parser.add_argument("--split", choices=["train", "validation", "test"], help=text)
    text = "with --from FILE.h5: columns that are seen, as pixels,proprio; default: pixels, or all there are"
    parser.add_argument("--senses", type=words, metavar="NAMES", help=text)
    add_overrides(
        parser,
        "with --preset one value of it, as collect.plans=100; with --env an argument of the environment, as"
        " size=8, or pixels=32, step_budget=200; may be repeated",
    )


def continues(_: Any) -> bool:
    """Whether the same command goes on where an interrupted one stopped."""
    return True


def run(options: Any) -> None:
    given = [name for name in ("env", "preset", "source") if getattr(options, name) is not None]
    if len(given) != 1:
        named = ", ".join("--from" if name == "source" else f"--{name}" for name in given) or "none"
        raise InputError(f"{named} of --env, --preset and --from", "collect", "give exactly one of the three")
    refused = [] if given == ["env"] else list(_ENV_ALONE)
    if given != ["source"]:
        refused.append("senses")
    for name in refused:
        if getattr(options, name) is not None:
            raise InputError(
                f"--{name} goes with {'--from' if name == 'senses' else '--env'}", "collect", "leave it out"
            )
    {"env": _from_environment, "preset": _for_preset, "source": _from_dataset}[given[0]](options)
    print(options.out)


def _for_preset(options: Any) -> None:
    from hjepa.config import load_preset
    from hjepa.sweeps.sweep import collect_store

    config = load_preset(options.preset, options.overrides)
    out = output_folder(options.out)
    with progress_bar("collect", "episode") as progress:
        collect_store(config, out, progress)


def _from_environment(options: Any) -> None:
    from tasks import StoreError, collect_world, open_world, world_spec
    from tasks.world_collection import draws_split

    arguments = dict(_argument(text) for text in options.overrides)
    split = options.split or "train"
    if draws_split(options.env):
        arguments.setdefault("split", split)
    try:
        world = open_world(
            world_spec(options.env, options.observe, **arguments), real=bool(arguments.get("real"))
        )
        with progress_bar("collect", "episode") as progress:
            collect_world(
                world,
                options.out,
                options.policy or "random",
                episodes=EPISODES if options.episodes is None else options.episodes,
                length=options.length,
                seed=options.seed or 0,
                split=split,
                layouts=options.layouts,
                linger=options.linger or 0,
                progress=progress,
            )
        world.close()
    except StoreError:
        raise
    except ValueError as error:
        raise InputError(str(error), "collect") from error


def _from_dataset(options: Any) -> None:
    from tasks.import_files import import_hdf5, import_npz
    from tasks.minari_data import import_minari

    source = options.source
    if options.overrides:
        raise InputError("--set goes with --env or --preset", "collect", "leave it out")
    kind = "minari" if source.startswith("minari:") else os.path.splitext(source)[1].lower()
    if options.senses is not None and kind not in (".h5", ".hdf5"):
        raise InputError("--senses goes with FILE.h5", "collect", "leave it out")
    with progress_bar("import", "episode") as progress:
        if kind == "minari":
            import_minari(source.removeprefix("minari:"), options.out, progress)
        elif kind == ".npz":
            import_npz(source, options.out, progress)
        elif kind in (".h5", ".hdf5"):
            import_hdf5(source, options.out, options.senses, progress)
        else:
            raise InputError(f"--from {source}", "collect", "give FILE.npz, FILE.h5 or minari:NAME")


def _argument(text: str) -> tuple[str, Any]:
    """Name and value of ``key=value``; the value as JSON where it is some, else as a word."""
    name, _, value = text.partition("=")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value.strip()
