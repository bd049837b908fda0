"""Teach a checkpoint to see: pictures, as MiniGrid draws them, in the place of symbols.

A small convolutional network learns, on the floor plans of the training data, what the stack makes of their symbols. It
is kept in the folder of the checkpoint, beside weights that stay as they are. Plan with it by
`hjepa plan --perception pixels`.
"""

from __future__ import annotations

from typing import Any

from hjepa.commands._options import add_allow, add_device, seeds, whole


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="NAME_OR_DIR", help="shipped weights, or a run folder")
    add("--data", required=True, metavar="DIR", help="a trajectory store made by collect")
    add("--steps", type=whole(1), default=600, metavar="N", help="of the optimiser; default: 600")
    add("--batch", type=whole(1, 100_000), default=64, metavar="N", help="scenes per step; default: 64")
    add("--hidden", type=whole(1, 4096), default=24, metavar="N", help="channels of the network; default: 24")
    add("--tile", type=whole(1, 256), default=8, metavar="PIXELS", help="a side of one cell; default: 8")
    add(
        "--lava",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="of the floor that is lava on half of the plans; default: 0.1",
    )
    add("--seed", type=seeds, default=0, metavar="S", help="default: 0")
    add(
        "--out", metavar="DIR", help="folder of a copy that gets them, as shipped weights need; default: none"
    )
    add_device(parser)
    add_allow(parser)


def run(options: Any) -> None:
    from hjepa.training.pixel_distillation import learn_to_see

    found = learn_to_see(
        options.checkpoint,
        options.data,
        options.steps,
        options.batch,
        options.hidden,
        options.tile,
        options.lava,
        options.seed,
        options.device,
        out=options.out,
    )
    print("read right on validation plans: " + ", ".join(f"{k} {v:.4f}" for k, v in found.items()))
