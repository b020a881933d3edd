"""Transitions of many decision processes side by side, as numbers; and the registers of a batch of them.

A *pair* is the number (m S + s) A + a of an action a in a state s of process m; a *transition* the number pair S + s'. Rewards and ends
are looked up when a batch is drawn, so that a replay holds one integer for each transition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array


class Lookup(NamedTuple):
    """What happens in M processes, by number.

    Attributes:
        chances: float32 [M S A, S]; running sums of the probabilities of next states.
        rewards: float32 [M S A S].
        discounts: float32 [M S A S]; 0 where the episode ends.
        terminated: bool [M S A S].
        initial: float32 [M, S]; running sums of the probabilities of first states.
    """

    chances: Array
    rewards: Array
    discounts: Array
    terminated: Array
    initial: Array

    @classmethod
    def of(cls, processes: Mapping[str, Array]) -> Lookup:
        """Return the lookup of stacked processes (`autorl.environments.tabular.Process`)."""
        transition, terminated = processes["transition"], processes["terminated"]
        discounts = jnp.where(terminated, 0.0, processes["discount"][:, None, None, None])
        return cls(
            chances=jnp.cumsum(transition, axis=-1).reshape(-1, transition.shape[-1]),
            rewards=processes["reward"].reshape(-1),
            discounts=discounts.reshape(-1),
            terminated=terminated.reshape(-1),
            initial=jnp.cumsum(processes["initial"], axis=-1),
        )


class Places(NamedTuple):
    """Where transitions begin and end, int32 [N] each: m S + s of both states, and the action."""

    here: Array
    there: Array
    action: Array

    @classmethod
    def of(cls, transition: Array, process: np.ndarray, states: int, actions: int) -> Places:
        """Return the places of ``transition`` [N], of the processes with numbers ``process`` [N]."""
        pair = transition // states
        return cls(
            here=pair // actions, there=jnp.asarray(process) * states + transition % states, action=pair % actions
        )


def fixed_registers(
    needs: tuple[str, ...], lookup: Lookup, transition: Array, places: Places, target: Array, part: Array
) -> dict[str, Array]:
    """Return those registers of the family ``value`` in ``needs`` through which no slope flows, and always ``action``.

    Args:
        needs: Names.
        lookup: Of the processes.
        transition: int32 [N].
        places: Of the transitions.
        target: float32 [A, M S]; the target tables.
        part: Part of the training done, float32 scalar.
    """
    actions = np.arange(target.shape[0], dtype=np.int32)[:, None]
    found = {"action": (places.action == actions).astype(jnp.float32)}
    if "reward" in needs:
        found["reward"] = lookup.rewards[transition]
    if "discount" in needs:
        found["discount"] = lookup.discounts[transition]
    if "progress" in needs:
        found["progress"] = jnp.broadcast_to(part, transition.shape)
    if "q_target" in needs:
        found["q_target"] = target[:, places.here]
    if "q_target_next" in needs:
        found["q_target_next"] = target[:, places.there]
    return found


def sum_by_place(slopes: Array, place: Array, mdps: int, states: int) -> Array:
    """Return the sum of ``slopes`` [A, N] over the samples of each place: the slope of the tables, [A, M, S].

    A product with one-hot places: on a CPU a scatter would be a loop over samples.
    """
    batch = slopes.shape[1] // mdps
    numbers = np.arange(mdps * states, dtype=np.int32).reshape(mdps, 1, states)
    here = (place.reshape(mdps, batch, 1) == numbers).astype(jnp.float32)
    return jnp.einsum("amb,mbs->ams", slopes.reshape(-1, mdps, batch), here)


def draw(running_sums: Array, uniform: Array) -> Array:
    """Return indices (int32 [...]) drawn with ``uniform`` [...] from ``running_sums`` [..., S] of probabilities."""
    last = running_sums.shape[-1] - 1
    passed = jnp.sum(uniform[..., None] * running_sums[..., -1:] >= running_sums, axis=-1, dtype=jnp.int32)
    return jnp.minimum(passed, last)
