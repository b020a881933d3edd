"""Each operator of Co-Reyes et al. (2021) against numbers computed by hand: value and slopes, in JAX, PyTorch and numpy."""

from __future__ import annotations

import importlib
import inspect
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from autorl.objectives.graphs.language_coreyes2021 import COREYES2021, OPERATORS_33

MODULES = {name: importlib.import_module(f"{COREYES2021.functions}_{name}") for name in ("jax", "numpy", "torch")}
E, LN = math.exp, math.log
_S = 1.0 / (1.0 + E(1.0))  # softmax of (0, 1) gives this to the first
_TINY = 1e-12

# operator's function, its inputs [rows][samples], its value, and the slopes of the sum of its values
ROWS: dict[str, tuple[list[Any], Any, list[Any]]] = {
    "subtract": ([[[5.0, 1.0]], [[3.0, 4.0]]], [[2.0, -3.0]], [[[1, 1]], [[-1, -1]]]),
    "add": ([[[1.0], [2.0]], [[10.0]]], [[11.0], [12.0]], [[[1], [1]], [[2]]]),
    "dot_product": ([[[1.0], [2.0]], [[3.0], [-4.0]]], [[-5.0]], [[[3], [-4]], [[1], [2]]]),
    "dot_product_list": ([[[1.0], [2.0]], [[3.0], [-4.0]]], [[3.0], [-8.0]], [[[3], [-4]], [[1], [2]]]),
    "l2_distance": ([[[1.0], [2.0]], [[3.0], [-4.0]]], [[20.0]], [[[-2], [6]], [[2], [-6]]]),
    "l2_norm": ([[[3.0], [-4.0]]], [[25.0]], [[[6], [-8]]]),
    "l2_norm_list": ([[[3.0], [-4.0]]], [[9.0], [16.0]], [[[6], [-8]]]),
    "select_list": ([[[5.0, 6.0], [7.0, 8.0]], [[0.0, 1.0], [1.0, 0.0]]], [[7.0, 6.0]], [[[0, 1], [1, 0]], None]),
    "multiply_float": ([[[2.0]], [[3.0], [-4.0]]], [[6.0], [-8.0]], [[[-1]], [[2], [2]]]),
    "arg_max_list": ([[[5.0, 1.0], [5.0, 2.0]]], [[1.0, 0.0], [0.0, 1.0]], [None]),
    "max_list": ([[[5.0, 1.0], [5.0, 2.0]]], [[5.0, 2.0]], [[[0.5, 0], [0.5, 1]]]),
    "sum_list": ([[[5.0], [-1.0]]], [[4.0]], [[[1], [1]]]),
    "mean_list": ([[[5.0], [-1.0]]], [[2.0]], [[[0.5], [0.5]]]),
    "std_list": ([[[5.0, 7.0], [-1.0, 7.0]]], [[3.0, 0.0]], [[[0.5, 0], [-0.5, 0]]]),
    "log_sum_exp_list": ([[[0.0], [1.0]]], [[LN(1 + E(1))]], [[[_S], [1 - _S]]]),
    "softmax": ([[[0.0], [1.0]]], [[_S], [1 - _S]], [[[0], [0]]]),
    "entropy": ([[[0.25], [0.75]]], [[0.25 * LN(0.25) + 0.75 * LN(0.75)]], [[[1 + LN(0.25)], [1 + LN(0.75)]]]),
    "kl_div": (
        [[[0.25], [0.75]], [[0.5], [0.5]]],
        [[0.25 * LN(0.5) + 0.75 * LN(1.5)]],
        [[[1 + LN(0.5)], [1 + LN(1.5)]], [[-0.5], [-1.5]]],
    ),
    "min": ([[[1.0, 3.0, 5.0]], [[2.0, 2.0, 5.0]]], [[1.0, 2.0, 5.0]], [[[1, 0, 0.5]], [[0, 1, 0.5]]]),
    "max": ([[[1.0, 3.0, 5.0]], [[2.0, 2.0, 5.0]]], [[2.0, 3.0, 5.0]], [[[0, 1, 0.5]], [[1, 0, 0.5]]]),
    "max_float": ([[[1.0]], [[2.0], [-4.0]]], [[2.0], [1.0]], [[[1]], [[1], [0]]]),
    "add_gaussian_noise": ([[[1.5, -2.0]]], [[1.5, -2.0]], [[[1, 1]]]),
    "log": ([[[2.0, -0.5, 0.0]]], [[LN(2), LN(0.5), LN(_TINY)]], [[[0.5, -2, 0]]]),
    "exp": ([[[1.0, -1.0, 30.0]]], [[E(1), E(-1), 1e10]], [[[E(1), E(-1), 0]]]),
    "abs": ([[[2.0, -0.5, 0.0]]], [[2.0, 0.5, 0.0]], [[[1, -1, 0]]]),
    "multiply_tenth": ([[[2.0]]], [[0.2]], [[[0.1]]]),
    "div": (
        [[[3.0, 1.0, 0.0]], [[2.0, -4.0, 0.0]]],
        [[1.5, -0.25, 0.0]],
        [[[0.5, -0.25, 1e10]], [[-0.75, -1 / 16, 0]]],
    ),
    "mean_batch": ([[[1.0, 3.0], [5.0, 5.0]]], [[2.0, 2.0], [5.0, 5.0]], [[[1, 1], [1, 1]]]),
    "std_batch": ([[[1.0, 3.0], [5.0, 5.0]]], [[1.0, 1.0], [0.0, 0.0]], [[[-1, 1], [0, 0]]]),
    "weighted_loss": ([[[4.0]]], [[0.8]], [[[0.2]]]),  # with a weight of 0.2
}
CONSTANTS = {"constant_p5": 0.5, "constant_p2": 0.2, "constant_p1": 0.1, "constant_p01": 0.01}
NETWORKS = ("q_value_list", "q_value_list_from_vec", "state_encoder", "q_value")
_DRAWN = ("constant_gaussian", "constant_uniform")
_C = 0.2


def _as(values: Any) -> np.ndarray:
    return np.asarray(values, np.float32)


def test_every_row_of_the_table_has_its_functions_in_every_back_end_and_its_numbers_here() -> None:
    names = {operator.called or operator.name for operator in COREYES2021.operators}
    names |= {f"{operator.name}_list" for operator in COREYES2021.operators if operator.has_list_function}
    assert names == {*ROWS, *CONSTANTS, *NETWORKS, *_DRAWN}
    for module in MODULES.values():
        for name in names:
            assert next(iter(inspect.signature(getattr(module, name)).parameters)) == "c", name
    assert len(OPERATORS_33) == 33


@pytest.mark.parametrize("name", ROWS)
def test_jax_value_and_slopes_by_hand(name: str) -> None:
    given, value, slopes = ROWS[name]
    module = MODULES["jax"]

    def applied(*inputs: jax.Array) -> jax.Array:
        return module.bounded(getattr(module, name)(jnp.float32(_C), *inputs))

    found, pull = jax.vjp(applied, *map(jnp.asarray, map(_as, given)))
    np.testing.assert_allclose(found, _as(value), rtol=2e-6, atol=1e-6)
    for ours, theirs, entered in zip(pull(jnp.ones_like(found)), slopes, given, strict=True):
        if theirs is None and name == "select_list":
            continue  # the slope of a one-hot action ends in the action: nothing stands behind it
        wanted = np.zeros_like(_as(entered)) if theirs is None else _as(theirs)
        np.testing.assert_allclose(ours, wanted, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", ROWS)
def test_torch_and_numpy_agree_with_jax(name: str) -> None:
    given, value, slopes = ROWS[name]
    module = MODULES["torch"]
    inputs = [torch.tensor(_as(x), requires_grad=True) for x in given]
    found = module.bounded(getattr(module, name)(torch.tensor(_C), *inputs))
    np.testing.assert_allclose(found.detach().numpy(), _as(value), rtol=2e-6, atol=1e-6)
    if found.requires_grad:
        found.sum().backward()
    for entered, theirs in zip(inputs, slopes, strict=True):
        if theirs is not None:
            np.testing.assert_allclose(entered.grad.numpy(), _as(theirs), rtol=2e-6, atol=1e-6)
    plain = MODULES["numpy"].bounded(getattr(MODULES["numpy"], name)(np.float32(_C), *map(_as, given)))
    assert plain.dtype == np.float32
    np.testing.assert_allclose(plain, _as(value), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "value"), CONSTANTS.items())
def test_constants(name: str, value: float) -> None:
    for back_end, module in MODULES.items():
        found = np.asarray(getattr(module, name)(1.0, None))
        assert found.shape == (1, 1), back_end
        np.testing.assert_allclose(found, value, rtol=1e-7)


def test_networks_are_applied() -> None:
    weights, state = _as([[1.0, 2.0], [0.0, -1.0]]), _as([[3.0], [1.0]])
    for name, module in MODULES.items():
        make = torch.tensor if name == "torch" else jnp.asarray if name == "jax" else np.asarray
        matrix, column = make(weights), make(state)
        for op in NETWORKS[:3]:
            found = getattr(module, op)(1.0, lambda x, w=matrix: w @ x, column)
            np.testing.assert_allclose(np.asarray(found), [[5.0], [-1.0]])
        found = module.q_value(1.0, lambda x, w=matrix: w @ x, column, make(_as([[0.0], [1.0]])))
        np.testing.assert_allclose(np.asarray(found), [[-1.0]])


def test_random_words_differ_between_nodes_and_updates_and_agree_between_back_ends() -> None:
    seen = {}
    for update in range(20):
        for position in range(20):
            key = np.asarray([update, 7], np.uint32)
            words = {
                "jax": MODULES["jax"].folded(jnp.asarray(key), position),
                "numpy": MODULES["numpy"].folded(key, position),
                "torch": MODULES["torch"].folded(torch.tensor(key.astype(np.int64)), position),
            }
            drawn = {
                name: [float(np.asarray(getattr(MODULES[name], op)(1.0, word))[0, 0]) for op in _DRAWN]
                for name, word in words.items()
            }
            np.testing.assert_allclose(drawn["torch"], drawn["jax"], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(drawn["numpy"], drawn["jax"], rtol=1e-5, atol=1e-6)
            seen[update, position] = tuple(int(word) for word in np.asarray(words["jax"]))
    assert len(set(seen.values())) == 400


def test_random_constants_have_their_distribution() -> None:
    module = MODULES["numpy"]
    rng = np.random.default_rng(0)
    words = [module.folded(rng.integers(2**32, size=2, dtype=np.uint32), 3) for _ in range(4000)]
    uniform = np.array([module.constant_uniform(1.0, word)[0, 0] for word in words])
    normal = np.array([module.constant_gaussian(1.0, word)[0, 0] for word in words])
    assert ((uniform >= 0.0) & (uniform < 1.0)).all()
    assert abs(uniform.mean() - 0.5) < 0.02
    assert abs(uniform.std() - 12**-0.5) < 0.01
    assert abs(normal.mean()) < 0.06
    assert abs(normal.std() - 1.0) < 0.05
    assert abs((np.abs(normal) < 1.0).mean() - 0.6827) < 0.03


@pytest.mark.parametrize("value", [-1e10, -1e-10, 0.0, 1e-10, 1e10, -9.9999999e-11])
@pytest.mark.parametrize("back_end", ["jax", "torch"])
def test_slopes_stay_finite_where_the_original_divides_by_zero(back_end: str, value: float) -> None:
    numerator, slope = _as([[1e10, 1.0, 0.0]]), _as([[1e10, 0.0, -1e10]])
    divisor = np.full((1, 3), value, np.float32)
    module = MODULES[back_end]
    if back_end == "jax":
        found, pull = jax.vjp(lambda x, y: module.bounded(module.div(1.0, x, y)), numerator, divisor)
        slopes = [np.asarray(s) for s in pull(jnp.asarray(slope))]
    else:
        inputs = [torch.tensor(x, requires_grad=True) for x in (numerator, divisor)]
        found = module.bounded(module.div(1.0, *inputs))
        found.backward(torch.tensor(slope))
        slopes, found = [x.grad.numpy() for x in inputs], found.detach()
    assert np.isfinite(np.asarray(found)).all()
    assert np.isfinite(slopes).all()


def test_numbers_that_are_none_pass_through() -> None:
    nan = jnp.full((2, 3), jnp.nan)
    for name, (given, *_) in ROWS.items():
        if name == "arg_max_list":
            continue  # an action is always some action
        module = MODULES["jax"]
        found = module.bounded(getattr(module, name)(jnp.float32(1.0), *[nan] * len(given)))
        assert np.isnan(np.asarray(found)).all(), name
