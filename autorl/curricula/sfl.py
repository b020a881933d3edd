"""Sampling for learnability: the random levels that are sometimes solved and sometimes not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autorl.curricula.protocol import Channels, Proposal, Teacher
from autorl.curricula.trials import Trials
from autorl.declarations import hyperparameters, static, traced
from autorl.errors import UsageError


@hyperparameters
class SflParameters:
    """Of sampling for learnability. The reference evaluates 25,000 levels and keeps 1,000; defaults are for small studies."""

    visits: Array = traced(4, "Episodes by which the success rate of a level is judged.", low=1, high=1000)
    period: Array = traced(2000, "Episodes to learn from between evaluations.", low=1)
    kept_share: Array = traced(0.5, "Share of the tasks that are kept levels; the rest are random.", low=0.0, high=1.0)
    candidates: int = static(250, "Random levels evaluated each time.", low=1, high=1_000_000)
    kept: int = static(25, "Levels kept, those of the greatest learnability.", low=1, high=1_000_000)


class SflState(NamedTuple):
    """The evaluation that is under way, and what the last one kept.

    Attributes:
        trials: Levels evaluated so far.
        levels: float32 [K, D], those kept.
        ready: bool, whether there are any.
        learned: int32, episodes since then.
    """

    trials: Trials
    levels: Array
    ready: Array
    learned: Array


@dataclass(frozen=True)
class Sfl(Teacher[SflState]):
    """Every ``period`` episodes, random levels are evaluated, and those with the greatest p (1 - p) are kept, p the success rate.

    Evaluations are proposals that are not learned from, so their episodes are on the caller's ledger like all others. Of the other
    tasks, a share is drawn uniformly from the levels kept, and the rest at random.
    """

    name: ClassVar[str] = "sfl"
    reference: ClassVar[str] = (
        "Rutherford et al., 2024, No Regrets: Investigating and Improving Regret Approximations for Curriculum Discovery"
    )
    Parameters: ClassVar[type[Any]] = SflParameters
    hears_starts: ClassVar[bool] = True

    def needs(self, params: SflParameters) -> frozenset[str]:
        """Return the channel of successes."""
        return frozenset({"successes"})

    def _check(self, params: SflParameters) -> None:
        if params.kept > params.candidates:
            raise UsageError(f"kept: expected at most candidates = {params.candidates}, got {params.kept}")

    def _init(self, params: SflParameters, seed: Array) -> SflState:
        d = self.space.dimensions
        trials = Trials.empty(params.candidates, d)
        return SflState(trials, jnp.zeros((params.kept, d)), jnp.bool_(False), jnp.int32(0))

    def _propose(self, params: SflParameters, state: SflState, key: Array, n: int) -> Proposal:
        keys = jax.random.split(key, 3)
        random = self.space.draw(keys[0], n)
        kept = state.levels[jax.random.randint(keys[1], (n,), 0, params.kept)]
        learnable = state.ready & (jax.random.uniform(keys[2], (n,)) < params.kept_share)
        evaluated, inside = state.trials.next(params.visits, random)
        looked_at = _evaluating(params, state) & inside
        tasks = jnp.where(looked_at[:, None], evaluated, jnp.where(learnable[:, None], kept, random))
        return Proposal(tasks, ~looked_at)

    def _begun(self, params: SflParameters, state: SflState, points: Array, which: Array) -> SflState:
        trials = state.trials.started(points, which & _evaluating(params, state))
        return state._replace(trials=trials)

    def _lost(self, params: SflParameters, state: SflState, points: Array, which: Array) -> SflState:
        return state._replace(trials=state.trials.told_nothing(points, which & _evaluating(params, state)))

    def _update(
        self, params: SflParameters, state: SflState, points: Array, channels: Channels, valid: Array
    ) -> SflState:
        def evaluate() -> SflState:
            trials = state.trials.told(points, channels["successes"], valid)
            rate = trials.means
            best = jax.lax.top_k(rate * (1.0 - rate), params.kept)[1]
            over = trials.over(params.visits)
            after = SflState(
                trials.again,
                trials.points[best],
                jnp.bool_(True),
                jnp.int32(0),
            )
            return jax.tree.map(lambda new, old: jnp.where(over, new, old), after, state._replace(trials=trials))

        def learn() -> SflState:
            return state._replace(learned=state.learned + valid.sum(dtype=jnp.int32))

        return jax.lax.cond(_evaluating(params, state), evaluate, learn)


def _evaluating(params: SflParameters, state: SflState) -> Array:
    return ~state.ready | (state.learned >= params.period)
