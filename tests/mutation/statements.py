"""The statements of a Python file, and the file as code that marks each of them when it is executed.

A mutant belongs to the innermost statement around it. A statement outside of all functions is executed at import.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType

MARKS = "__ran__"
"""Name under which marked code finds the bytes in which it marks; no class mangles it."""


@dataclass(frozen=True)
class Statement:
    """A place in a file.

    Attributes:
        line: on which it begins, from 1.
        start, end: bytes of the file.
        at_import: whether it is executed when the file is imported.
        body: of a function that is defined at import: the numbers of the first statement in it and the first behind it.
        binds: names that it binds at import, as constants and fields do.
        reads: names and attributes in it, where it is executed later.
    """

    line: int
    start: int
    end: int
    at_import: bool
    body: tuple[int, int] | None = None
    binds: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()


def statements(source: bytes) -> list[Statement]:
    """All of a file that can be marked, in the order in which they begin."""
    lines = [0]
    for line in source.split(b"\n"):
        lines.append(lines[-1] + len(line) + 1)
    tree = ast.parse(source)
    found = [node for block, _ in _blocks(tree) for node in block if _counts(node)]
    inside = {node for block, deep in _blocks(tree) if deep for node in block}
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    made = []
    for number, node in enumerate(found):
        start, at_import = lines[node.lineno - 1] + node.col_offset, node not in inside
        end = lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        body = None
        if at_import and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            last = next((n for n in range(number + 1, len(found)) if _behind(found[n], node)), len(found))
            body = (number + 1, last)
        binds = _bound(node) if at_import else frozenset()
        reads = frozenset() if at_import else _read(node)
        made.append(Statement(node.lineno, start, end, at_import, body, binds, reads))
    return made


def innermost(found: Sequence[Statement], at: int) -> int | None:
    """The number of the statement that a byte of a file belongs to; None: to none, as the docstring."""
    number = bisect_right([each.start for each in found], at) - 1
    while number >= 0 and found[number].end <= at:
        number -= 1
    return number if number >= 0 else None


def marked(source: bytes, name: str, first: int) -> CodeType:
    """The code of a file that sets byte ``first + n`` of `MARKS` before it executes its nth statement.

    Lines stay where they are. `MARKS` has to be among the globals.

    Args:
        source: content of the file.
        name: of the file, for tracebacks.
        first: number of its first statement.
    """
    tree = ast.parse(source)
    nodes = [node for block, _ in _blocks(tree) for node in block if _counts(node)]
    nodes.sort(key=lambda node: (node.lineno, node.col_offset))
    numbers = {node: first + n for n, node in enumerate(nodes)}
    for block, _ in list(_blocks(tree)):
        for node in [each for each in block if each in numbers]:
            mark = ast.parse(f"{MARKS}[{numbers[node]}] = 1").body[0]
            for part in ast.walk(mark):
                if isinstance(part, (ast.stmt, ast.expr)):
                    part.lineno, part.col_offset = node.lineno, node.col_offset
                    part.end_lineno, part.end_col_offset = node.lineno, node.col_offset
            block.insert(block.index(node), mark)
    return compile(tree, name, "exec")


def _blocks(tree: ast.AST, deep: bool = False) -> Iterator[tuple[list[ast.stmt], bool]]:
    """All lists of statements, and whether they stand in a function."""
    within = deep or isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef))
    for name in ("body", "orelse", "finalbody"):
        block = getattr(tree, name, None)
        if isinstance(block, list):
            yield block, within
            for node in block:
                yield from _blocks(node, within)
    for name in ("handlers", "cases"):
        for node in getattr(tree, name, ()):
            yield from _blocks(node, within)


def _counts(node: ast.stmt) -> bool:
    """What is executed at all, and may have something in front of it."""
    words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
    return not (words or future or isinstance(node, (ast.Global, ast.Nonlocal)))


def _behind(node: ast.stmt, other: ast.stmt) -> bool:
    return (node.lineno, node.col_offset) >= (other.end_lineno or 0, other.end_col_offset or 0)


def _bound(node: ast.stmt) -> frozenset[str]:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        targets = [node.target]
    return frozenset(part.id for each in targets for part in ast.walk(each) if isinstance(part, ast.Name))


def _read(node: ast.stmt) -> frozenset[str]:
    """Without what statements within it read."""
    found: set[str] = set()
    todo: list[ast.AST] = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        todo += [
            each for each in ast.iter_child_nodes(part) if not isinstance(each, (ast.stmt, ast.ExceptHandler))
        ]
    return frozenset(found)
