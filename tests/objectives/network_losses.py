"""A batch, two small networks, and losses of the family ``network`` with their slopes: in JAX (any objective) and in PyTorch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from autorl.objectives.graphs.compiled_coreyes import loss_by
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.networks import network_registers

ACTIONS, STATE, SAMPLES, HIDDEN = 3, 4, 8, 6
WORDS = np.array([1, 2], np.uint32)
Tree = dict[str, np.ndarray]


def network(seed: int) -> Tree:
    rng = np.random.default_rng(seed)
    shapes = {"w": (STATE, HIDDEN), "v": (HIDDEN, ACTIONS), "b": (ACTIONS,)}
    return {name: (0.7 * rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}


def apply(tree: Any, states: jax.Array) -> jax.Array:
    return jnp.tanh(states @ tree["w"]) @ tree["v"] + tree["b"]


ONLINE, TARGET = network(1), network(2)


def batch(seed: int = 0, size: float = 1.0, samples: int = SAMPLES) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "states": (size * rng.normal(size=(samples, STATE))).astype(np.float32),
        "actions": rng.integers(ACTIONS, size=samples).astype(np.int32),
        "rewards": (size * rng.normal(size=samples)).astype(np.float32),
        "discounts": np.where(rng.random(samples) < 0.25, 0.0, 0.99).astype(np.float32),
        "next_states": (size * rng.normal(size=(samples, STATE))).astype(np.float32),
    }


WEIGHTS = np.random.default_rng(5).random(SAMPLES).astype(np.float32)


def registers(tree: Any, given: dict[str, np.ndarray], words: Any = WORDS) -> dict[str, Any]:
    arrays = {name: jnp.asarray(value) for name, value in given.items()}
    return network_registers(apply, tree, TARGET, **arrays, n_actions=ACTIONS, words=jnp.asarray(words))


def loss_and_slopes(objective: Any, given: dict[str, np.ndarray], words: Any = WORDS) -> tuple[Any, Any]:
    """The loss of each sample, and the slopes of its weighted mean in the online network's parameters."""

    def mean(tree: Any) -> tuple[jax.Array, jax.Array]:
        each = objective.per_sample(registers(tree, given, words))
        return jnp.mean(WEIGHTS * each), each

    (_, each), slopes = jax.value_and_grad(mean, has_aux=True)(jax.tree.map(jnp.asarray, ONLINE))
    return each, slopes


def by_torch(graph: Graph, given: dict[str, np.ndarray], words: Any = WORDS) -> tuple[np.ndarray, Tree]:
    """The same in PyTorch."""
    trees = [{name: torch.tensor(value) for name, value in tree.items()} for tree in (ONLINE, TARGET)]
    for value in trees[0].values():
        value.requires_grad_()

    def function(tree: dict[str, torch.Tensor]) -> Any:
        return lambda x: (torch.tanh(x.T @ tree["w"]) @ tree["v"] + tree["b"]).T

    held = {
        "q_param": function(trees[0]),
        "q_targ_param": function(trees[1]),
        "action": torch.nn.functional.one_hot(torch.tensor(given["actions"]).long(), ACTIONS).T.float(),
        "s_tm1": torch.tensor(given["states"]).T,
        "s_t": torch.tensor(given["next_states"]).T,
        "reward": torch.tensor(given["rewards"]),
        "discount": torch.tensor(given["discounts"]),
        "constant": torch.tensor(np.asarray(words).astype(np.int64)),
    }
    each = loss_by(graph, held, "torch")
    total = torch.mean(torch.tensor(WEIGHTS) * each)
    if total.requires_grad:
        total.backward()
    grads = {n: np.zeros(v.shape, np.float32) if v.grad is None else v.grad.numpy() for n, v in trees[0].items()}
    return each.detach().numpy(), grads


def assert_same(ours: Any, theirs: Any, message: object = "", tolerance: float = 1e-5) -> None:
    """Loss and slopes agree relative to the size of what they are sums of."""
    (each, slopes), (wanted, wanted_slopes) = ours, theirs
    for found, right in ((each, wanted), *((slopes[name], wanted_slopes[name]) for name in wanted_slopes)):
        found, right = np.asarray(found, np.float64), np.asarray(right, np.float64)
        size = max(float(np.max(np.abs(right[np.isfinite(right)]), initial=0.0)), 1e-2)
        np.testing.assert_allclose(found, right, rtol=tolerance, atol=tolerance * size, err_msg=str(message))
