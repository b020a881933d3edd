"""Every loss of the catalogue says what its paper says: against formulas in numpy, and against the losses written by hand in JAX."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.errors import UnknownNameError
from autorl.objectives.graphs.compiled import CompiledLoss
from autorl.objectives.handwritten import HANDWRITTEN
from autorl.objectives.loader import load_objective, names

SAMPLES, ACTIONS = 64, 3
Registers = dict[str, np.ndarray]


def registers(family: str, spread: float, seed: int = 0) -> Registers:
    """Random registers, some of them on edges: ties, terminal states, no advantage, the old policy itself."""
    rng = np.random.default_rng(seed)
    if family == "value":
        taken = rng.integers(0, ACTIONS, SAMPLES)
        made = {
            name: spread * rng.normal(size=(ACTIONS, SAMPLES)) for name in ("q", "q_next", "q_target", "q_target_next")
        }
        made["q"][:, :4] = 0.0
        made["q_target_next"][:, 4:8] = 0.0
        made |= {
            "q_action": made["q"][taken, np.arange(SAMPLES)],
            "action": np.eye(ACTIONS)[:, taken],
            "reward": rng.integers(-1, 2, SAMPLES).astype(float),
            "discount": 0.99 * (rng.random(SAMPLES) > 0.25),
        }
    else:
        old, change = -rng.random(SAMPLES) * 2, 0.5 * rng.normal(size=SAMPLES)
        change[:4] = 0.0
        advantage = spread * rng.normal(size=SAMPLES)
        advantage[2:6] = 0.0
        made = {
            "log_prob": old + change,
            "old_log_prob": old,
            "ratio": np.exp(change),
            "advantage": advantage,
            "value": spread * rng.normal(size=SAMPLES),
            "old_value": spread * rng.normal(size=SAMPLES),
            "return": spread * rng.normal(size=SAMPLES),
            "entropy": rng.random(SAMPLES),
        }
    return {name: value.astype(np.float32) for name, value in made.items()}


def target(r: Registers) -> np.ndarray:
    return r["reward"] + r["discount"] * r["q_target_next"].max(0)


def delta(r: Registers) -> np.ndarray:
    return r["q_action"] - target(r)


def log_sum_exp(x: np.ndarray) -> np.ndarray:
    return x.max(0) + np.log(np.exp(x - x.max(0)).sum(0))


def huber(r: Registers) -> np.ndarray:
    size = np.abs(delta(r))
    return np.where(size <= 1, 0.5 * size**2, size - 0.5)


def double(r: Registers) -> np.ndarray:
    best = r["q_target_next"][r["q_next"].argmax(0), np.arange(SAMPLES)]
    return 0.5 * (r["q_action"] - r["reward"] - r["discount"] * best) ** 2


def clipped(r: Registers) -> np.ndarray:
    squared = r["discount"] * r["q_target_next"].max(0) ** 2
    return np.maximum(r["q_action"], delta(r) ** 2 + target(r)) + np.maximum(delta(r), squared)


def munchausen(r: Registers) -> np.ndarray:
    """As the paper writes it: an expectation under the soft policy."""

    def log_policy(q: np.ndarray) -> np.ndarray:
        return (q - q.max(0)) - 0.03 * log_sum_exp((q - q.max(0)) / 0.03)

    now, then = log_policy(r["q_target"]), log_policy(r["q_target_next"])
    bonus = np.clip((now * r["action"]).sum(0), -1, 0)
    value = (np.exp(then / 0.03) * (r["q_target_next"] - then)).sum(0)
    return 0.5 * (r["q_action"] - r["reward"] - 0.9 * bonus - r["discount"] * value) ** 2


def error(r: Registers) -> np.ndarray:
    return (r["value"] - r["return"]) ** 2


def surrogate(r: Registers) -> np.ndarray:
    return np.minimum(r["ratio"] * r["advantage"], np.clip(r["ratio"], 0.8, 1.2) * r["advantage"])


def drift(r: Registers) -> np.ndarray:
    up, down = (r["ratio"] - 1) * r["advantage"], np.log(r["ratio"]) * r["advantage"]
    rise, fall = np.maximum(up - 2 * np.tanh(up / 2), 0), np.maximum(down - 0.6 * np.tanh(down / 0.6), 0)
    return np.where(r["advantage"] >= 0, rise, fall)


FORMULAS: dict[str, Callable[[Registers], np.ndarray]] = {
    "dqn": lambda r: 0.5 * delta(r) ** 2,
    "double_dqn": double,
    "huber_dqn": huber,
    "dqnreg_paper": lambda r: 0.1 * r["q_action"] + delta(r) ** 2,
    "dqnreg_code": lambda r: 0.1 * r["q_action"] + 0.5 * delta(r) ** 2,
    "dqn_clipped": clipped,
    "cql": lambda r: 0.5 * delta(r) ** 2 + 0.1 * (log_sum_exp(r["q"]) - r["q_action"]),
    "munchausen": munchausen,
    "ppo_clip": lambda r: -surrogate(r) + 0.25 * error(r),
    "importance_weighted": lambda r: -r["ratio"] * r["advantage"] + 0.25 * error(r),
    "a2c": lambda r: -r["log_prob"] * r["advantage"] + 0.5 * error(r) - 0.01 * r["entropy"],
    "awr": lambda r: -np.minimum(np.exp(np.minimum(r["advantage"], 20)), 20) * r["log_prob"] + 0.5 * error(r),
    "dpo": lambda r: -r["ratio"] * r["advantage"] + drift(r) + 0.25 * error(r),
}


@pytest.mark.parametrize("spread", [1.0, 10.0])
@pytest.mark.parametrize("name", FORMULAS)
def test_loss_is_the_formula_of_the_paper(name: str, spread: float) -> None:
    graph = load_objective(name).graph
    given = registers(graph.family, spread)
    found = np.asarray(CompiledLoss.of(graph).per_sample(given))
    wanted = FORMULAS[name]({k: v.astype(np.float64) for k, v in given.items()})
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-5 * max(1.0, np.abs(wanted).max() / 100))


@pytest.mark.parametrize("name", FORMULAS)
def test_loss_and_slopes_are_those_of_the_loss_written_by_hand(name: str) -> None:
    graph, by_hand = load_objective(name).graph, HANDWRITTEN.load(name)
    given = registers(graph.family, 1.0, seed=1)
    # away from ties, where a slope may be any between two; the ratio at which a policy starts stays
    moving = [r.name for r in graph.registers if r.differentiable and r.name in given]
    for key in ("q", "q_target_next"):
        if key in given:
            given[key] = given[key] + 0.01 * np.arange(ACTIONS, dtype=np.float32)[:, None]

    def total(loss: Callable[[dict[str, jax.Array]], jax.Array]) -> tuple[np.ndarray, dict[str, jax.Array]]:
        def of(some: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
            each = loss({**given, **some})
            return jnp.sum(each), each

        (_, each), slopes = jax.value_and_grad(of, has_aux=True)({k: jnp.asarray(given[k]) for k in moving})
        return np.asarray(each), slopes

    ours, our_slopes = total(CompiledLoss.of(graph).per_sample)
    theirs, their_slopes = total(by_hand)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    for register in moving:
        np.testing.assert_allclose(our_slopes[register], their_slopes[register], rtol=1e-5, atol=1e-5, err_msg=register)


def test_catalogue_holds_a_formula_for_each_of_the_literature() -> None:
    found = names()
    assert set(FORMULAS) <= set(found)
    assert set(FORMULAS) == set(HANDWRITTEN)


def test_every_entry_of_the_catalogue_loads_with_its_provenance() -> None:
    for name in names():
        objective = load_objective(name)
        assert objective.provenance["family"] == objective.graph.family
        assert len(objective.graph.live) == len(objective.graph.nodes), "a node that does nothing"
        assert {"source", "found_by"} & set(objective.provenance)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="dqnreg_paper"):
        load_objective("dqnreg_papr")
