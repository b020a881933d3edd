from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from space_strategies import dimensions, floats, ints, keys

from autorl.errors import UsageError
from autorl.keys import generator
from autorl.spaces import Bool, Categorical, Dimension, Fixed, Float, Int

units = st.floats(0, 1)


@given(dimensions(), units)
def test_every_unit_value_is_a_valid_value_and_comes_back(dimension: Dimension, unit: float) -> None:
    value = dimension.from_unit(unit)
    assert dimension.validate(value) is None
    assert 0.0 <= dimension.to_unit(value) <= 1.0
    back = dimension.from_unit(dimension.to_unit(value))
    if isinstance(dimension, Float):
        assert back == pytest.approx(value, rel=1e-6, abs=1e-6 * (dimension.high - dimension.low))
    else:
        assert back == value
        assert type(back) is type(value)


@given(floats(), units)
def test_float_units_come_back(dimension: Float, unit: float) -> None:
    assert dimension.to_unit(dimension.from_unit(unit)) == pytest.approx(unit, abs=1e-6)
    assert dimension.from_unit(0.0) == dimension.low
    assert dimension.from_unit(1.0) == dimension.high


@given(floats(), units, units)
def test_floats_grow_with_the_unit_value(dimension: Float, a: float, b: float) -> None:
    low, high = sorted([a, b])
    assert dimension.from_unit(low) <= dimension.from_unit(high)


def test_scales_are_uniform_where_they_say() -> None:
    assert Float(1e-6, 1e-2, "log").from_unit(0.5) == pytest.approx(1e-4)
    assert Float(0.9, 0.999, "one_minus_log").from_unit(0.5) == pytest.approx(0.99)
    assert Float(-1, 3).from_unit(0.25) == pytest.approx(0.0)


@pytest.mark.parametrize("dimension", [Int(3, 6), Categorical((3, 4, 5, 6)), Categorical(("a", "b", "c", "d"))])
def test_discrete_values_have_equal_shares(dimension: Dimension) -> None:
    values = [dimension.from_unit((i + 0.5) / 4000) for i in range(4000)]
    assert all(values.count(v) == 1000 for v in set(values))
    assert len(set(values)) == 4


def test_log_ints_have_shares_by_their_logarithm() -> None:
    dimension = Int(1, 1000, log=True)
    values = [dimension.from_unit((i + 0.5) / 10_000) for i in range(10_000)]
    share = sum(1 for v in values if v <= 10) / len(values)
    assert share == pytest.approx(math.log(10.5 / 0.5) / math.log(1000.5 / 0.5), abs=1e-3)


@given(dimensions(), units, keys, st.floats(0.01, 2))
def test_mutation_is_valid_and_changes_discrete_values(
    dimension: Dimension, unit: float, key: int, scale: float
) -> None:
    value = dimension.from_unit(unit)
    changed = dimension.mutate(generator(key), value, scale)
    assert dimension.validate(changed) is None
    if isinstance(dimension, Int | Categorical | Bool):
        assert changed != value or type(changed) is not type(value)


@given(dimensions(), units, st.sampled_from([0.8, 1.0, 1.2, 3.0]))
def test_perturbation_is_valid(dimension: Dimension, unit: float, factor: float) -> None:
    assert dimension.validate(dimension.perturb(dimension.from_unit(unit), factor)) is None


@given(ints(), units)
def test_int_perturbation_moves_by_at_least_one_unless_at_the_bound(dimension: Int, unit: float) -> None:
    value = dimension.from_unit(unit)
    for factor in (0.8, 1.2):
        moved = dimension.perturb(value, factor)
        grows = (factor > 1) == (value >= 0)
        assert moved != value or value == (dimension.high if grows else dimension.low)


def test_perturbation_by_hand() -> None:
    assert Float(0, 10).perturb(5.0, 1.2) == 6.0
    assert Float(0, 10).perturb(9.0, 1.2) == 10.0
    assert Float(0.9, 0.9999, "one_minus_log").perturb(0.99, 1.2) == pytest.approx(0.988)
    assert Int(1, 100).perturb(10, 1.2) == 12
    assert Int(1, 100).perturb(1, 1.2) == 2
    assert Categorical((1, 2, 4)).perturb(2, 1.2) == 4
    assert Categorical((1, 2, 4)).perturb(4, 1.2) == 4
    assert Categorical(("tanh", "relu")).perturb("tanh", 1.2) == "tanh"
    assert Bool().perturb(True, 0.8) is False
    assert Fixed(3).perturb(3, 1.2) == 3


@pytest.mark.parametrize(
    ("choices", "feature"),
    [
        ((1, 2, 4), "ordinal"),
        ((0.1, 0.2), "ordinal"),
        ((4, 2), "nominal"),
        (("a", "b"), "nominal"),
        ((True, 1), "nominal"),
    ],
)
def test_numbers_in_order_are_ordinal(choices: tuple[object, ...], feature: str) -> None:
    assert Categorical(choices).feature == feature  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(1, 1), "low must be below high"),
        (lambda: Float(0, 1, "log"), "low must be above 0"),
        (lambda: Float(0, 1, "one_minus_log"), "high must be below 1"),
        (lambda: Float(0, 1, "square"), "scale must be one of"),
        (lambda: Float(float("nan"), 1), "low must be a finite number"),
        (lambda: Float("0", 1), "low must be a finite number, got '0'"),
        (lambda: Float(True, 2), "low must be a finite number, got True"),
        (lambda: Float(0, 10**400), "high must be a finite number"),
        (lambda: Int(0.5, 2), "whole numbers"),
        (lambda: Int(0, 2**31), "whole numbers below 2"),
        (lambda: Int(0, 5, log=True), "low must be at least 1"),
        (lambda: Int(1, 5, log="yes"), "log must be true or false"),
        (lambda: Categorical((1,)), "at least two"),
        (lambda: Categorical((1, 1.0)), "must differ, got 1.0 twice"),
        (lambda: Categorical((1, None)), "numbers, strings, true or false, got None"),
        (lambda: Fixed(float("inf")), "finite"),
        (lambda: Fixed([1]), "finite"),
    ],
)
def test_nonsense_is_refused(make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        (Float(0, 1), float("nan")),
        (Float(0, 1), True),
        (Float(0, 1), 1.5),
        (Float(0, 1), "0.5"),
        (Float(0, 1), 10**400),
        (Float(0, 1), np.float64(2)),
        (Int(0, 5), 2.0),
        (Int(0, 5), True),
        (Int(0, 5), 6),
        (Categorical((0, 1)), True),
        (Categorical((True, "x")), 1),
        (Bool(), 1),
        (Fixed(1), True),
        (Fixed("a"), "b"),
    ],
)
def test_values_of_the_wrong_kind_are_named(dimension: Dimension, value: object) -> None:
    problem = dimension.validate(value)
    assert problem is not None
    assert problem.startswith("expected ")
    assert repr(value) in problem
