"""Environment steps, resets included: our batched twin of MiniGrid's four rooms beside those written in JAX.

NAVIX (arXiv 2407.19396) and XLand-MiniGrid (arXiv 2312.12044) step the same world on the same processor, side by side
and inside of one compiled loop, which is how they are fastest. Compiling is not counted, drawing layouts anew is.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from hjepa.bench.row import Missing, Options, Row, row, timed
from tasks.throughput import batched_steps

TASK = "MiniGrid-FourRooms-v0"
ENVIRONMENTS, STEPS = 1024, 100
"""Side by side, and steps of an episode: MiniGrid's own limit."""
ACTIONS = 3
"""That matter there: turns and a step forward."""
FLOOR = 1.0
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def rows(options: Options) -> Iterator[Row]:
    """Symbols, with new layouts in every episode, and with layouts that were drawn before.

    Raises:
        Missing: neither of them is installed.
    """
    os.environ.setdefault("XLA_FLAGS", ONE_THREAD)  # processor time is of one core on both sides
    makers = {"navix": navix, "xminigrid": xland}
    there = [name for name in makers if importlib.util.find_spec(name) is not None]
    if not there:
        raise Missing(
            "neither navix nor xminigrid is installed", "bench peers", "pip install navix xminigrid"
        )
    count, seconds = options.amount(ENVIRONMENTS, 8), 2.0 * options.scale
    for name in there:
        title, episode = makers[name](count)
        episode()  # compiles, and comes to where episodes end at different times
        for ahead, floor in ((False, FLOOR), (True, None)):
            pairs = [
                (
                    batched_steps(TASK, count, seconds, ahead=ahead),
                    count * STEPS / timed(time.process_time, episode)[0],
                )
                for _ in range(options.repeats)
            ]
            plans = "layouts drawn ahead" if ahead else "new layouts included"
            yield row(
                f"steps of {TASK} that return symbols, {count} at once, resets and {plans}",
                f"{title}, as many at once, compiled, with resets of its own",
                "steps/s",
                pairs,
                floor,
                "hjepa bench peers",
                rates=True,
            )


def navix(count: int) -> tuple[str, Callable[[], None]]:
    """NAVIX's four rooms, which begin anew by themselves; what it shows is the whole grid."""
    jax, package = importlib.import_module("jax"), importlib.import_module("navix")
    env = package.make("Navix-FourRooms-v0", observation_fn=package.observations.symbolic)
    return "NAVIX", _looped(jax, count, env.reset, env.step)


def xland(count: int) -> tuple[str, Callable[[], None]]:
    """XLand-MiniGrid's four rooms, wrapped to begin anew; what it shows is its usual view of 7 x 7 cells."""
    jax, package = importlib.import_module("jax"), importlib.import_module("xminigrid")
    env, parameters = package.make("MiniGrid-FourRooms")
    env = importlib.import_module("xminigrid.wrappers").GymAutoResetWrapper(env)
    return "XLand-MiniGrid", _looped(
        jax,
        count,
        lambda key: env.reset(parameters, key),
        lambda state, action: env.step(parameters, state, action),
    )


def _looped(jax: Any, count: int, reset: Callable[..., Any], step: Callable[..., Any]) -> Callable[[], None]:
    """An episode's steps under random actions in one compiled loop, going on where the last call ended."""

    def once(carry: Any, _: None) -> tuple[Any, None]:
        state, key = carry
        key, drawn = jax.random.split(key)
        actions = jax.random.randint(drawn, (count,), 0, ACTIONS)
        return (jax.vmap(step)(state, actions), key), None

    run = jax.jit(lambda carry: jax.lax.scan(once, carry, None, length=STEPS)[0])
    carry = jax.vmap(reset)(jax.random.split(jax.random.PRNGKey(0), count)), jax.random.PRNGKey(1)

    def episode() -> None:
        nonlocal carry
        carry = jax.block_until_ready(run(carry))

    return episode
