"""What a warm start does with an earlier study's configurations: translate, number, tell or train again. Imports no jax by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from autorl.engine.methods import policy_of
from autorl.engine.told_trials import is_file
from autorl.engine.translation import Translation, Untranslatable
from autorl.errors import IncompatibleError, UsageError
from autorl.keys import derive
from autorl.outer.full_trainings import FullTrainings
from autorl.outer.methods import METHODS, fitting
from autorl.outer.protocol import Status
from autorl.spaces import load_space
from autorl.spaces.screening import as_found
from autorl.studies.models import WarmStart
from autorl.studies.specification import Specification, from_mapping
from autorl.studies.trial import Trial

FIELD: Final = "search.warm_start"
RETRAINED: Final = 5
"""Configurations of a file that are trained again unless somebody says otherwise."""


@dataclass(frozen=True)
class Source:
    """Where configurations come from.

    Attributes:
        name: For messages.
        trials: Ended ones.
        translation: Of their candidates.
        test_seeds: How many test seeds were used there.
    """

    name: str
    trials: Sequence[Trial]
    translation: Translation
    test_seeds: int = 0


def from_configurations(specification: Specification, source: Source) -> tuple[Specification, list[Trial]]:
    """Return the specification and the first trials of a study that trains configurations again, or is told a file of trials.

    Raises:
        UsageError: There is nothing in them for its space, or it cannot be told them.
    """
    search = specification.search
    assert search is not None
    start = search.warm_start
    assert start is not None
    found, left_out = translated(source.name, source.trials, source.translation)
    named = {why: [t.number for t in trials] for why, trials in left_out.items()}
    if start.same_metric:
        _refuse_telling(specification, start)
        steps = specification.budget.env_steps
        own = numbered([replace(t, env_steps=steps) for t in found], cut=False)
        refuse_budget(specification, source.name, own)
        return with_taken(
            specification, start, {"trials": len(own), "left_out": named}, untried(specification, own)
        ), own
    space = load_space(search.space)
    best = sorted((t for t in found if t.score is not None), key=lambda t: (-(t.score or 0.0), t.number))
    if not best:
        raise UsageError(
            f"{FIELD}: no trial of {source.name!r} has completed, so there is nothing to train again. "
            "Remedy: leave search.warm_start out, or name a study whose trials completed."
        )
    given = {space.fingerprint(space.from_json(s)) for s in search.start if not isinstance(s, str)}
    different: dict[str, Mapping[str, Any]] = {}
    for trial in best:
        different.setdefault(space.fingerprint(space.from_json(trial.candidate)), trial.candidate)
    chosen = [c for key, c in different.items() if key not in given][: start.retrain or RETRAINED]
    # the study's own seed would draw what the earlier one with the same seed has drawn
    seed = derive(specification.seeds.study, "afresh", "retrained", source.name)
    taken = {"configurations": len(chosen), "left_out": named, "test_seeds": source.test_seeds, "seed": seed}
    return with_taken(specification, start, taken, [*search.start, *chosen]), []


def _refuse_telling(specification: Specification, start: WarmStart) -> None:
    """Raise `UsageError` if the trials of a file cannot be told."""
    if not is_file(start.study) or start.retrain is not None:
        raise UsageError(
            f"{FIELD}.same_metric: it is for files of trials that are told; beside {FIELD}.retrain nothing is. Remedy: leave one out."
        )
    if policy_of(specification) is not None:
        raise UsageError(
            "search.policy: trials of a file have one score each, and a policy compares trials on their way. Remedy: search.policy=whole, "
            "or search.warm_start.retrain=5 in place of same_metric"
        )
    search = specification.search
    if search is not None and search.method == "random":
        raise UsageError(
            "search.method: random search learns nothing from trials that are told. Remedy: another one, such as tpe."
        )


def refuse_populations(specification: Specification, *, own: bool = False) -> None:
    """Raise `IncompatibleError` if the method cannot be told trials that are not its own.

    Args:
        specification: Of the new study.
        own: Whether they are its own: of the same method and settings in the same space.
    """
    search = specification.search
    assert search is not None
    method = METHODS.load(search.method)
    if issubclass(method, FullTrainings) or (own and method.replays):
        return
    able = [name for name in fitting(load_space(search.space)) if issubclass(METHODS.load(name), FullTrainings)]
    but = " but its own, of the same settings in the same space," if method.replays else ""
    raise IncompatibleError(
        f"{FIELD}: search method {search.method!r} draws whole populations and cannot be told trials{but} first. "
        f"Methods that can: {', '.join(able) or 'none'}."
    )


def translated(
    name: str, trials: Sequence[Trial], translation: Translation
) -> tuple[list[Trial], Mapping[str, list[Trial]]]:
    """Return the trials whose candidates the new space has, and why the others are left out; raise `UsageError` if there are none."""
    found: list[Trial] = []
    left_out: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        try:
            found.append(replace(trial, candidate=translation(trial.candidate)))
        except Untranslatable as error:
            left_out[str(error)].append(trial)
    if not found:
        why = "; ".join(left_out) or "none has ended"
        raise UsageError(
            f"{FIELD}: no trial of {name!r} can be taken over: {why}. Remedy: a space that holds some of its candidates."
        )
    return found, left_out


def numbered(trials: Sequence[Trial], *, cut: bool) -> list[Trial]:
    """Return the trials, by number, as a record of a new study begins with them: numbered and told from 0.

    Under a policy (``cut``) those that trained to the end are open, as they were before their search was over: they may race on.
    """
    places = {id(t): place for place, t in enumerate(sorted(trials, key=lambda t: t.told or 0))}
    made = []
    for number, trial in enumerate(sorted(trials, key=lambda t: t.number)):
        new = replace(trial, number=number, told=places[id(trial)])
        if number != trial.number:
            new = replace(new, ancestor=None, generation=0)  # lineages name numbers
        open_again = cut and trial.status is Status.COMPLETED
        made.append(replace(new, status=Status.RUNNING, score=None, message="") if open_again else new)
    return made


def refuse_budget(new: Specification, name: str, trials: Sequence[Trial]) -> None:
    """Raise `UsageError` if what is taken over leaves less than one training to search with."""
    budget, width = new.budget, new.seeds.search
    count = float(len(trials))
    if policy_of(new) is not None:
        blocks = sum(max(0, len(t.seeds) // width - 1) for t in trials)
        count = sum(t.env_steps for t in trials) / budget.env_steps + blocks
    if count > budget.trainings - 1:
        raise UsageError(
            f"budget.trainings: expected at least {int(-(-count // 1)) + 1}, got {budget.trainings}: the trials of {name!r} "
            f"count, the work of {count:.4g} trainings. Remedy: say how much the two may spend together."
        )


def untried(specification: Specification, trials: Sequence[Trial]) -> list[Any]:
    """Return the configurations to begin with that are not among ``trials``.

    Raises:
        IncompatibleError: There are some, and the method can begin with them in its first generation alone.
    """
    search = specification.search
    assert search is not None
    space = load_space(search.space)
    tried = {space.fingerprint(space.from_json(t.candidate)) for t in trials}
    left = [s for s in search.start if isinstance(s, str) or space.fingerprint(space.from_json(s)) not in tried]
    if not trials or issubclass(METHODS.load(search.method), FullTrainings):
        return left
    if any(s not in [space.to_json(found) for found in as_found(space)] for s in left):
        raise IncompatibleError(
            f"search.start: search method {search.method!r} begins with given candidates in its first generation, which an earlier "
            "study's trials are here. Remedy: leave out search.start."
        )
    return []


def with_taken(
    specification: Specification, start: WarmStart, taken: Mapping[str, Any], starts: Sequence[Any]
) -> Specification:
    """Return ``specification`` with what was taken over written down, and what it begins with."""
    given = {"study": start.study, "retrain": start.retrain, "same_metric": start.same_metric}
    written = {**{k: v for k, v in given.items() if v is not None}, "taken": dict(taken)}
    return from_mapping(specification, {"search.warm_start": written, "search.start": list(starts)}, references=False)
