"""The test that an export writes beside itself: recorded inputs, and the loss and slopes that this package computes for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import Template
from typing import Any, Final

import numpy as np

from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.types import Type

SAMPLES: Final = 10
ACTIONS: Final = 3
NUMBERS: Final = 4
"""Of an observation."""
MODERATE: Final = 7
"""Samples whose numbers have the sizes of trainings; in the others steps saturate, and guards are met."""


def recorded_registers(graph: Graph) -> dict[str, np.ndarray]:
    """Return inputs for every register of the graph's family: random ones, zeros, ties of ones, some so large that steps saturate.

    A network is a matrix of weights [A, D]: the test's networks are tanh of a product.
    """
    rng = np.random.default_rng(2021)
    made: dict[str, np.ndarray] = {}
    taken = rng.integers(0, ACTIONS, SAMPLES)
    for register in graph.registers:
        if register.type in (Type.PARAMETERS, Type.HEAD):
            made[register.name] = rng.normal(size=(ACTIONS, NUMBERS))
            continue
        if register.type is Type.CONSTANT:
            made[register.name] = rng.integers(0, 2**32, 2, dtype=np.uint32)
            continue
        if register.type is Type.ACTION:
            made[register.name] = np.eye(ACTIONS)[:, taken]
            continue
        shape = {Type.LIST: (ACTIONS, SAMPLES), Type.STATE: (NUMBERS, SAMPLES)}.get(register.type, (SAMPLES,))
        values = rng.normal(size=shape) * np.repeat([1.0, 10.0], SAMPLES // 2)
        values[..., MODERATE:] = (0.0, 1.0, 1e6 if register.type is not Type.STATE else 1e2)
        made[register.name] = values
    made |= _realistic(made, taken)
    return {name: v if v.dtype == np.uint32 else np.round(v, 4).astype(np.float32) for name, v in made.items()}


def _realistic(made: Mapping[str, np.ndarray], taken: np.ndarray) -> dict[str, np.ndarray]:
    """Return registers that others decide, or that have a range."""
    found: dict[str, np.ndarray] = {}
    if "q_action" in made:
        found["q_action"] = made["q"][taken, np.arange(SAMPLES)]
    if "discount" in made:
        found["discount"] = np.where(np.arange(SAMPLES) % 3 == 2, 0.0, 0.99)
    if "progress" in made:
        found["progress"] = np.linspace(0.0, 1.0, SAMPLES)
    if "ratio" in made:
        found["old_log_prob"] = -np.abs(made["old_log_prob"]) / 10
        # every ratio, above and below 1 and far and near, with advantages of either sign: what clips does so on one side of each
        steps, signs = np.resize([-0.4, 0.4, 0.1, -0.1], MODERATE), np.resize([1.0, 1.0, -1.0, -1.0, -1.0], MODERATE)
        moved = np.concatenate([steps, -np.clip(made["log_prob"][MODERATE:] / 20, -0.4, 0.4)])
        found["log_prob"] = found["old_log_prob"] + moved
        found["advantage"] = made["advantage"].copy()
        found["advantage"][:MODERATE] = np.abs(made["advantage"][:MODERATE]) * signs
        found["ratio"] = np.exp(found["log_prob"] - found["old_log_prob"])
        found["entropy"] = np.abs(made["entropy"]) / 10
    return found


def expected(graph: Graph, registers: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the loss of each sample, float32 [N], and the slopes of their sum in each differentiable register that is read."""
    import jax
    import jax.numpy as jnp

    loss = _loss(graph)
    moving = [r.name for r in graph.registers if r.differentiable and r.name in graph.needs]

    def total(some: dict[str, Any]) -> tuple[Any, Any]:
        each = loss({name: some.get(name, registers[name]) for name in registers})
        return jnp.sum(each), each

    values = {name: jnp.asarray(registers[name]) for name in moving}
    (_, each), slopes = jax.value_and_grad(total, has_aux=True)(values)
    return np.asarray(each), {name: np.asarray(slope) for name, slope in slopes.items()}


def _loss(graph: Graph) -> Any:
    """Return the function of registers by our own back end; networks are given by their weights."""
    import jax.numpy as jnp

    if graph.family != "network":
        from autorl.objectives.graphs.compiled import CompiledLoss

        return CompiledLoss.of(graph).per_sample
    from autorl.objectives.graphs.compiled_coreyes import CompiledNetworkLoss
    from autorl.objectives.graphs.networks import Network

    compiled = CompiledNetworkLoss.of(graph)
    networks = {r.name for r in graph.registers if r.type in (Type.PARAMETERS, Type.HEAD)}

    def apply(weights: Any, states: Any) -> Any:
        return jnp.tanh(weights @ states)

    return lambda given: compiled.per_sample(
        {name: Network(jnp.asarray(v), apply) if name in networks else jnp.asarray(v) for name, v in given.items()}
    )


def source(graph: Graph, module: str, back_end: str, parameters: Mapping[str, str]) -> str:
    """Return the test of the exported ``module``, for plain pytest."""
    registers = recorded_registers(graph)
    losses, slopes = expected(graph, registers)
    networks = [r.name for r in graph.registers if r.type in (Type.PARAMETERS, Type.HEAD) and r.name in parameters]
    text = _TEMPLATES[back_end] if networks == [] else _TEMPLATES[back_end].replace(_PLAIN, _NETWORKS[back_end])
    return Template(text).substitute(
        module=module,
        inputs=block({p: registers[name] for name, p in parameters.items()}),
        losses=numbers(losses),
        slopes=block({parameters[name]: slope for name, slope in slopes.items()}),
        networks=repr(tuple(parameters[name] for name in networks)),
        words=repr(
            tuple(parameters[r.name] for r in graph.registers if r.type is Type.CONSTANT and r.name in parameters)
        ),
    )


def block(values: Mapping[str, np.ndarray]) -> str:
    """Return a dictionary of numbers as Python writes it."""
    rows = "".join(f"    {json.dumps(name)}: {numbers(value)},\n" for name, value in values.items())
    return "{\n" + rows + "}"


def numbers(values: np.ndarray) -> str:
    """Return numbers as a list in Python, each in as many digits as its type tells apart."""
    if values.ndim > 1:
        return "[\n" + "".join(f"        {numbers(row)},\n" for row in values) + "    ]"
    return "[" + ", ".join(str(v) if values.dtype == np.uint32 else repr(float(str(v))) for v in values) + "]"


_HEAD: Final = '''"""Checks that `$module` computes what was recorded when it was exported. Run it with pytest."""

import numpy as np
${library}
from $module import loss

INPUTS = $inputs
LOSSES = $losses
SLOPES = $slopes
"""Of the sum of the losses, in what slopes flow through."""


def close(found, wanted, share=1e-5):
    # each by its own size: the samples differ by orders of magnitude, and one scale for all would forgive the small ones anything
    np.testing.assert_allclose(found, wanted, rtol=share, atol=share)


'''
_PLAIN: Final = "def called(arrays):\n    return loss(**arrays)\n"
_CALL: Final = (
    "def called(arrays):\n"
    "    # networks are recorded by their weights\n"
    "    networks = {name: (lambda states, w=arrays[name]: {tanh}(w @ states)) for name in $networks}\n"
    "    return loss(**{**arrays, **networks})\n"
)
_NETWORKS: Final = {
    "jax": _CALL.replace("{tanh}", "jnp.tanh"),
    "torch": _CALL.replace("{tanh}", "torch.tanh"),
    "numpy": _CALL.replace("{tanh}", "np.tanh"),
}
# slopes may be sums over samples (a network's weights), and then the rounding of the largest is in all of them
_LOSS_TEST: Final = "\n\ndef test_losses():\n    close(np.asarray({found}), np.asarray(LOSSES, np.float32))\n"
_TEMPLATES: Final = {
    "numpy": _HEAD.replace("${library}", "")
    + "def arrays():\n    words = $words\n"
    + "    return {k: np.asarray(v, np.uint32 if k in words else np.float32) for k, v in INPUTS.items()}\n\n\n"
    + _PLAIN
    + _LOSS_TEST.replace("{found}", "called(arrays())"),
    "jax": _HEAD.replace("${library}", "import jax\nimport jax.numpy as jnp\n")
    + "def arrays():\n    words = $words\n"
    + "    return {k: jnp.asarray(v, jnp.uint32 if k in words else jnp.float32) for k, v in INPUTS.items()}\n\n\n"
    + _PLAIN
    + _LOSS_TEST.replace("{found}", "called(arrays())")
    + "\n\ndef test_slopes():\n"
    + "    fixed = arrays()\n    moving = {name: fixed[name] for name in SLOPES}\n"
    + "    found = jax.grad(lambda some: jnp.sum(called({**fixed, **some})))(moving)\n"
    + "    for name, slope in SLOPES.items():\n"
    + "        close(np.asarray(found[name]), np.asarray(slope, np.float32), 1e-4)\n",
    "torch": _HEAD.replace("${library}", "import torch\n")
    + "def arrays():\n    words = $words\n"
    + "    kinds = {k: torch.int64 if k in words else torch.float32 for k in INPUTS}\n"
    + "    return {k: torch.tensor(v, dtype=kinds[k], requires_grad=k in SLOPES) for k, v in INPUTS.items()}\n\n\n"
    + _PLAIN
    + _LOSS_TEST.replace("{found}", "called(arrays()).detach()")
    + "\n\ndef test_slopes():\n"
    + "    given = arrays()\n    total = called(given).sum()\n"
    + "    if total.requires_grad:\n        total.backward()\n"
    + "    for name, slope in SLOPES.items():\n"
    + "        found = given[name].grad if given[name].grad is not None else torch.zeros_like(given[name])\n"
    + "        close(found.numpy(), np.asarray(slope, np.float32), 1e-4)\n",
}
