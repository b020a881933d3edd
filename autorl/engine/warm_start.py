"""A study that goes on with an earlier one, in a larger budget or another space. Imports no jax by itself.

Its record begins with the earlier study's trials, told in their order: what the method proposes is then a function of the study's seed
and the results told, as in any study, and resuming needs the earlier study no more. They count as work of the search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autorl.engine.methods import is_random_search, method_of, policy_of
from autorl.engine.told_trials import is_file, read_trials
from autorl.engine.translation import Translation
from autorl.engine.warm_configurations import (
    FIELD,
    Source,
    from_configurations,
    numbered,
    refuse_budget,
    refuse_populations,
    translated,
    untried,
    with_taken,
)
from autorl.errors import StudyError, UsageError
from autorl.keys import derive
from autorl.outer.budget.policies import WHOLE
from autorl.outer.methods import METHODS
from autorl.outer.protocol import Status
from autorl.studies import manifest
from autorl.studies.folder import StudyFolder
from autorl.studies.models import Search, TakenOver, WarmStart
from autorl.studies.problems import shown
from autorl.studies.record import Record
from autorl.studies.seeds import first_test_seed
from autorl.studies.specification import Specification, load, to_mapping
from autorl.studies.trial import Trial

COMPARED: Final = (
    "environment",
    "learner.algorithm",
    "learner.objective",
    "teacher",
    "hurdle",
    "budget.env_steps",
    "evaluation",
    "seeds.study",
    "seeds.search",
    "search.policy",
)
"""Fields that make scores comparable, and trials of one study."""


@dataclass(frozen=True)
class Earlier:
    """The study to go on with.

    Attributes:
        name: Of its folder.
        specification: Its own, self-contained.
        trials: All of them.
        manifest: What it ran with.
    """

    name: str
    specification: Specification
    trials: Sequence[Trial]
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, reference: str, root: Path | str) -> Earlier:
        """Return the study of that name or folder; raise `StudyError` if there is none, or it cannot be read."""
        try:
            folder = StudyFolder.open(reference, root)
        except StudyError as error:
            raise StudyError(f"{FIELD}: {error}") from error
        with Record.open(folder.record, readonly=True) as record:
            trials = record.trials()
        return cls(folder.name, load(folder.specification, references=False), trials, manifest.read(folder.manifest))

    def told(self, arm: str) -> list[Trial]:
        """Return the search trials of an arm that ended and were told, by number."""
        own = [t for t in self.trials if (t.arm, t.phase) == (arm, "search") and t.told is not None]
        return [t for t in own if t.status is not Status.RUNNING]


def warm_started(specification: Specification, root: Path | str) -> tuple[Specification, list[Trial]]:
    """Return ``specification`` with what it takes over written down, and the trials that its record is to begin with.

    Args:
        specification: Of the new study, self-contained.
        root: Where studies are kept.

    Raises:
        StudyError: There is no such study, or it cannot be read.
        UsageError: The two differ in more than space and budget; or nothing can be taken over, or nothing is left to train.
    """
    search = specification.search
    if search is None or search.warm_start is None:
        return specification, []
    if is_file(search.warm_start.study) or search.warm_start.retrain is not None:
        refuse_populations(specification)
        return from_configurations(specification, _source(search.warm_start.study, specification, root))
    if search.warm_start.same_metric:
        raise UsageError(
            f"{FIELD}.same_metric: it is for files of trials; whether study {search.warm_start.study!r} has the same one is checked. "
            "Remedy: leave it out."
        )
    return _gone_on(specification, search.warm_start, Earlier.open(search.warm_start.study, root))


def _source(reference: str, specification: Specification, root: Path | str) -> Source:
    """Return what a file or a study has to take configurations from."""
    if is_file(reference):
        return Source(Path(reference).name, read_trials(Path(reference)), Translation.into(specification))
    earlier = Earlier.open(reference, root)
    _refuse_searchless(earlier)
    translation = Translation.between(earlier.specification, specification, points=True)
    return Source(earlier.name, earlier.told("method"), translation, _test_seeds(earlier))


def _gone_on(specification: Specification, start: WarmStart, earlier: Earlier) -> tuple[Specification, list[Trial]]:
    """Return the specification and the first trials of a study that goes on with another."""
    _refuse_differences(specification, earlier)
    _refuse_methods(specification, earlier)
    translation = Translation.between(earlier.specification, specification)
    if translation.same_space:
        _refuse_sizes(specification, earlier)
    refuse_populations(specification, own=translation.same_space and _same_method(specification, earlier))
    found, left_out = translated(earlier.name, earlier.told("method"), translation)
    own = numbered(found, cut=policy_of(specification) is not None)
    refuse_budget(specification, earlier.name, own)
    others = _random_trials(specification, earlier) if translation.same_space else []
    taken = {
        "trials": len(own),
        "env_steps": sum(t.ledger.train_env_steps for t in own),
        "random_trials": len(others),
        "random_env_steps": sum(t.ledger.train_env_steps for t in others),
        "left_out": {why: [t.number for t in trials] for why, trials in left_out.items()},
        "left_out_env_steps": _lost(earlier) + sum(t.ledger.train_env_steps for ts in left_out.values() for t in ts),
        "test_seeds": _test_seeds(earlier),
        "seed": _seed(specification, earlier, own, found if translation.same_space else ()),
        "changed": manifest.changes(
            earlier.manifest, {**manifest.manifest(), "device": earlier.manifest.get("device")}
        ),
    }
    return with_taken(specification, start, taken, untried(specification, own)), [*own, *others]


def _refuse_differences(new: Specification, earlier: Earlier) -> None:
    """Raise `UsageError` that names every field in which the studies differ, and may not."""
    _refuse_searchless(earlier)
    ours, theirs = _compared(new), _compared(earlier.specification)
    wrong = [
        f"{field} is {_short(ours[field])} here and {_short(theirs[field])} there"
        for field in COMPARED
        if ours[field] != theirs[field]
    ]
    if wrong:
        raise UsageError(
            f"{FIELD}: study {earlier.name!r} is another question, so its scores say nothing here: {'; '.join(wrong)}. Remedy: make "
            f"them equal; or train its best configurations again, search.warm_start.retrain=5; or learn a prior from it: "
            f"autorl prior fit {earlier.name} -o FILE.yaml, then search.prior=FILE.yaml"
        )


def _same_method(new: Specification, earlier: Earlier) -> bool:
    ours, theirs = new.search, earlier.specification.search
    if ours is None or theirs is None or ours.method != theirs.method:
        return False
    if not METHODS.load(ours.method).replays:
        return False
    made, before = (method_of(of, "method").form for of in (new, earlier.specification))
    return bool(ours.settings == theirs.settings if made is None else made == before)


def _refuse_sizes(new: Specification, earlier: Earlier) -> None:
    """Raise `UsageError` where a method would go on with its own trials, but in populations of another size, or not from all of them."""
    ours, theirs = new.search, earlier.specification.search
    assert ours is not None
    assert theirs is not None
    if ours.method != theirs.method or not METHODS.load(ours.method).replays:
        return
    made, before = (method_of(of, "method") for of in (new, earlier.specification))
    if made.form is None:
        return
    if made.form != before.form:
        _refuse_forms(ours, theirs, made, before, earlier.name)
        return
    numbers = [t.number for t in earlier.told("method")]
    if numbers != list(range(len(numbers))):
        driven = "tell its open trials" if earlier.specification.learner is None else f"autorl resume {earlier.name}"
        raise UsageError(
            f"{FIELD}: a population of study {earlier.name!r} is under way, and {ours.method} goes on from whole ones, or from the first "
            f"members of one. Remedy: {driven}"
        )


def _refuse_forms(ours: Search, theirs: Search, made: Any, before: Any, name: str) -> None:
    """Raise `UsageError` where only what the budget decides differs between two searches; say nothing where settings do."""
    others, own = ({k: v for k, v in s.settings.items() if k != "population_size"} for s in (theirs, ours))
    if others != own:
        return
    if made.population_size != before.population_size:
        raise UsageError(
            f"{FIELD}: {ours.method} has populations of {before.population_size} in study {name!r} and would have "
            f"{made.population_size} here. Remedy: search.settings.population_size={before.population_size}"
        )
    raise UsageError(
        f"{FIELD}: this algorithm of {ours.method} plans all its populations by the budget, which is another one in study {name!r}. "
        "Remedy: search.warm_start.retrain=5, or an algorithm that does not, such as SNES"
    )


def _refuse_searchless(earlier: Earlier) -> None:
    if earlier.specification.search is None:
        raise UsageError(
            f"{FIELD}: study {earlier.name!r} searched nothing, so there is nothing to go on with. Remedy: name a study with a search."
        )


def _compared(specification: Specification) -> dict[str, Any]:
    plain = to_mapping(specification)
    found: dict[str, Any] = {}
    for field in COMPARED:
        value: Any = plain
        for part in field.split("."):
            value = (value or {}).get(part)
        found[field] = value
    policy = found["search.policy"]
    found["search.policy"] = None if policy is None or policy["name"] == WHOLE else policy
    return found


def _short(value: Any) -> str:
    return "nothing" if value is None else shown(value)


def _refuse_methods(new: Specification, earlier: Earlier) -> None:
    """Raise `UsageError` if the new method would learn nothing, or the trials of the earlier one cannot be told."""
    search, before = new.search, earlier.specification.search
    assert search is not None
    assert before is not None
    if any(t.parent is not None for t in earlier.told("method")):
        raise UsageError(
            f"{FIELD}: the method of study {earlier.name!r}, {before.method}, changed candidates while their agents learned, so no score "
            "is one candidate's. Remedy: another study."
        )
    unlike = search.method in ("random", "sobol") and before.method not in ("random", "sobol")
    if unlike or (is_random_search(new) and not is_random_search(earlier.specification)):
        raise UsageError(
            f"{FIELD}: {search.method} search{', which auto chose,' if search.chosen else ''} learns nothing from the trials of "
            f"{before.method} in study {earlier.name!r}, and would count them as its own. Remedy: another search.method, such as "
            f"{before.method if unlike else 'tpe'}; or train its best configurations again, search.warm_start.retrain=5"
        )
    open_trials = [t for t in earlier.trials if (t.arm, t.phase) == ("method", "search") and t.status is Status.RUNNING]
    if open_trials and policy_of(new) is not None:
        raise UsageError(
            f"{FIELD}: the search of study {earlier.name!r} is not over: {len(open_trials)} of its trials may go on. "
            f"Remedy: autorl resume {earlier.name}"
        )


def _random_trials(new: Specification, earlier: Earlier) -> list[Trial]:
    """Return the random-search baseline so far: the same candidates on the same seeds as the new study would draw."""
    if not new.baselines.random or is_random_search(new):
        return []
    own = earlier.told("random")
    whole = [t.number for t in own] == list(range(len(own))) and len(own) <= new.budget.trainings
    return numbered(own, cut=False) if whole else []


def _seed(new: Specification, earlier: Earlier, own: Sequence[Trial], same: Sequence[Trial]) -> int | None:
    """Return the seed that the method goes on with; None for the study's own.

    Where space and numbers are the earlier study's, it draws on as that would have. Anywhere else the same numbers would draw the same
    values once more, so it draws afresh.

    Args:
        new: The new study.
        earlier: The one it goes on with.
        own: Trials taken over, as they are numbered now.
        same: The same as they were numbered, if the space is.
    """
    taken = _taken(earlier)
    seed = None if taken is None else taken.seed
    if [t.number for t in own] == [t.number for t in same]:
        return seed
    return derive(new.seeds.study if seed is None else seed, "afresh", len(own))


def _taken(earlier: Earlier) -> TakenOver | None:
    """Return what the earlier study had taken over itself."""
    search = earlier.specification.search
    return None if search is None or search.warm_start is None else search.warm_start.taken


def _lost(earlier: Earlier) -> int:
    """Return the environment steps of trials that the earlier study had left out itself."""
    taken = _taken(earlier)
    return taken.left_out_env_steps if taken else 0


def _test_seeds(earlier: Earlier) -> int:
    """Return how many test seeds the earlier study, and those before it, have used."""
    tested = any(t.phase == "test" for t in earlier.trials)
    return first_test_seed(to_mapping(earlier.specification)) + earlier.specification.seeds.test * tested
