"""Mutants of a Python file: the file with one small thing changed that a test should notice.

Kinds of change: a comparison, an operation of arithmetic, a number or switch, a condition, a statement left out.
What no test can be asked to notice is left alone: annotations, texts (and with them the words of errors), what stands
under ``TYPE_CHECKING``, and asserts, which only tell a type checker what is known.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = ("compare", "arithmetic", "constant", "condition", "removal")

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip

OPERATIONS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        file: path from the root of the repository, with slashes.
        line: on which the changed code begins, from 1.
        kind: one of `KINDS`.
        before, after: the code that is changed, on one line.
        start, end: bytes of the file that ``after`` takes the place of.
    """

    file: str
    line: int
    kind: str
    before: str
    after: str
    start: int
    end: int

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.file}:{self.line}:{self.start}: {self.before} -> {self.after}"

    def applied(self, source: bytes) -> bytes:
        """The changed file."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants(file: str, source: bytes) -> list[Mutant]:
    """All mutants of a file, in the order of their places in it.

    Args:
        file: its path from the root of the repository.
        source: its content.
    """
    starts = [0]
    for line in source.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    found = []
    for node, kind, after in _changes(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        before = ast.unparse(node)
        found.append(Mutant(file, node.lineno, kind, _short(before), after, start, end))  # type: ignore[attr-defined]
    return sorted(set(found), key=lambda mutant: (mutant.start, mutant.end, mutant.after))


def of_tree(root: Path, folders: tuple[str, ...]) -> list[Mutant]:
    """All mutants of the files below folders of a repository."""
    files = sorted(file for folder in folders for file in (root / folder).rglob("*.py"))
    return [each for file in files for each in mutants(file.relative_to(root).as_posix(), file.read_bytes())]


def _changes(tree: ast.Module) -> Iterator[tuple[ast.AST, str, str]]:
    """What is replaced, of which kind, and by what code."""
    for node in _judged(tree):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            new = COMPARISONS[type(node.ops[0])]()
            yield node, "compare", _code(ast.Compare(node.left, [new], node.comparators))
        elif isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS and not _of_text(node):
            yield node, "arithmetic", _code(ast.BinOp(node.left, OPERATIONS[type(node.op)](), node.right))
        elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
            yield node, "constant", repr(_other(node.value))
        elif isinstance(node, ast.BoolOp):
            yield node, "condition", _code(ast.BoolOp(_opposite(node.op), node.values))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node, "condition", _code(node.operand)
        elif isinstance(node, (ast.If, ast.While, ast.IfExp)) and not isinstance(node.test, ast.Compare):
            yield node.test, "condition", f"(not ({ast.unparse(node.test)}))"
        elif isinstance(node, (ast.AugAssign, ast.Raise)) or _is_call(node):
            yield node, "removal", "pass"


def _judged(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that tests are asked about, parents before children."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop(0)
        yield node
        if isinstance(node, ast.Assert) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            continue
        if isinstance(node, (ast.Raise, ast.JoinedStr)):
            continue  # the words of an error are checked by few tests and on purpose
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params", "bases"):
                continue
            children = value if isinstance(value, list) else [value]
            todo += [child for child in children if isinstance(child, ast.AST)]


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def _of_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _opposite(operator: ast.boolop) -> ast.boolop:
    return ast.Or() if isinstance(operator, ast.And) else ast.And()


def _other(value: bool | int | float) -> bool | int | float:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value * 2 if value else 1.0


def _code(node: ast.expr) -> str:
    """In brackets, so that what stands around it binds no tighter."""
    return f"({ast.unparse(node)})"


def _short(text: str) -> str:
    line = text.split("\n")[0]
    return line if len(line) <= 100 else f"{line[:97]}..."
