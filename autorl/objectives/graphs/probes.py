"""Fixed batches of realistic inputs, on which two losses are compared. The same on every machine; numpy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from autorl.keys import derive, generator
from autorl.objectives.graphs.graph import GraphError

ACTIONS = 3
SAMPLES = 48
"""Half of them at values of about 1, half at values of about 10."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Probe:
    """One batch.

    Attributes:
        registers: Values by name: floats [N], lists and one-hot actions [A, N], float32; consistent with each other
            (``q_action`` is ``q`` at ``action``, ``ratio`` follows from the log-probabilities).
        groups: Which samples belong together in size, int [N].
    """

    registers: Mapping[str, Array]
    groups: NDArray[np.int64]


@lru_cache(maxsize=64)
def probe(family: str, changed: str = "") -> Probe:
    """Return the batch of a register family.

    Args:
        family: ``value``, ``policy_gradient`` or ``level``.
        changed: A register that is drawn anew, with what follows from it; all others stay as they are.

    Raises:
        GraphError: No probes for this family, or no such register.
    """
    if family not in _MAKERS:
        raise GraphError(f"there are no probe batches for register family {family!r}, only for {', '.join(_MAKERS)}")
    made = _MAKERS[family](changed)
    if changed and changed not in made:
        raise GraphError(f"register family {family!r} has no register {changed!r}")
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in made.items()}
    for array in arrays.values():
        array.setflags(write=False)
    return Probe(MappingProxyType(arrays), (np.arange(SAMPLES) % 2).astype(np.int64))


def _rng(name: str, changed: bool) -> np.random.Generator:
    return generator(derive(20_260_101, "probes", name, "changed" if changed else "base"))


_SIZE = np.where(np.arange(SAMPLES) % 2 == 0, 1.0, 10.0)


def _value(changed: str) -> dict[str, NDArray[np.float64]]:
    def rng(*names: str) -> np.random.Generator:
        return _rng(names[0], changed in names)

    def values(*names: str) -> NDArray[np.float64]:
        return rng(*names).standard_normal((ACTIONS, SAMPLES)) * _SIZE

    first = _rng("action", False).integers(ACTIONS, size=SAMPLES)
    shift = _rng("action", True).integers(1, ACTIONS, size=SAMPLES) if changed == "action" else 0
    action = np.eye(ACTIONS)[:, (first + shift) % ACTIONS]
    q = values("q", "q_action")
    draws = rng("reward")
    steps, reward = draws.integers(-1, 2, size=SAMPLES), draws.uniform(-1.0, 1.0, size=SAMPLES)
    draws = rng("discount")
    going_on = np.arange(SAMPLES) % 8 < 6  # a quarter of the samples of either size are terminal
    factor = draws.choice([0.5, 0.8, 0.9, 0.95, 0.99], size=SAMPLES) if changed != "discount" else draws.random(SAMPLES)
    return {
        "q": q,
        "q_action": np.sum(q * action, axis=0),
        "q_next": values("q_next"),
        "q_target": values("q_target"),
        "q_target_next": values("q_target_next"),
        "action": action,
        "reward": np.where(np.arange(SAMPLES) % 4 < 2, steps, reward),
        "discount": factor * going_on,
        "progress": rng("progress").choice([0.0, 0.1, 0.3, 0.5, 0.8, 1.0], size=SAMPLES),
    }


def _policy_gradient(changed: str) -> dict[str, NDArray[np.float64]]:
    def normal(*names: str) -> NDArray[np.float64]:
        return _rng(names[0], changed in names).standard_normal(SAMPLES)

    old_log_prob = -np.abs(normal("old_log_prob")) - 0.1
    # ratios from about 0.5 to 2: within the clip range, and beyond it on both sides
    moved = normal("log_prob", "ratio") * 0.25
    log_prob = np.minimum(old_log_prob + moved, -0.01) if changed != "old_log_prob" else _base_log_prob()
    advantage, old_value = normal("advantage"), normal("old_value") * _SIZE
    return {
        "log_prob": log_prob,
        "old_log_prob": old_log_prob,
        "ratio": np.exp(log_prob - old_log_prob),
        "advantage": advantage,
        "value": normal("value") * _SIZE,
        "old_value": old_value,
        "return": old_value + (advantage + normal("return") * (changed == "return") + 0.2) * _SIZE,
        "entropy": np.abs(normal("entropy")) + 0.05,
        "progress": _rng("progress", changed == "progress").choice([0.0, 0.1, 0.3, 0.5, 0.8, 1.0], size=SAMPLES),
    }


def _base_log_prob() -> NDArray[np.float64]:
    return _policy_gradient("")["log_prob"]


def _level(changed: str) -> dict[str, NDArray[np.float64]]:
    def uniform(*names: str) -> NDArray[np.float64]:
        return _rng(names[0], changed in names).random(SAMPLES)

    played = uniform("return")
    absolute = 0.3 * uniform("absolute_value_loss")
    return {
        "return": played,
        "max_return": played + (1.0 - played) * uniform("max_return") * (np.arange(SAMPLES) % 3 > 0),
        "previous_return": uniform("previous_return") * (np.arange(SAMPLES) % 4 > 0),  # 0: a new level
        "value": uniform("value"),
        "positive_value_loss": absolute * uniform("positive_value_loss"),
        "absolute_value_loss": absolute,
        "success_rate": np.floor(11 * uniform("success_rate")) / 10,
        "antagonist_return": uniform("antagonist_return"),
        "staleness": uniform("staleness") ** 3 * (np.arange(SAMPLES) % 4 > 0),
    }


_MAKERS: Mapping[str, Callable[[str], dict[str, NDArray[np.float64]]]] = MappingProxyType(
    {"value": _value, "policy_gradient": _policy_gradient, "level": _level}
)


PUSH = 100.0
"""How far `pushed` moves predictions: ten times the larger of the usual sizes."""


def pushed(family: str) -> tuple[Probe, Probe, Probe]:
    """Return the batch of a register family three times: Q(s, a), which the loss trains, far up; far down; the reward larger by 1.

    Raises:
        GraphError: The family ``value`` alone has such a prediction.
    """
    if family != "value":
        raise GraphError(f"losses of register family {family!r} train no value of an action, only those of 'value' do")
    given = probe(family)

    def moved(by: float, reward: float) -> Probe:
        registers = dict(given.registers)
        registers["q"] = registers["q"] + np.float32(by) * registers["action"]
        registers["q_action"] = registers["q_action"] + np.float32(by)
        registers["reward"] = registers["reward"] + np.float32(reward)
        return Probe(MappingProxyType(registers), given.groups)

    return moved(PUSH, 0.0), moved(-PUSH, 0.0), moved(0.0, 1.0)


def output_slopes(family: str, registers: Mapping[str, Array], slopes: Mapping[str, Array]) -> dict[str, Array]:
    """Return the slopes of each sample's loss with respect to the network's outputs.

    Args:
        family: Register family.
        registers: Values by name, the last axis being the samples.
        slopes: Slopes with respect to the registers, of the same shapes; those left out are 0.

    Returns:
        ``value``: ``q`` [A, N] (through ``q_action`` too) and ``q_next`` [A, N]. ``policy_gradient``: ``log_prob`` (through the
        ratio too), ``value`` and ``entropy``, [1, N] each.
    """

    def slope(name: str) -> Array:
        return np.asarray(slopes.get(name, np.zeros_like(registers[name])), np.float32)

    if family == "value":
        return {"q": slope("q") + registers["action"] * slope("q_action"), "q_next": slope("q_next")}
    through_ratio = registers["ratio"] * slope("ratio")
    rows = {"log_prob": slope("log_prob") + through_ratio, "value": slope("value"), "entropy": slope("entropy")}
    return {name: row[None] for name, row in rows.items()}
