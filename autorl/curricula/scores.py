"""Level scores: how much a level promises to teach, from the feedback of its episodes. Each is named as in the papers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels


@dataclass(frozen=True)
class Score:
    """A level score.

    Attributes:
        needs: Channels of `Feedback` that it reads.
        function: From the channels, each level's greatest return so far and its return the time before (0 if it is new), all float32
            [n], to the scores, float32 [n].
        reference: Authors and year.
    """

    needs: frozenset[str]
    function: Callable[[Channels, Array, Array], Array]
    reference: str


SCORES: dict[str, Score] = {
    "max_mc": Score(
        frozenset({"returns", "values"}),
        lambda channels, best, before: best - channels["values"],
        "Jiang et al., 2021, Replay-Guided Adversarial Environment Design",
    ),
    "positive_value_loss": Score(
        frozenset({"returns", "positive_value_losses"}),
        lambda channels, best, before: channels["positive_value_losses"],
        "Jiang et al., 2021, Replay-Guided Adversarial Environment Design",
    ),
    "l1_value_loss": Score(
        frozenset({"returns", "absolute_value_losses"}),
        lambda channels, best, before: channels["absolute_value_losses"],
        "Jiang et al., 2021, Prioritized Level Replay",
    ),
    "learnability": Score(
        frozenset({"returns", "successes"}),
        lambda channels, best, before: channels["successes"] * (1.0 - channels["successes"]),
        "Rutherford et al., 2024, No Regrets",
    ),
    "regret": Score(
        frozenset({"returns", "antagonist_returns"}),
        lambda channels, best, before: channels["antagonist_returns"] - channels["returns"],
        "Dennis et al., 2020, Emergent Complexity and Zero-shot Transfer via Unsupervised Environment Design",
    ),
    "progress": Score(
        frozenset({"returns"}),
        lambda channels, best, before: jnp.abs(channels["returns"] - before),
        "Portelas et al., 2019, Teacher Algorithms for Curriculum Learning of Deep RL",
    ),
}
