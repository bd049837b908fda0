"""Parts by name: ours without an import, a user's by module:Name, and one clear line for each slip."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from levels.registry import Registry, named_modules, resolve

PLUGINS = """
import math
def halve(x): return x / 2
class Outer:
    inner = staticmethod(halve)
number = 7
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugins_here.py").write_text(PLUGINS)
    (tmp_path / "broken_here.py").write_text("raise RuntimeError('first line\\nsecond line')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("plugins_here", "broken_here"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_what_a_name_names_is_found() -> None:
    assert resolve("plugins_here:halve")(6) == 3
    assert resolve("plugins_here:Outer.inner")(6) == 3
    assert resolve("math:pi") == pytest.approx(3.14159, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere_at_all:Thing", "cannot be imported"),
        ("broken_here:Thing", "RuntimeError: first line second line"),
        ("plugins_here:third", "plugins_here has no 'third'"),
        ("plugins_here:Outer.other", "has no 'Outer.other'"),
        ("plugins_here:", "does not read module:Name"),
        (":halve", "does not read module:Name"),
        ("os; import sys:path", "does not read module:Name"),
        ("../plugins_here:halve", "does not read module:Name"),
    ],
)
def test_a_slip_is_one_clear_line(name: str, said: str) -> None:
    with pytest.raises(ValueError, match="loss ") as caught:
        resolve(name, "loss")
    assert said in str(caught.value) and "\n" not in str(caught.value) and repr(name) in str(caught.value)


def test_ours_are_known_without_importing_them_and_users_are_checked() -> None:
    registry = Registry("loss", {"own": "missing_module:Thing", "half": "plugins_here:halve"})
    registry.check("own")
    assert "plugins_here" not in sys.modules
    registry.check("plugins_here:halve")
    assert registry.get("half")(4) == registry.get("plugins_here:halve")(4) == 2
    with pytest.raises(ValueError, match="loss is 'vicrag'; choose from own, half, or name your own"):
        registry.check("vicrag")
    with pytest.raises(
        ValueError, match="'plugins_here:number' is of type int; it has to be something to call"
    ):
        registry.check("plugins_here:number")


def test_the_modules_that_names_need() -> None:
    assert named_modules(["vicreg", "b.c:X", "a:Y", "b.c:Z"]) == ["b.c", "a"]
