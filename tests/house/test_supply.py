"""What the project depends on: no malicious versions, bounds that are tested, licences that are listed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hjepa import _guard
from hjepa.errors import InputError

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDS = {each.name: each for each in map(Requirement, PROJECT["dependencies"])}


@pytest.mark.parametrize("bad", _guard.MALICIOUS)
def test_malicious_versions_are_refused_by_pip_and_by_us(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bad not in NEEDS["lightning"].specifier and "2.6.4" in NEEDS["lightning"].specifier
    monkeypatch.setattr(_guard, "version", lambda name: bad)
    with pytest.raises(InputError, match=rf"lightning {bad} is a malicious upload .*GHSA-w37p-236h-pfx3"):
        _guard.check_lightning()
    monkeypatch.setattr(_guard, "version", lambda name: "2.6.4")
    _guard.check_lightning()


def test_lightning_is_looked_at_before_it_is_imported() -> None:
    script = (
        "import sys, hjepa._guard as guard; guard.version = lambda name: '2.6.3'\n"
        "try:\n    import hjepa.training.fit\nexcept ValueError as error:\n    print(error)\n"
        "print('lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "malicious" in done.stdout and done.stdout.endswith("False\n")


def test_the_oldest_versions_that_are_tested_are_those_that_are_allowed() -> None:
    lines = (ROOT / ".ci" / "oldest.txt").read_text().splitlines()
    oldest = {
        each.name: each for each in map(Requirement, [line for line in lines if not line.startswith("#")])
    }
    assert set(oldest) == set(NEEDS)
    for name, pinned in oldest.items():
        (pin,) = pinned.specifier
        assert pin.operator == "==" and pin.version in NEEDS[name].specifier, name
        bounds = [each.version for each in NEEDS[name].specifier if each.operator == ">="]
        assert not bounds or pin.version in (bounds[0], f"{bounds[0]}.0"), (
            f"{name}: {bounds} is not what is tested"
        )


def test_installed_versions_are_among_those_that_are_allowed() -> None:
    assert {name: version(name) in each.specifier for name, each in NEEDS.items()} == dict.fromkeys(
        NEEDS, True
    )


def test_licences_are_listed() -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| ([\w-]+) \| (.+) \|$", page, re.MULTILINE))
    assert set(NEEDS) <= set(listed), "python .ci/licences.py makes the table"
    done = subprocess.run([sys.executable, ROOT / ".ci" / "licences.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here = {line.split(" | ")[0].removeprefix("| ") for line in done.stdout.splitlines()[2:]}
    strangers = {name for name in here - set(listed) if not name.startswith(("nvidia", "cuda", "triton"))}
    assert not strangers, "python .ci/licences.py makes the table"


def test_what_other_platforms_need_is_no_need_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is installed, because something else has brought it along."""
    needs = ("here", "elsewhere; platform_system == 'Nowhere'", "asked; extra == 'more'")
    packages: dict[str, tuple[str, ...]] = {"whole": needs, "here": (), "elsewhere": (), "asked": ("whole",)}
    for name, wanted in packages.items():
        (tmp_path / f"{name}-1.dist-info").mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1", "Provides-Extra: more"]
        lines += [f"Requires-Dist: {each}" for each in wanted]
        (tmp_path / f"{name}-1.dist-info" / "METADATA").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.spec_from_file_location("licences", ROOT / ".ci" / "licences.py")
    assert spec is not None and spec.loader is not None
    licences = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(licences)
    assert [each.metadata["Name"] for each in licences.closure("whole", [])] == ["here"]
    assert {each.metadata["Name"] for each in licences.closure("whole", ["more"])} == {"here", "asked"}
