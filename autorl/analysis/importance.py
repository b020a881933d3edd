"""Which hyperparameters mattered for reaching the top of this search: PED-ANOVA (Watanabe et al., 2023), by Optuna."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autorl.outer.protocol import Status
from autorl.spaces import Bool, Categorical, Dimension, Fixed, Space
from autorl.spaces.columns import columns, values
from autorl.spaces.to_optuna import silent_optuna
from autorl.studies.ranking import own_score, places
from autorl.studies.trial import Trial

FEWEST_TRIALS = 16
_TOP_TRIALS = 5
"""PED-ANOVA compares the best trials with all; Optuna advises at least five of them."""


@dataclass(frozen=True)
class Importances:
    """Shares that sum to 1, largest first; or none, and ``message`` says why.

    Attributes:
        shares: Hyperparameter to share.
        trials: Number of trials behind them.
        message: Why there are none, or what they mean.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    trials: int = 0
    message: str = ""


def importances(trials: Sequence[Trial], space: Space | None, cut: bool = False) -> Importances:
    """Return how much each hyperparameter had to do with being among the best tenth (at least five) of the trials.

    A failed trial counts as one of the worst: where trainings diverge is part of what a hyperparameter does. Every
    dimension is taken on its own scale, conditional ones included; fixed ones have no importance.

    Args:
        trials: Search trials of one arm.
        space: The space searched.
        cut: Whether a budget policy cut trials: then all are ranked, by `autorl.studies.ranking.places`. PED-ANOVA asks for no more.
    """
    dimensions = {name: d for name, d in columns(space).items() if not isinstance(d, Fixed)}
    ended = [t for t in trials if t.status is not Status.RUNNING]
    scores = [own_score(t) if cut else t.score for t in ended]
    known = [score for score in scores if score is not None]
    if not dimensions:
        return Importances(message="There are no hyperparameters to compare.")
    if len(ended) < FEWEST_TRIALS or len(known) < _TOP_TRIALS:
        scored = "with a score" if cut else "completed"
        return Importances(
            trials=len(ended),
            message=f"Importances need at least {FEWEST_TRIALS} trials, {_TOP_TRIALS} of them {scored}; "
            f"there are {len(ended)}, {len(known)} of them {scored}.",
        )
    merits = places(ended) if cut else [min(known) if score is None else score for score in scores]
    if min(merits) == max(merits) and len(known) == len(ended):
        return Importances(trials=len(ended), message="All trials scored the same: no hyperparameter mattered.")
    quantile = min(0.5, max(0.1, _TOP_TRIALS / len(ended)))
    found = _ped_anova(ended, merits, dimensions, quantile)
    if not sum(found.values()):
        return Importances(trials=len(ended), message="The best trials are spread as all trials are.")
    shares = {name: share / sum(found.values()) for name, share in sorted(found.items(), key=lambda i: (-i[1], i[0]))}
    message = f"What set the best {_best(merits, quantile)} of {len(ended)} trials apart (PED-ANOVA)."
    return Importances(shares, len(ended), message + (" Who trained further ranks higher." if cut else ""))


def _best(merits: Sequence[float], quantile: float) -> int:
    """Number of trials that PED-ANOVA takes as the best: those equal to the last of them are in."""
    ranked = sorted(merits, reverse=True)
    cutoff = ranked[math.ceil(quantile * len(ranked)) - 1]
    return sum(merit >= cutoff for merit in ranked)


def _ped_anova(
    trials: Sequence[Trial], merits: Sequence[float], dimensions: Mapping[str, Dimension], quantile: float
) -> dict[str, float]:
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    spread: dict[str, Any] = {
        # the unit interval is where a dimension is uniform, whatever its scale
        name: CategoricalDistribution(tuple(range(_choices(d)))) if _choices(d) else FloatDistribution(0.0, 1.0)
        for name, d in dimensions.items()
    }
    with silent_optuna():
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        for trial, value in zip(trials, merits, strict=True):
            flat = {
                n: v for n, v in values(trial.candidate).items() if n in dimensions and not dimensions[n].validate(v)
            }
            params = {name: _coordinate(dimensions[name], value) for name, value in flat.items()}
            study.add_trial(
                optuna.trial.create_trial(params=params, distributions={n: spread[n] for n in params}, value=value)
            )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
        with warnings.catch_warnings():
            # a condition met by a single trial makes that dimension's share rough, which the number of trials says
            warnings.filterwarnings("ignore", message="Some regimes for parameter")
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # normalize
            warnings.filterwarnings("ignore", message="Target and region quantiles select the same")
            found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    return {name: float(found.get(name, 0.0)) for name in dimensions}


def _choices(dimension: Dimension) -> int:
    """Number of choices of a categorical dimension, 0 for a numeric one."""
    if isinstance(dimension, Categorical):
        return len(dimension.choices)
    return 2 if isinstance(dimension, Bool) else 0


def _coordinate(dimension: Dimension, value: Any) -> float | int:
    if isinstance(dimension, Categorical):
        return dimension.index(value)
    return int(value) if isinstance(dimension, Bool) else dimension.to_unit(value)
