"""Mutators of values, texts, words and bytes, and a judge of what becomes of an input.

An input may be used or be refused in one line, within `LONGEST` seconds of computing, and without leaving anything
behind when it is refused. Everything else is a finding.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import re
import resource
import signal
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hjepa.cli import is_input_error, main

LONGEST = 10.0
"""Seconds of computing, not of waiting, so that a busy machine finds nothing."""

ROOM = 6 << 30
"""Bytes of address space that a case may ask for beyond what is taken."""

COUNTS: dict[str, Counter[str]] = defaultdict(Counter)
"""Name of a fuzzer -> what became of its cases."""

PIECES = (b"", b"[" * 400, b"\t", b": ", b"\n- ", b"&a ", b"*a", b"!!python/name:os.system ", b"\xff")
"""What texts of YAML and JSON break at."""

Random = random.Random

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 255, 256, -(2**31), 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**9,
    10**12, 10**30, 10**400, 0.0, -0.0, 0.5, 1.5, -1.5, 1e-300, 1e300, 1e30, float("nan"), float("inf"),
    float("-inf"),
)  # fmt: skip

TEXTS = (
    "", " ", "a", "x" * 300, "ü", "日本", "\x00", "\n", "a\nb", "\t", "\ud800", "🙂", "null", "true", "nan", "inf",
    "1e999", "-1", "0x10", "[", "]", "{}", "[]", "*a", "&a", "!!x", "a: b", "../..", "/", ".", "~", "%s", "{0}", "1e-3",
    "<b>", "'", '"', "\\", "l2", "adam", "critic", "goal", "agent", "shared", "9" * 40, "1_000", "1:30", "2026-01-01",
)  # fmt: skip


def wild(rng: Random, depth: int = 2) -> Any:
    """A value of any kind."""
    kind = rng.randrange(8 if depth else 5)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind in (2, 3):
        return rng.choice(NUMBERS) if rng.random() < 0.8 else rng.randint(-100, 100)
    if kind == 4:
        return rng.choice(TEXTS)
    if kind in (5, 6):
        return [wild(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice(TEXTS): wild(rng, depth - 1) for _ in range(rng.randrange(4))}


def like(rng: Random, value: Any) -> Any:
    """A value that is near another: of its kind, or of its neighbour's."""
    if isinstance(value, bool) or value is None or rng.random() < 0.4:
        return wild(rng)
    if isinstance(value, (int, float)):
        return rng.choice(
            (value + 1, value - 1, -value, value * 1000, value / 3, str(value), [value], 0, float(value))
        )
    if isinstance(value, str):
        return rng.choice(
            (value + "x", value[:-1], value.upper(), [value], "", value * 50, value + "\n", wild(rng))
        )
    if isinstance(value, list):
        return rng.choice((value + value, value[:-1], [value], dict(enumerate(value)), value[:1] * 3, None))
    if not isinstance(value, dict):  # what YAML makes of a text, such as a date
        return rng.choice((str(value), [value], None))
    return rng.choice((list(value), list(value.items()), {}, {**value, "x": 1}, None))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to everything inside a nested value."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mutated(rng: Random, content: Any, times: int = 3) -> Any:
    """A nested value with up to so many entries changed, removed, added, renamed or moved."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, times)):
        found = list(places(content))
        if not found:
            return wild(rng)
        *above, last = rng.choice(found)
        inner = content
        for key in above:
            inner = inner[key]
        what = rng.randrange(10)
        if what < 6:
            inner[last] = like(rng, inner[last])
        elif what == 6:
            del inner[last]
        elif what == 7 and isinstance(inner, dict):
            inner[rng.choice(TEXTS)] = inner.pop(last)
        elif what == 8:
            inner[last] = copy.deepcopy(content)
        else:
            inner[last] = wild(rng, 3)
        if not isinstance(content, (dict, list)):
            break
    return content


def noisy(rng: Random, data: bytes, times: int = 4) -> bytes:
    """Bytes with pieces cut, doubled, overwritten or inserted."""
    for _ in range(rng.randint(1, times)):
        a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        b = min(b, a + 40) if rng.random() < 0.8 else b
        text = rng.choice(TEXTS).encode(errors="replace")
        new = rng.choice((*PIECES, data[a:b] * 2, rng.randbytes(rng.randrange(1, 9)), text))
        data = data[:a] + new + data[b:]
    return data


def dumped(content: Any) -> str:
    """JSON, with NaN and lone surrogates as Python writes them."""
    try:
        return json.dumps(content, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        return repr(content)


def changed(rng: Random, array: np.ndarray) -> np.ndarray:
    """An array with other values, shape or kind."""
    array = array.copy()
    kinds = np.random.default_rng(rng.randrange(1 << 30))
    what = rng.randrange(7)
    if what < 3 and array.size:
        flat = array.reshape(-1)
        places = kinds.integers(0, len(flat), rng.randint(1, 3))
        if array.dtype.kind == "b":
            flat[places] = ~flat[places]
            return array
        limits = np.iinfo(array.dtype) if array.dtype.kind in "iu" else np.finfo(array.dtype)
        value = rng.choice((limits.max, limits.min, 0, 1, 7, 100))
        flat[places] = min(max(value, limits.min), limits.max)
        if array.dtype.kind == "f":
            flat[0] = rng.choice((np.nan, np.inf, -1.0))
        return array
    if what == 3:
        return array[: rng.randrange(len(array) + 1)]
    if what == 4:
        return array.astype(rng.choice(("float64", "int64", "uint8", "complex64", "U8", "bool")))
    if what == 5:
        return array[..., None]
    return kinds.permutation(array)


def spoil(rng: Random, file: Path) -> None:
    """Change, break or remove a file of a store."""
    if file.suffix == ".json" and rng.random() < 0.8:
        file.write_text(dumped(mutated(rng, json.loads(file.read_text()))))
    elif file.suffix == ".npy" and rng.random() < 0.7:
        np.save(file, changed(rng, np.load(file)))
    elif rng.random() < 0.1:
        file.unlink()
    else:
        file.write_bytes(noisy(rng, file.read_bytes()))


def one_of(rng: Random, words: list[str]) -> list[str]:
    """A command line with words changed, left out, doubled, moved or added."""
    words = list(words)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(words))
        what = rng.randrange(8)
        if what < 4:
            words[at] = str(like(rng, json_or_word(words[at])))[:3000].replace("\x00", "")
        elif what == 4 and len(words) > 1:
            del words[at]
        elif what == 5:
            words.insert(at, words[rng.randrange(len(words))])
        elif what == 6:
            words[at] = words[at][: rng.randrange(len(words[at]) + 1)]
        else:
            words.insert(
                at,
                rng.choice((rng.choice(TEXTS).replace("\x00", ""), "--help-me", "--", "-x", "--set", "a=b")),
            )
    return words


def json_or_word(word: str) -> Any:
    """A word as the value that it looks like."""
    try:
        return json.loads(word)
    except ValueError:
        return word


class Hang(BaseException):
    """A case took longer than `LONGEST`."""


class Begun(BaseException):
    """The work of a command was about to begin."""


class Finding(AssertionError):
    """An input that was neither used nor refused in one line."""


def judge(name: str, case: Any, use: Callable[[], object], leftovers: Callable[[], object] = list) -> None:
    """Use an input and say what became of it.

    Args:
        name: of the fuzzer, under which it is counted.
        case: shown when something is found.
        use: uses the input.
        leftovers: what is there afterwards that was not before; looked at when it was refused.

    Raises:
        Finding: neither used nor refused in one line.
    """
    begun = time.process_time()
    problem, outcome = "", "used"
    try:
        with _limits():
            use()
    except Begun:
        outcome = "begun"
    except Hang:
        problem = f"still computing after {LONGEST} s"
    except Exception as error:
        outcome = "refused"
        if not is_input_error(error) or (isinstance(error, FileNotFoundError) and not error.filename):
            problem = "".join(traceback.format_exception(error)[-12:])
        elif "\n" in str(error) or len(str(error)) > 1500:
            problem = f"no short line: {str(error)[:300]!r} ({len(str(error))})"
        elif left := leftovers():
            problem = f"left behind after {str(error)[:200]!r}: {left}"
    if time.process_time() - begun > LONGEST and not problem:
        problem = f"took {time.process_time() - begun:.1f} s of computing"
    COUNTS[name]["found" if problem else outcome] += 1
    if problem:
        raise Finding(f"{name}: {_shown(case)}\n{problem}")


def command(words: list[str]) -> None:
    """A command line in this process; what it refuses is raised with its one line.

    Raises:
        Refused: exit code 2.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as exit_:
            if exit_.code not in (0, None):
                raise AssertionError(f"left by SystemExit({exit_.code})") from None
            return
    said = [line for line in err.getvalue().split("\n") if line.strip() and "\r" not in line]
    if code == 2:
        raise _refused("\n".join(said))
    if code != 0:
        raise AssertionError(f"exit code {code}: {said[-1:]}")


def _refused(said: str) -> Exception:
    from hjepa.errors import InputError

    error = InputError("x")
    error.args = (said,)
    return error


def run_all(name: str, count: int, case: Callable[[Random], None], seed: int = 0) -> None:
    """So many cases, each of its own seed; all findings of different kinds are shown together.

    Args:
        name: of the fuzzer.
        count: cases.
        case: makes one and judges it.
        seed: of them all.
    """
    kinds: dict[str, str] = {}
    for number in range(count):
        try:
            case(random.Random(f"{name} {seed} {number}"))
        except Finding as found:
            kinds.setdefault(_kind(str(found)), f"case {number}: {found}")
    if kinds:
        shown = "\n\n".join(list(kinds.values())[:20])
        raise AssertionError(f"{len(kinds)} kinds of findings in {count} cases of {name}\n{shown}")


def _kind(text: str) -> str:
    """Findings that end in the same place are one kind."""
    frames = re.findall(r'File "[^"]*/(\w+\.py)", line (\d+)', text)
    return str(frames[-1:] or text.split("\n")[-1][:60])


def _shown(case: Any) -> str:
    text = repr(case)
    return text if len(text) <= 1200 else f"{text[:1200]}..."


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """Limits of computing and of memory for one case."""

    def late(*_: object) -> None:
        raise Hang

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
