from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autorl.errors import UnknownNameError, UsageError
from autorl.spaces import Bool, Categorical, Condition, Fixed, Float, Int, load_space, resolve_space

GOOD = """
# a comment
name: mine
learner: ppo
source: "Me, 2026"
dimensions:
  learning_rate: {type: float, low: 1e-6, high: 1E-1, scale: log}
  gamma: {type: float, low: .9, high: 0.999, scale: one_minus_log}
  n: {type: int, low: 1, high: 8, log: true, when: {b: true}}
  b: {type: bool}
  c: {type: categorical, choices: [tanh, "1", 1, on], when: {n: [1, 2]}}
  f: {type: fixed, value: 3e-4}
"""
GOOD_PART = {"dimensions": {"x": {"type": "float", "low": 0, "high": 1}}}


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_is_read_as_written(tmp_path: Path) -> None:
    space = load_space(write(tmp_path / "s.yaml", GOOD))
    assert (space.name, space.learner, space.source) == ("mine", "ppo", "Me, 2026")
    assert dict(space.dimensions) == {
        "learning_rate": Float(1e-6, 0.1, "log"),
        "gamma": Float(0.9, 0.999, "one_minus_log"),
        "n": Int(1, 8, log=True),
        "b": Bool(),
        "c": Categorical(("tanh", "1", 1, "on")),
        "f": Fixed(3e-4),
    }
    assert dict(space.conditions) == {"n": Condition("b", (True,)), "c": Condition("n", (1, 2))}


def test_an_inline_mapping_is_the_same_form() -> None:
    dimensions = {"learning_rate": {"type": "float", "low": "1e-6", "high": 0.1, "scale": "log"}}
    space = load_space({"dimensions": dimensions})
    assert space.name == "inline"
    assert space.dimensions["learning_rate"] == Float(1e-6, 0.1, "log")


def test_the_file_name_is_the_default_name(tmp_path: Path) -> None:
    assert load_space(write(tmp_path / "other.yaml", "dimensions: {x: {type: bool}}")).name == "other"


def test_unknown_names_have_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"'ppo_arlbensh'\. Did you mean 'ppo_arlbench'"):
        load_space("ppo_arlbensh")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"type": "float", "low": 0}, "type float needs 'high'"),
        ({"type": "float", "low": 0, "high": 1, "logg": True}, "unknown field 'logg' of type float"),
        ({"type": "int", "low": 0, "high": 9, "scale": "log"}, "unknown field 'scale' of type int"),
        ({"type": "floot", "low": 0, "high": 1}, "type must be one of .* got 'floot'. Did you mean 'float'"),
        ({"low": 0, "high": 1}, "type must be one of .* got None"),
        ({"type": ["float"]}, "type must be one of"),
        ({"type": "float", "low": "zero", "high": 1}, "low must be a finite number, got 'zero'"),
        ({"type": "float", "low": 0, "high": 1, "scale": ["log"]}, "scale must be one of"),
        ({"type": "float", "low": 2, "high": 1}, "low must be below high, got low=2 and high=1"),
        ({"type": "int", "low": 0.5, "high": 1}, "whole numbers"),
        ({"type": "int", "low": None, "high": 1}, "low must be a finite number, got None"),
        ({"type": "categorical", "choices": "abc"}, "choices must be a list, got 'abc'"),
        ({"type": "categorical", "choices": [1, [2]]}, "got \\[2\\]"),
        ({"type": "fixed", "value": None}, "value must be"),
        ({"type": "bool", "when": True}, "when must name one dimension"),
        ({"type": "bool", "when": {"a": 1, "b": 2}}, "when must name one dimension"),
        ({"type": "bool", "when": {"absent": 1}}, "when names unknown dimension 'absent'"),
        ({"type": "bool", "when": {"ok": 1}}, "when 'ok': expected true or false, got 1"),
        ({"type": "bool", "when": {"bad": True}}, "depends on itself"),
        (7, "expected a mapping such as"),
        (None, "expected a mapping such as"),
    ],
)
def test_a_malformed_dimension_is_named(entry: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_space({"name": "s", "dimensions": {"ok": {"type": "bool"}, "bad": entry}})
    assert "search space 's': dimension 'bad': " in str(caught.value)


def test_all_malformed_dimensions_are_listed() -> None:
    with pytest.raises(UsageError) as caught:
        load_space({"nam": "s", "dimensions": {"a": {"type": "x"}, "b": {"type": "float"}, "c d": {"type": "bool"}}})
    text = str(caught.value)
    assert all(part in text for part in ("unknown field 'nam'", "dimension 'a'", "dimension 'b'", "dimension 'c d'"))


@pytest.mark.parametrize("dimensions", [None, {}, [], "x", {"x": {}}])
def test_dimensions_are_needed(dimensions: Any) -> None:
    with pytest.raises(UsageError):
        load_space({"dimensions": dimensions})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dimensions:\n  x: {type: bool}\n  x: {type: bool}\n", "s.yaml:3:3: duplicate key 'x'"),
        ("dimensions: {x: &a {type: bool}, y: *a}", "s.yaml:1:17: tags, anchors and aliases"),
        ("dimensions: {x: !!python/object:os.system {}}", "s.yaml:1:17: tags, anchors"),
        ("dimensions: [", "s.yaml: not a YAML file"),
        ("dimensions: {? [a] : 1}", "keys must be plain names"),
        ("- a", "expected a mapping"),
        ("", "expected a mapping"),
        ("a: 1\n---\nb: 2", "not a YAML file"),
        ("dimensions: " + "[" * 500, "nested more than"),
        ("#" * 1_000_001, "larger than"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_space(write(tmp_path / "s.yaml", text))


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(UsageError, match="not a YAML file"):
        load_space(str(tmp_path / "s.yaml"))


def test_parts_may_be_named_like_whole_spaces(tmp_path: Path) -> None:
    own = write(tmp_path / "own.yaml", GOOD)
    space = load_space({"parts": {"a": "curriculum_schedule", "b": own, "c": {"parts": {"d": "curriculum_schedule"}}}})
    assert space.parts["a"] == load_space("curriculum_schedule") == space.parts["c"].parts["d"]
    assert space.parts["b"] == load_space(own)
    resolved = resolve_space({"parts": {"a": "curriculum_schedule"}})
    assert "dimensions" in resolved["parts"]["a"], "a study keeps them written out"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"a": "curriculum_spld"},
            r"parts: a: unknown search space 'curriculum_spld'\. Did you mean 'curriculum_spdl'",
        ),
        ({"a": 3, "b": GOOD_PART}, r"parts: a: expected a space, or the name of one, got 3$"),
    ],
)
def test_parts_that_are_no_spaces(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_space({"parts": parts})


def test_a_space_is_no_part_of_itself(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    write(own, f"parts: {{a: {own}}}\n")
    with pytest.raises(UsageError, match="is a part of itself"):
        load_space(str(own))
