"""What a trained agent acts by: the part of its training state that is worth keeping when the training is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from jax import Array

from autorl.environments.protocol import Environment
from autorl.inner.normalisation import Moments

Act = Callable[[Array, Array], Array]
"""From observations [E, *observation_shape] and a random key to actions [E, *action_shape]. Traceable."""


class Acting(NamedTuple):
    """What an agent acts by.

    Attributes:
        parameters: float32 [P]; of its networks, flat.
        moments: Of the observations.
    """

    parameters: Array
    moments: Moments


@runtime_checkable
class ActingLearner(Protocol):
    """A learner whose agents can be kept. Those of `autorl.inner` that learn networks are."""

    Hyperparameters: ClassVar[type]
    acts_by: ClassVar[tuple[str, ...]]
    """The hyperparameters that acting depends on."""
    environment: Environment

    def acting(self, state: Any) -> Acting:
        """Return what the agent of a training state acts by (of several states, if they are stacked)."""

    def actor(self, kept: Acting, hp: Any) -> Act:
        """Return the policy by which agents are evaluated."""

    def acting_size(self, hp: Any) -> int:
        """Return how many parameters it acts by, P."""
