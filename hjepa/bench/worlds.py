"""Environment steps, resets included: our batched twins beside MiniGrid with its wrappers, on one core."""

from __future__ import annotations

from collections.abc import Iterator

from hjepa.bench.row import Options, Row, row
from hjepa.errors import InputError
from tasks import task_spec
from tasks.throughput import batched_steps, minigrid_steps

ENVIRONMENTS = 1024
FLOOR = 300.0
"""Times as many steps a second as MiniGrid."""


def rows(options: Options) -> Iterator[Row]:
    """Steps that return symbols, and steps that return RGB images of 8 pixels a cell.

    Raises:
        InputError: a continuous world, which MiniGrid does not have.
    """
    if task_spec(options.task).continuous:
        raise InputError(f"{options.task} is continuous", "bench tasks", "name a task that MiniGrid can step")
    count, seconds = options.amount(ENVIRONMENTS, 8), 2.0 * options.scale
    for seen, ahead, floor in (("symbols", False, FLOOR), ("symbols", True, None), ("RGB", False, FLOOR)):
        many = count if seen == "symbols" else max(count // 16, 8)
        pairs = [
            (
                batched_steps(options.task, many, seconds, seen=seen, ahead=ahead),
                minigrid_steps(options.task, seconds, seen),
            )
            for _ in range(options.repeats)
        ]
        plans = "floor plans drawn ahead" if ahead else "new floor plans included"
        yield row(
            f"steps of {options.task} that return {seen}, {many} at once, resets and {plans}",
            "MiniGrid with its wrapper, one at a time",
            "steps/s",
            pairs,
            floor,
            f"hjepa bench tasks --task {options.task}",
            rates=True,
        )
