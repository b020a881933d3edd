"""Bayesian optimisation by Optuna's samplers, made a pure function: the one place that imports optuna for a search.

Optuna's own studies depend on the history of the process (sampler's random state, caches), so that a resumed study differs from
one left alone. Here each proposal gets a fresh study in memory and a fresh sampler, seeded by (study seed, trial number), that
is shown all results and, as running trials, the proposals that are pending. Optuna's CMA-ES is never used: it unpickles.

Floats are given to Optuna as unit coordinates (their scale is the space's affair), whole numbers as they are, ordered choices as
their index, bools and nominal choices as categories.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from autorl.keys import derive
from autorl.outer.full_trainings import History
from autorl.outer.protocol import Candidate, Proposal, finite_scores
from autorl.spaces import Bool, Categorical, Dimension, Float, Int, Space, Value
from autorl.spaces.flat import flat_candidate, flatten, nested_candidate


class MakeSampler(Protocol):
    """Returns a fresh sampler."""

    def __call__(self, seed: int) -> Any:
        """Return a sampler whose every draw is a function of ``seed``, below 2**32."""


@dataclass(frozen=True)
class Row:
    """A candidate as Optuna sees it: parameters, and their distributions (shared by all candidates with the same names)."""

    parameters: Mapping[str, Any]
    distributions: Mapping[str, Any]


class OptunaModel:
    """Translates candidates of one space, and asks a sampler for the next one.

    Args:
        space: What is searched.
        seed: The study's seed for the search.
        name: Name of the method, part of each sampler's seed.
        impute: Show inactive dimensions to the sampler at the middle of their range, for samplers that know no conditions.
        relax: Show whole numbers with more values than this as real ones, rounded, for samplers that try one value after the other.
    """

    def __init__(self, space: Space, seed: int, name: str, *, impute: bool = False, relax: int | None = None) -> None:
        self.space = space
        self.flat = flatten(space)
        self.seed = seed
        self.name = name
        self.impute = impute
        self._distributions = {d: _distribution(self.flat.dimensions[d], relax) for d in self.flat.searched}
        self._shared: Any = cache(lambda names: {d: self._distributions[d] for d in names})

    def row(self, candidate: Candidate) -> Row:
        """Return ``candidate`` as Optuna sees it."""
        flat = flat_candidate(self.space, candidate)
        names = self.flat.searched if self.impute else tuple(d for d in self.flat.searched if d in flat)
        return Row({d: self._encode(d, flat.get(d)) for d in names}, self._shared(names))

    def _encode(self, name: str, value: Value | None) -> float | int:
        """Return what Optuna sees of ``value``; None is the middle of the range."""
        dimension = self.flat.dimensions[name]
        known = dimension.from_unit(0.5) if value is None else value
        if _is_unit(self._distributions[name]):
            return dimension.to_unit(known)
        return dimension.index(known) if isinstance(dimension, Categorical) else int(known)

    def _decode(self, name: str, drawn: Any) -> Value:
        dimension = self.flat.dimensions[name]
        if _is_unit(self._distributions[name]):
            return dimension.from_unit(float(drawn))
        if isinstance(dimension, Categorical):
            return dimension.choices[int(drawn)]
        return bool(drawn) if isinstance(dimension, Bool) else int(drawn)

    def propose(
        self,
        history: History,
        shown: Sequence[int],
        number: int,
        pending: Sequence[Proposal],
        make_sampler: MakeSampler,
    ) -> Candidate:
        """Return the sampler's proposal for trial ``number``.

        Args:
            history: All results; its rows are `Row`.
            shown: Indices of the results that the sampler is shown.
            number: Number of the trial.
            pending: Proposals without a result yet.
            make_sampler: Makes the sampler.
        """
        import optuna
        from optuna.trial import TrialState

        scores = finite_scores(history.results)
        told = sorted(shown, key=lambda i: history.results[i].proposal.number)
        trials = [_trial(n, history.rows[i], TrialState.COMPLETE, scores[i]) for n, i in enumerate(told)]
        for proposal in sorted(pending, key=lambda p: p.number):
            trials.append(_trial(len(trials), self.row(proposal.candidate), TrialState.RUNNING, None))
        new = _trial(len(trials), Row({}, {}), TrialState.RUNNING, None)
        with _quiet():
            sampler = make_sampler(derive(self.seed, self.name, number) % 2**32)
            # which parameters belong together shows in one trial of each kind; looking at all of them takes seconds
            kinds = {id(t.distributions): t for t in reversed(trials[: len(told)])}
            few = optuna.create_study(storage=_storage(list(reversed(kinds.values()))), direction="maximize")
            joint = sampler.infer_relative_search_space(few, new)
            study = optuna.create_study(storage=_storage(trials), direction="maximize")
            relative = sampler.sample_relative(study, new, joint)

            def value(name: str) -> Value:
                dimension = self.flat.dimensions[name]
                if name not in self._distributions:
                    return dimension.from_unit(0.5)  # fixed
                drawn = relative.get(name)
                if drawn is None:
                    drawn = sampler.sample_independent(study, new, name, self._distributions[name])
                return self._decode(name, drawn)

            return nested_candidate(self.space, self.flat.build(value))


def _distribution(dimension: Dimension, relax: int | None) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match dimension:
        case Int() if relax is None or dimension.high - dimension.low < relax:
            return IntDistribution(dimension.low, dimension.high, log=dimension.log)
        case Float() | Int():
            return FloatDistribution(0.0, 1.0)
        case Categorical(choices=choices) if dimension.feature == "ordinal":
            return IntDistribution(0, len(choices) - 1)
        case Categorical(choices=choices):
            return CategoricalDistribution(tuple(range(len(choices))))
    return CategoricalDistribution((0, 1))


def _is_unit(distribution: Any) -> bool:
    from optuna.distributions import FloatDistribution

    return isinstance(distribution, FloatDistribution)


def _trial(number: int, row: Row, state: Any, score: float | None) -> Any:
    from optuna.trial import FrozenTrial

    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=score,
        datetime_start=None,
        datetime_complete=None,
        params=row.parameters,
        distributions=row.distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _storage(trials: Sequence[Any]) -> Any:
    """Return a storage that holds ``trials`` as they are: Optuna's own copies each one deeply, a second for 10,000."""
    from optuna.storages import InMemoryStorage

    class Recorded(InMemoryStorage):
        def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> list[Any]:
            return [t for t in trials if states is None or t.state in states]

        def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
            """Samplers note there what other processes should see; pending proposals are shown in full instead."""

    return Recorded()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's log and its notes on experimental arguments, within this block only."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
