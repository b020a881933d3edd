from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from space_strategies import keys, spaces

from autorl.errors import UsageError
from autorl.spaces import Bool, Categorical, Condition, Fixed, Float, HyperparameterSpace, Int, Space

CHAIN = HyperparameterSpace(
    "chain",
    {"c": Float(0, 1), "b": Categorical(("x", "y")), "a": Bool(), "n": Int(1, 9), "f": Fixed(3)},
    {"b": Condition("a", (True,)), "c": Condition("b", ("x",))},
)


@given(spaces(), keys, keys, keys)
def test_everything_made_is_valid(space: HyperparameterSpace, one: int, two: int, key: int) -> None:
    assert isinstance(space, Space)
    a, b = space.sample(one), space.sample(two)
    made = [a, b, space.mutate(key, a), space.mutate(key, a, rate=1.0, scale=1.0), space.crossover(key, a, b)]
    made += [space.perturb(key, a), space.perturb(key, a, (0.1, 10.0), 0.0), space.from_unit(space.to_unit(a))]
    for candidate in made:
        assert space.validate(candidate) == []
        assert list(candidate) == [name for name in space.dimensions if name in candidate]


@given(spaces(), keys, keys, keys)
def test_everything_is_a_function_of_its_key(space: HyperparameterSpace, one: int, two: int, key: int) -> None:
    def everything() -> list[object]:
        a, b = space.sample(one), space.sample(two)
        return [a, b, space.mutate(key, a), space.crossover(key, a, b), space.perturb(key, a)]

    assert everything() == everything()


@given(spaces(), st.data())
def test_unit_cube_comes_back(space: HyperparameterSpace, data: st.DataObject) -> None:
    size = space.unit_dimension
    unit = np.array(data.draw(st.lists(st.floats(0, 1), min_size=size, max_size=size)))
    candidate = space.from_unit(unit)
    back = space.to_unit(candidate)
    assert back.dtype == np.float64
    assert back.shape == (size,)
    again = space.from_unit(back)
    assert again.keys() == candidate.keys()
    np.testing.assert_allclose(space.to_unit(again), back, atol=1e-6)
    for coordinate, name in zip(back, space.searched, strict=True):
        assert name in candidate or coordinate == 0.5


@given(spaces(), keys, keys)
def test_json_is_exact(space: HyperparameterSpace, one: int, two: int) -> None:
    a, b = space.sample(one), space.sample(two)
    for candidate in (a, b, space.crossover(one, a, b), space.perturb(two, a)):
        text = json.dumps(space.to_json(candidate), allow_nan=False)
        back = space.from_json(json.loads(text))
        assert back == candidate
        assert [type(v) for v in back.values()] == [type(v) for v in candidate.values()]
        assert json.dumps(space.to_json(back)) == text


@given(spaces(), keys, keys)
def test_fingerprints_differ_exactly_if_active_values_do(space: HyperparameterSpace, one: int, two: int) -> None:
    a, b = space.sample(one), space.sample(two)
    assert (space.fingerprint(a) == space.fingerprint(b)) == (a == b)
    mutant = space.mutate(one, a)
    assume(mutant != a)
    assert space.fingerprint(mutant) != space.fingerprint(a)


def test_fingerprints_ignore_inactive_dimensions_order_and_spelling() -> None:
    plain = {"a": False, "n": 2, "f": 3}
    assert CHAIN.fingerprint(plain) == CHAIN.fingerprint({"n": 2, "f": 3, "a": False, "b": "x", "c": 0.5})
    assert CHAIN.fingerprint(plain) != CHAIN.fingerprint({"a": False, "n": 3, "f": 3})
    one = {"a": True, "b": "x", "c": 1.0, "n": 2, "f": 3}
    assert CHAIN.fingerprint(one) == CHAIN.fingerprint(one | {"c": 1})
    assert CHAIN.fingerprint(one | {"c": 0.0}) == CHAIN.fingerprint(one | {"c": -0.0})


def test_fingerprints_are_the_same_in_every_process() -> None:
    code = (
        "from autorl.spaces import *\n"
        "s = HyperparameterSpace('s', {'a': Float(0, 1), 'b': Categorical(('x', 'y')), 'c': Bool()})\n"
        "print([s.fingerprint(s.sample(k)) for k in range(3)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1


def test_conditions_chain() -> None:
    samples = [CHAIN.sample(k) for k in range(200)]
    shapes = {tuple(s) for s in samples}
    assert shapes == {("a", "n", "f"), ("b", "a", "n", "f"), ("c", "b", "a", "n", "f")}
    for s in samples:
        assert ("b" in s) == s["a"]
        assert ("c" in s) == (s.get("b") == "x")


@pytest.mark.parametrize("value", [True, 1])
def test_true_is_not_one_in_conditions(value: object) -> None:
    space = HyperparameterSpace(
        "s",
        {"p": Categorical((True, 1)), "q": Float(0, 1)},
        {"q": Condition("p", (value,))},  # type: ignore[arg-type]
    )
    for key in range(20):
        candidate = space.sample(key)
        assert ("q" in candidate) == (candidate["p"] is value)


def test_mutation_changes_something_for_certain() -> None:
    for key in range(100):
        candidate = CHAIN.sample(key)
        assert CHAIN.mutate(key, candidate, rate=0.0) != candidate


def test_mutation_with_rate_one_changes_all() -> None:
    candidate = {"c": 0.5, "b": "x", "a": True, "n": 5, "f": 3}
    mutants = [CHAIN.mutate(k, candidate, rate=1.0) for k in range(20)]
    assert all(m["a"] is False and m["n"] != 5 and m["f"] == 3 for m in mutants)


def test_crossover_takes_from_both_and_draws_what_neither_has() -> None:
    a, b = {"a": False, "n": 1, "f": 3}, {"b": "y", "a": True, "n": 9, "f": 3}
    children = [CHAIN.crossover(k, a, b) for k in range(60)]
    assert {c["n"] for c in children} == {1, 9}
    assert {c["a"] for c in children} == {True, False}
    assert all(c["b"] == "y" for c in children if c["a"])
    space = HyperparameterSpace(
        "and",
        {"p": Bool(), "q": Bool(), "r": Float(0, 1)},
        {"q": Condition("p", (True,)), "r": Condition("q", (True,))},
    )
    child = space.crossover(3, {"p": True, "q": False}, {"p": True, "q": False})
    assert child == {"p": True, "q": False}


def test_perturbation_follows_its_probabilities() -> None:
    space = HyperparameterSpace("s", {"x": Float(0, 100)})
    never = [space.perturb(k, {"x": 10.0}, (0.8, 1.2), 0.0)["x"] for k in range(200)]
    assert set(never) == {8.0, 12.0}
    assert 60 < never.count(8.0) < 140
    always = [space.perturb(k, {"x": 10.0}, (0.8, 1.2), 1.0)["x"] for k in range(200)]
    assert 30 < np.mean(always) < 70


def test_a_new_dimension_leaves_the_draws_of_the_others_alone() -> None:
    more = HyperparameterSpace("more", {**CHAIN.dimensions, "z": Float(0, 1)}, CHAIN.conditions)
    for key in range(20):
        assert {n: v for n, v in more.sample(key).items() if n != "z"} == CHAIN.sample(key)


def test_samples_cover_the_space_evenly() -> None:
    space = HyperparameterSpace("s", {"x": Float(1e-6, 1e-2, "log"), "y": Float(0, 1)})
    units = np.array([space.to_unit(space.sample(k)) for k in range(2000)])
    assert np.allclose(units.mean(0), 0.5, atol=0.03)
    assert np.allclose(units.std(0), 12**-0.5, atol=0.02)
    assert abs(np.corrcoef(units.T)[0, 1]) < 0.08


def test_validate_lists_all_problems() -> None:
    wrong = CHAIN.validate({"a": False, "b": "x", "n": 70, "nn": 1})
    assert len(wrong) == 4
    assert any("unknown dimension 'nn'. Did you mean 'n'?" in w for w in wrong)
    assert any(w.startswith("b: only allowed while a is active and True, got 'x'") for w in wrong)
    assert any(w.startswith("n: expected a whole number in [1, 9], got 70") for w in wrong)
    assert any(w == "f: missing" for w in wrong)
    with pytest.raises(UsageError, match="f: missing"):
        CHAIN.from_json({"a": False, "n": 1})


def test_from_unit_checks_its_argument() -> None:
    assert CHAIN.from_unit(np.array([-3.0, 0.5, 7.0, 2.0]))["n"] == 9
    for bad in (np.zeros(3), np.zeros((4, 1)), np.full(4, np.nan)):
        with pytest.raises(ValueError, match="expected 4 numbers"):
            CHAIN.from_unit(bad)


def test_features_and_bounds() -> None:
    assert CHAIN.features() == {"float", "int", "ordinal", "nominal", "conditional"}
    assert HyperparameterSpace("f", {"x": Fixed(1)}).features() == set()
    assert CHAIN.upper_bounds() == {"c": 1.0, "n": 9.0, "f": 3.0}


@pytest.mark.parametrize(
    ("dimensions", "conditions", "message"),
    [
        ({}, {}, "at least one dimension"),
        ({"x": Bool()}, {"y": Condition("x", (True,))}, "condition of unknown dimension 'y'"),
        ({"x": Bool()}, {"x": Condition("xx", (True,))}, "'x': when names unknown dimension 'xx'. Did you mean 'x'?"),
        ({"x": Float(0, 1), "y": Bool()}, {"y": Condition("x", (0.5,))}, "a float; only bool"),
        ({"x": Bool(), "y": Bool()}, {"y": Condition("x", (1,))}, "'y': when 'x': expected true or false, got 1"),
        ({"x": Bool(), "y": Bool()}, {"y": Condition("x", ())}, "lists no value"),
        (
            {"x": Bool(), "y": Bool()},
            {"x": Condition("y", (True,)), "y": Condition("x", (True,))},
            "'x': when depends on itself",
        ),
    ],
)
def test_impossible_spaces_are_refused(dimensions: dict, conditions: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        HyperparameterSpace("s", dimensions, conditions)
