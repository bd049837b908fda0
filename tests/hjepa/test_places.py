"""Names against paths, and outputs that are tried before the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import hjepa
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.model.checkpoints import (
    SHIPPED,
    checkpoint_folder,
    copy_checkpoint,
    describe,
    folder_to_add_to,
)
from hjepa.places import is_empty, output_file, output_folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_name_of_shipped_weights_and_of_a_folder_is_refused() -> None:
    assert checkpoint_folder("told-nested-d2") == SHIPPED / "told-nested-d2"
    Path("told-nested-d2").mkdir()
    with pytest.raises(
        InputError, match=r"write \./told-nested-d2 for the folder, or shipped:told-nested-d2"
    ):
        checkpoint_folder("told-nested-d2")
    assert checkpoint_folder("shipped:told-nested-d2") == SHIPPED / "told-nested-d2"
    for local in ("./told-nested-d2", Path("told-nested-d2")):
        with pytest.raises(InputError, match="no checkpoint"):
            checkpoint_folder(local)
        (Path("told-nested-d2") / "model.json").write_text("{}")
        assert checkpoint_folder(local).samefile("told-nested-d2")
        (Path("told-nested-d2") / "model.json").unlink()


def test_a_path_is_never_the_name_of_shipped_weights() -> None:
    here = ("../x", "x/../told-nested-d2", ".", "..", "", "shipped:", "shipped:..")
    for path in (Path("told-nested-d2"), "./told-nested-d2", *here):
        with pytest.raises(InputError, match="no checkpoint"):
            checkpoint_folder(path)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\udcff", "told-nested-d2/model.json"])
def test_names_that_no_file_has(name: str) -> None:
    for read in (checkpoint_folder, load_preset):
        with pytest.raises(InputError) as caught:
            read(name)
        assert len(str(caught.value)) < 1000, "the name is cut short, not the names there are"
    if name != "told-nested-d2/model.json":
        for write in (output_file, output_folder):
            with pytest.raises(InputError):
                write(f"{name}/{name}" if "\0" not in name else name)


def test_a_name_of_a_preset_and_of_a_file_is_refused() -> None:
    shipped = load_preset("demo")
    Path("demo").mkdir()
    assert load_preset("demo") == shipped, "a run folder is no preset"
    Path("demo").rmdir()
    Path("demo").write_text("task: nothing")
    with pytest.raises(InputError, match=r"write \./demo for the file, or shipped:demo"):
        load_preset("demo")
    assert load_preset("shipped:demo") == shipped
    with pytest.raises(InputError, match="levels"):
        load_preset("./demo")


def test_the_package_is_never_written() -> None:
    for place in (SHIPPED / "new", SHIPPED / "told-nested-d2", Path(hjepa.__file__).parent / "presets" / "x"):
        for write in (output_file, output_folder):
            with pytest.raises(InputError, match="comes with the package"):
                write(place)
    Path("link").symlink_to(SHIPPED)
    with pytest.raises(InputError, match="comes with the package"):
        output_folder("link/new")
    with pytest.raises(InputError, match="--out DIR"):
        folder_to_add_to("told-nested-d2", None)
    with pytest.raises(InputError, match="--out DIR"):
        folder_to_add_to("./link/told-nested-d2", None)


def test_a_copy_of_a_checkpoint_is_made_once() -> None:
    folder = folder_to_add_to("told-nested-d2", "copy")
    assert not os.path.lexists("copy"), "nothing is made before the work"
    copy_checkpoint("told-nested-d2", folder)
    assert describe("./copy") == describe("told-nested-d2") and [*Path().iterdir()] == [Path("copy")]
    (folder / "more").touch()
    copy_checkpoint("told-nested-d2", folder_to_add_to("told-nested-d2", "copy"))
    assert (folder / "more").exists()
    with pytest.raises(InputError, match="holds something else"):
        folder_to_add_to("told-nested-d3", "copy")
    Path("other").mkdir()
    Path("other/file").touch()
    with pytest.raises(InputError, match="holds something else"):
        folder_to_add_to("told-nested-d2", "other")


def test_links_are_followed_before_the_work(tmp_path: Path) -> None:
    Path("link").symlink_to("nowhere")
    assert output_folder("link") == tmp_path / "nowhere" and output_file("link") == tmp_path / "nowhere"
    assert sorted(os.listdir()) == ["link"]
    Path("loop").symlink_to("loop")
    for write in (output_file, output_folder):
        with pytest.raises(InputError):
            write("loop")
        with pytest.raises(InputError):
            write("")


def test_places_that_cannot_be_written() -> None:
    Path("file").touch()
    for place, reason in (
        ("file", "this is a file"),
        ("file/x", "is no folder|Not a directory"),
        (".", "in use"),
        ("..", "in use"),
        ("/", "in use"),
        ("/proc/nothing/x", "/proc"),
    ):
        with pytest.raises(InputError, match=reason):
            output_folder(place)
    assert output_folder(".", renamed=False) == Path.cwd()
    for place, reason in (
        (".", "this is a folder"),
        ("/dev/null", "no ordinary file"),
        ("/proc/nothing/x", "/proc"),
    ):
        with pytest.raises(InputError, match=reason):
            output_file(place)
    assert sorted(os.listdir()) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_rights() -> None:
    Path("closed").mkdir(mode=0o500)
    for write in (output_file, output_folder):
        with pytest.raises(InputError, match="nothing can be written"):
            write("closed/x/y")


def test_what_is_empty() -> None:
    assert is_empty(Path("x"))
    Path("x").mkdir()
    assert is_empty(Path("x"))
    Path("x/y").touch()
    assert not is_empty(Path("x")) and not is_empty(Path("x/y"))
