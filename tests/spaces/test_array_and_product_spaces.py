from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from space_strategies import keys, spaces

from autorl.errors import IncompatibleError, UsageError
from autorl.spaces import ArraySpace, Bool, Condition, Fixed, Float, HyperparameterSpace, ProductSpace, Space
from autorl.spaces.flat import flat_candidate, flatten, nested_candidate

ARRAYS = ArraySpace({"w": (3, 2), "b": (), "k": (5,)}, init_scale=0.5)


def same(a: object, b: object) -> bool:
    return json.dumps(a, default=lambda x: [str(x.dtype), x.tolist()]) == json.dumps(
        b, default=lambda x: [str(x.dtype), x.tolist()]
    )


@given(keys, keys)
def test_arrays_are_made_valid_and_from_the_key(one: int, two: int) -> None:
    assert isinstance(ARRAYS, Space)
    a, b = ARRAYS.sample(one), ARRAYS.sample(two)
    for make in (
        lambda: a,
        lambda: ARRAYS.mutate(two, a),
        lambda: ARRAYS.mutate(two, a, rate=0.0, scale=3.0),
        lambda: ARRAYS.crossover(two, a, b),
        lambda: ARRAYS.perturb(two, a),
    ):
        made = make()
        assert ARRAYS.validate(made) == []
        assert same(made, make())


def test_array_mutation_and_crossover_do_what_they_say() -> None:
    a, b = ARRAYS.sample(1), ARRAYS.sample(2)
    one = ARRAYS.mutate(3, a, rate=0.0)
    assert [int((one[n] != a[n]).sum()) for n in ARRAYS.shapes] == [1, 1, 1]
    full = ARRAYS.mutate(3, a)
    assert all((full[n] != a[n]).all() for n in ARRAYS.shapes)
    children = [ARRAYS.crossover(k, a, b)["w"] for k in range(20)]
    assert all(((c == a["w"]) | (c == b["w"])).all() for c in children)
    assert any((c == a["w"]).any() and (c == b["w"]).any() for c in children)
    many = np.concatenate([ARRAYS.sample(k)["w"].ravel() for k in range(500)])
    assert many.std() == pytest.approx(0.5, abs=0.03)


@given(keys)
def test_array_json_is_exact(key: int) -> None:
    candidate = ARRAYS.sample(key)
    back = ARRAYS.from_json(json.loads(json.dumps(ARRAYS.to_json(candidate))))
    assert same(back, candidate)
    assert all(back[n].flags.writeable and back[n].flags.owndata for n in back)


@given(keys, st.integers(0, 5))
def test_array_fingerprints_see_every_entry(key: int, entry: int) -> None:
    candidate = ARRAYS.sample(key)
    other = {n: v.copy() for n, v in candidate.items()}
    assert ARRAYS.fingerprint(other) == ARRAYS.fingerprint(candidate)
    other["w"].flat[entry] = np.nextafter(other["w"].flat[entry], np.float32(9))
    assert ARRAYS.fingerprint(other) != ARRAYS.fingerprint(candidate)


def test_the_sign_of_zero_is_no_difference() -> None:
    zero, minus = ({"w": np.full((2,), v, np.float32)} for v in (0.0, -0.0))
    space = ArraySpace({"w": (2,)})
    assert space.fingerprint(zero) == space.fingerprint(minus)


def broken(**change: object) -> dict[str, object]:
    data = ARRAYS.to_json(ARRAYS.sample(0))
    data["k"] = {"$array": data["k"]["$array"] | change}
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "w: missing; b: missing; k: missing"),
        (broken() | {"kk": 1}, "unknown array 'kk'. Did you mean 'k'"),
        (broken() | {"k": [1.0]}, "k: expected an object with '\\$array', got list"),
        (broken(dtype="float64"), "k: expected float32\\[5\\], got 'float64'"),
        (broken(dtype="object"), "k: expected float32"),
        (broken(shape=[10**9]), "k: expected float32\\[5\\]"),
        (broken(data="AAAA"), "k: data: expected base64 of 20 bytes"),
        (broken(data="A" * 10**6), "k: data: expected base64 of 20 bytes"),
        (broken(data="!" * 28), "k: data: expected base64"),
        (broken(data="A" * 28), "k: data: expected base64 of 20 bytes, got 21"),
        (broken(data=7), "k: data: expected base64"),
        (broken(data="AADAfwAAwH8AAMB/AADAfwAAwH8="), "k: expected finite numbers, got 5"),
    ],
)
def test_broken_array_json_is_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ARRAYS.from_json(data)


def test_array_validation() -> None:
    good = ARRAYS.sample(0)
    assert (
        "expected a numpy array float32[3, 2], got float64[3, 2]" in ARRAYS.validate(good | {"w": np.ones((3, 2))})[0]
    )
    assert "got list" in ARRAYS.validate(good | {"w": [1.0]})[0]
    for shapes in ({}, {"w": (0,)}, {"w": (2.0,)}, {"w": (True,)}):
        with pytest.raises(UsageError):
            ArraySpace(shapes)
    with pytest.raises(UsageError, match="init_scale"):
        ArraySpace({"w": (1,)}, init_scale=0.0)
    with pytest.raises(UsageError, match="no unit cube"):
        ARRAYS.from_unit(ARRAYS.to_unit(good))


@given(spaces(), spaces(), keys, keys)
def test_products_do_what_their_parts_do(one: HyperparameterSpace, two: HyperparameterSpace, a: int, b: int) -> None:
    product = ProductSpace({"one": one, "two": ProductSpace({"inner": two})})
    assert isinstance(product, Space)
    x, y = product.sample(a), product.sample(b)
    for made in (x, y, product.mutate(a, x), product.crossover(a, x, y), product.perturb(b, x)):
        assert product.validate(made) == []
        assert product.from_json(json.loads(json.dumps(product.to_json(made)))) == made
    assert product.unit_dimension == one.unit_dimension + two.unit_dimension
    again = product.from_unit(product.to_unit(x))
    np.testing.assert_allclose(product.to_unit(again), product.to_unit(x), atol=1e-6)
    assert product.features() == one.features() | two.features()
    assert (product.fingerprint(x) == product.fingerprint(y)) == (x == y)


def test_equal_parts_draw_differently() -> None:
    part = HyperparameterSpace("p", {"x": Float(0, 1)})
    candidate = ProductSpace({"a": part, "b": part}).sample(0)
    assert candidate["a"] != candidate["b"]


def test_products_with_arrays() -> None:
    product = ProductSpace(
        {"hyperparameters": HyperparameterSpace("h", {"x": Float(0, 2), "f": Fixed(1)}), "weights": ARRAYS}
    )
    candidate = product.sample(0)
    assert product.features() == {"float", "arrays"}
    assert product.to_unit(candidate).shape == (1,)
    assert product.upper_bounds() == {"hyperparameters.x": 2.0, "hyperparameters.f": 1.0}
    assert same(product.from_json(json.loads(json.dumps(product.to_json(candidate)))), candidate)
    with pytest.raises(UsageError, match="no unit cube"):
        product.from_unit(np.zeros(1))
    with pytest.raises(IncompatibleError, match="ArraySpace"):
        flatten(product)


def test_product_problems_name_the_part() -> None:
    product = ProductSpace({"h": HyperparameterSpace("h", {"x": Float(0, 2)})})
    assert product.validate({"h": {"x": 3.0}}) == ["h.x: expected a number in [0.0, 2.0], got 3.0"]
    assert product.validate({"hh": {}}) == ["unknown part 'hh'. Did you mean 'h'?", "h: missing"]
    assert product.validate({"h": 3}) == ["h: expected an object, got 3"]
    with pytest.raises(UsageError, match="h: x: missing"):
        product.from_json({"h": {}})
    with pytest.raises(UsageError, match="at least one part"):
        ProductSpace({})
    with pytest.raises(ValueError, match="expected 1 numbers"):
        product.from_unit(np.zeros(2))


@given(spaces(), spaces(), keys)
def test_flat_spaces_and_candidates_come_back(one: HyperparameterSpace, two: HyperparameterSpace, key: int) -> None:
    product = ProductSpace({"one": one, "two": ProductSpace({"inner": two})})
    flat, candidate = flatten(product), product.sample(key)
    flattened = flat_candidate(product, candidate)
    assert flat.validate(flattened) == []
    assert nested_candidate(product, flattened) == candidate
    np.testing.assert_array_equal(flat.to_unit(flattened), product.to_unit(candidate))


def test_flat_conditions_stay_within_their_part() -> None:
    part = HyperparameterSpace("p", {"on": Bool(), "x": Float(0, 1)}, {"x": Condition("on", (True,))})
    flat = flatten(ProductSpace({"a": part, "b": part}))
    assert flat.conditions["a.x"] == Condition("a.on", (True,))
    assert flat.conditions["b.x"] == Condition("b.on", (True,))
