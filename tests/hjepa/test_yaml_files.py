"""YAML of plain values alone: what makes it more is refused in one line, quickly."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hjepa.errors import InputError
from hjepa.yaml_files import DEEPEST, LARGEST, parse_yaml, read_yaml

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(PLAIN)
def test_plain_values_are_read_as_the_library_reads_them(value: object) -> None:
    text = yaml.safe_dump(value)
    assert parse_yaml(text, "here") == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x 1\nb: *x", "anchor or alias"),
        ("a: &x [1]", "anchor or alias"),
        ("*x", "anchor or alias"),
        ("a: {<<: {b: 1}}", "a key that is no word"),
        ("a: 1\nb: 2\na: 3", "the key 'a' twice, in line 3"),
        ("a: {b: 1, 'b': 2}", "the key 'b' twice"),
        ("? [1]\n: 2", "a key that is no word"),
        ("a: !!python/object:os.system {}", "the tag tag:yaml.org,2002:python/object:os.system"),
        ("a: !!python/name:os.system", "the tag"),
        ("a: !own 1", "the tag !own"),
        ("a: !!int '1'", "the tag"),
        ("a:\t- 1", "not YAML"),
        ("a: [1", "not YAML"),
        ("a: 'b", "not YAML"),
        ("a: \x00", "not YAML"),
        ("a: \ud800", "not YAML"),
        ("a: 2026-99-99", "not YAML"),
        ("--- 1\n--- 2", "not YAML"),
        ("%YAML 9.9\n--- 1", "not YAML"),
        ("1" * 5000, "not YAML"),
        ("[" * 100_000, f"more than {DEEPEST} levels"),
        ("{a: " * 30_000, f"more than {DEEPEST} levels"),
        ("- " * 30_000, f"more than {DEEPEST} levels"),
        ("? " * 30_000, f"more than {DEEPEST} levels"),
        ("a" * (LARGEST + 1), "characters"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", "anchor or alias"),
    ],
)
def test_more_than_plain_values_is_one_line(text: str, reason: str) -> None:
    begun = time.process_time()
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "here")
    said = str(caught.value)
    assert reason in said and said.startswith("here: ") and "\n" not in said and len(said) < 500
    assert time.process_time() - begun < 5


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("a: ü".encode())
    assert read_yaml(file) == {"a": "ü"}
    for content in (b"\xff\xfe\x00", b"a: \x80", b"x" * (5 * LARGEST), b"a: " + b"b" * LARGEST):
        file.write_bytes(content)
        with pytest.raises(InputError, match="a.yaml"):
            read_yaml(file)
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(InputError, match="not YAML"):
            read_yaml(path)
