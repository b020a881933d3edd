"""A study of Optuna (Akiba et al., 2019) as a space of ours, and its trials as candidates with scores.

Optuna's spaces are what a program did: conditions are read off the trials, where these leave no doubt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorl.errors import UsageError, suggestion
from autorl.interop.imports.imported import MOST_STEPS, Imported, checked, choices, numeric
from autorl.spaces.dimensions import same
from autorl.spaces.to_optuna import silent_optuna

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Earlier:
    """A trial of another tool.

    Attributes:
        candidate: A point of the imported space.
        score: Higher is better; None for one that failed or was pruned.
        status: ``completed``, ``pruned`` or ``failed``.
    """

    candidate: Mapping[str, Any]
    score: float | None
    status: str


def load(storage: str, study: str | None = None) -> optuna.Study:
    """Return a study of an Optuna storage.

    Args:
        storage: URL of a database (``sqlite:///study.db``), or path of a journal file.
        study: Its name; may be left out where there is one only.

    Raises:
        UsageError: No such file or study, several studies and no name, or no storage of this version of Optuna.
    """
    import optuna

    with silent_optuna():
        try:
            opened = _storage(storage)
            names = sorted(s.study_name for s in optuna.get_all_study_summaries(opened))
            if not names:
                raise UsageError(f"{storage!r} holds no study of Optuna. Check the path.")
            if study is None and len(names) == 1:
                (study,) = names
            if study is None:
                raise UsageError(f"--study: {storage!r} has several; say which. Known: {', '.join(names)}.")
            if study not in names:
                raise UsageError(f"--study: there is no study {study!r} in {storage!r}.{suggestion(study, names)}")
            return optuna.load_study(study_name=study, storage=opened)
        except UsageError:
            raise
        except Exception as error:  # of any of the libraries below it
            text = " ".join(str(error).split())[:200]
            raise UsageError(
                f"{storage!r} cannot be read as a storage of Optuna: {type(error).__name__}: {text}. "
                "Remedy: the URL of a database, such as sqlite:///study.db, or the path of a journal file"
            ) from error


def space_of(study: optuna.Study) -> Imported:
    """Return the space that the study's trials were drawn from.

    Raises:
        UsageError: Listing every parameter that cannot be represented; or there is no trial with parameters.
    """
    trials = [t for t in study.get_trials(deepcopy=False) if t.distributions]
    if not trials:
        raise UsageError(
            f"study {study.study_name!r} has no trial with parameters, and its space is only known from those"
        )
    wrong: list[str] = []
    remarks: list[str] = []
    dimensions: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for trial in trials for name in trial.distributions):
        try:
            if not name.isidentifier():
                raise UsageError("names are letters, digits and underscores here; it cannot be written")
            dimensions[name] = _dimension(_the_distribution(name, trials))
        except UsageError as error:
            wrong.append(f"parameter {name!r}: {error}")
    for name in dimensions:
        if all(name in trial.params for trial in trials):
            continue
        try:
            dimensions[name]["when"] = _condition(name, trials, dimensions)
            remarks.append(f"The condition of {name} was read off {len(trials)} trials; Optuna keeps none.")
        except UsageError as error:
            wrong.append(f"parameter {name!r}: {error}")
    if wrong:
        raise UsageError("; ".join(f"study {study.study_name!r}: {problem}" for problem in wrong))
    return Imported(dimensions, tuple(remarks))


def trials_of(study: optuna.Study, imported: Imported) -> list[Earlier]:
    """Return the trials that ended, in order, as points of the imported space; the signs of a minimised study are turned.

    A value that is infinite, in whichever direction, is a failure.

    Raises:
        UsageError: A study of several objectives.
    """
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    if len(study.directions) > 1:
        raise UsageError(
            f"study {study.study_name!r} has {len(study.directions)} objectives; a trial here has one score"
        )
    space = checked(imported, "imported")
    sign = -1.0 if study.direction is StudyDirection.MINIMIZE else 1.0
    words = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    found: list[Earlier] = []
    for trial in study.get_trials(deepcopy=False):
        given = _plain(trial)
        if trial.state not in words or space.validate(given):
            continue  # under way, or stopped before all of its parameters were asked for
        value = trial.value if trial.state is TrialState.COMPLETE else None
        lost = value is not None and not math.isfinite(value)  # how Optuna's users often mark a failure
        score = None if value is None or lost else sign * value
        found.append(Earlier(space.to_json(space.from_json(given)), score, "failed" if lost else words[trial.state]))
    return found


def _plain(trial: FrozenTrial) -> dict[str, Any]:
    return {name: value.item() if hasattr(value, "item") else value for name, value in trial.params.items()}


def _dimension(distribution: BaseDistribution) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, FloatDistribution):
        return numeric("float", distribution.low, distribution.high, distribution.log, distribution.step)
    if isinstance(distribution, IntDistribution):
        step = None if distribution.log else distribution.step
        return numeric("int", distribution.low, distribution.high, distribution.log, step)
    if isinstance(distribution, CategoricalDistribution):
        listed = list(distribution.choices)
        if None in listed:
            raise UsageError(f"None among the choices {listed!r} has no counterpart; use a text such as 'none'")
        return choices(listed)
    raise UsageError(f"{type(distribution).__name__} has no counterpart")


def _the_distribution(name: str, trials: Sequence[FrozenTrial]) -> BaseDistribution:
    """Return the distribution of a parameter, the same in all trials."""
    found: list[BaseDistribution] = []
    for trial in trials:
        own = trial.distributions.get(name)
        if own is not None and own not in found:
            found.append(own)
    if len(found) > 1:
        raise UsageError(
            f"its range changed from {found[0]} to {found[1]}, and a dimension has one; import another study"
        )
    return found[0]


def _condition(
    name: str, trials: Sequence[FrozenTrial], dimensions: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[Any]]:
    """Return the one parent whose values tell in which trials the parameter exists."""
    # numbers last: where every trial has another one, each tells everything
    explained = _explanations(name, trials, [p for p, d in dimensions.items() if d["type"] in ("bool", "categorical")])
    explained = explained or _explanations(name, trials, [p for p, d in dimensions.items() if _few(d)])
    if len(explained) == 1:
        return explained
    why = (
        f"{', '.join(map(repr, explained))} could each tell when"
        if explained
        else "no single other parameter tells when"
    )
    raise UsageError(f"it exists in some trials only, and {why}. Remedy: write the space by hand")


def _explanations(name: str, trials: Sequence[FrozenTrial], parents: Sequence[str]) -> dict[str, list[Any]]:
    """Return those of ``parents`` whose values alone tell whether parameter ``name`` exists, and the values with which it does."""
    explained: dict[str, list[Any]] = {}
    for parent in parents:
        if parent == name:
            continue
        there = _values(parent, [t for t in trials if name in t.params])
        absent = _values(parent, [t for t in trials if name not in t.params])
        # where the parent is missing the child must be, too; and one that is missing with it is a sibling
        if there is None or absent is None or any(name in t.params and parent not in t.params for t in trials):
            continue
        if not any(same(a, b) for a in there for b in absent):
            explained[parent] = there
    return explained


def _few(dimension: Mapping[str, Any]) -> bool:
    return bool(dimension["type"] == "int" and dimension["high"] - dimension["low"] < MOST_STEPS)


def _values(name: str, trials: Sequence[FrozenTrial]) -> list[Any] | None:
    """Return the different values of a parameter in ``trials``; None where it is in none of them."""
    found: list[Any] = []
    for trial in trials:
        if name in trial.params and not any(same(trial.params[name], v) for v in found):
            found.append(trial.params[name])
    return found or None


def _storage(storage: str) -> Any:
    import optuna

    if "://" in storage:
        database = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", storage)
        if database is not None and not Path(database[1]).exists():  # it would be made
            raise UsageError(f"there is no database {database[1]!r}. Check the path.")
        return optuna.storages.RDBStorage(storage)
    if not Path(storage).is_file():
        raise UsageError(f"there is no file {storage!r}: expected a journal file, or a URL such as sqlite:///study.db")
    from optuna.storages.journal import JournalFileBackend

    return optuna.storages.JournalStorage(JournalFileBackend(storage))
