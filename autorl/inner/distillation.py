"""Distillation: early in its training an agent also imitates a guide, in the states that it visits itself.

Its loss gains the cross-entropy from the guide's policy to its own, -log p(a | s) with a drawn from the guide at the agent's own states
(Schmitt et al., 2018, *Kickstarting Deep Reinforcement Learning*, which weighs it and lets the weight fall). So each generation of
open-ended learning begins with the best policy of the one before (Open-Ended Learning Team, 2021). Any function may guide: its
probabilities are not asked for, and it takes no step of the environment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.check import refuse_strange_actions
from autorl.environments.protocol import Environment
from autorl.errors import UsageError
from autorl.inner.policies import Policy
from autorl.spaces.plain_values import DISTILL_FROM, NOBODY

Guide = Callable[[Array, Array], Any]
"""From one observation and a random key to an action. Traceable and hashable."""
_TRIED = 16


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Distilled:
    """A guide to imitate: structure of the program, no data.

    Attributes:
        reference: What names it.
        guide: The policy; None until it has been looked up, which is not a learner's business.
    """

    reference: str
    guide: Guide | None = None


def guide_field(help: str) -> Any:
    """Declare what an agent imitates: None, or a reference that whoever trains the agent has looked up (`Distilled`)."""
    return dataclasses.field(default=None, metadata={"traced": False, "help": help, "parse": _distilled})


def _distilled(value: Any) -> Distilled | None:
    if value is None or isinstance(value, Distilled):
        return value
    if value == NOBODY:
        return None
    if isinstance(value, str) and value:
        return Distilled(value)
    raise UsageError(
        "expected 'module:attribute', a function from (observation, random key) to an action, 'study:NAME', a study that "
        f"kept its policy, or 'none', got {value!r}"
    )


def coefficient(weight: Array, share: Array, done: Array) -> Array:
    """Return the weight of imitation when the part ``done`` of a training is over: from ``weight`` linearly to 0 at ``share``. Scalars."""
    left = 1.0 - done / jnp.maximum(share, jnp.finfo(jnp.float32).tiny)
    return jnp.where(done < share, weight * left, 0.0)


def guided_actions(
    distilled: Distilled, environment: Environment, policy: Policy, observations: Array, key: Array, wanted: Array
) -> Array:
    """Return what the guide does in N states, as the policy stores actions: float32 [N, A]; zeros unless ``wanted`` (bool scalar).

    Args:
        distilled: The guide.
        environment: Where.
        policy: The agent's, for the form of actions.
        observations: float32 [N, D]; flat, as the environment gave them.
        key: Of the guide's draws.
        wanted: Whether to ask it at all.

    Raises:
        UsageError: The guide was not looked up.
    """
    guide = distilled.guide
    if guide is None:
        raise UsageError(
            f"{DISTILL_FROM}: {distilled.reference!r} was not looked up. "
            "Remedy: train through an experiment, or give Distilled(reference, guide)"
        )
    count = len(observations)

    def asked() -> Array:
        given = observations.reshape(count, *environment.observation_shape)
        return policy.from_environment(jnp.asarray(jax.vmap(guide)(given, jax.random.split(key, count))))

    return jax.lax.cond(wanted, asked, lambda: jnp.zeros((count, policy.size), jnp.float32))


def refuse_strange(reference: str, guide: Guide, environment: Environment) -> None:
    """Raise `UsageError` unless ``guide`` can be traced in ``environment``, and acts as is played there in some first states."""
    try:
        made = _first_actions(guide, cast(Any, environment))
    except Exception as error:  # the guide is the user's function and may raise anything
        raise UsageError(f"guide: {reference!r} cannot act in {environment.name!r}: {error}") from error
    refuse_strange_actions(made, environment, leading=1)


@lru_cache(maxsize=64)  # a guide is looked at before a study, and whenever one is gone on with
def _first_actions(guide: Guide, environment: Any) -> np.ndarray:
    """Return what a guide does in `_TRIED` first states, [K, ...]."""

    def acts(key: Array) -> Array:
        reset_key, act_key = jax.random.split(key)
        observation, _ = environment.reset(reset_key, environment.default_task())
        return jnp.asarray(guide(observation.astype(jnp.float32), act_key))

    return np.asarray(jax.jit(jax.vmap(acts))(jax.random.split(jax.random.key(0), _TRIED)))
