"""A study that goes on with an earlier one, in a larger budget or another space. Imports no jax by itself.

Its record begins with the earlier study's trials, told in their order: what the method proposes is then a function of the study's seed
and the results told, as in any study, and resuming needs the earlier study no more. They count as work of the search.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from autorl.engine.methods import policy_of
from autorl.engine.translation import Translation, Untranslatable
from autorl.errors import IncompatibleError, StudyError, UsageError
from autorl.outer.budget.policies import WHOLE
from autorl.outer.full_trainings import FullTrainings
from autorl.outer.methods import METHODS, fitting
from autorl.outer.protocol import Status
from autorl.spaces import load_space
from autorl.studies import manifest
from autorl.studies.folder import StudyFolder
from autorl.studies.problems import shown
from autorl.studies.record import Record
from autorl.studies.specification import Specification, from_mapping, load, to_mapping
from autorl.studies.trial import Trial

FIELD: Final = "search.warm_start"
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
    earlier = Earlier.open(search.warm_start.study, root)
    _refuse_differences(specification, earlier)
    _refuse_methods(specification, earlier)
    translation = Translation.between(earlier.specification, specification)
    found: list[Trial] = []
    left_out: dict[str, list[Trial]] = defaultdict(list)
    for trial in earlier.told("method"):
        try:
            found.append(replace(trial, candidate=translation(trial.candidate)))
        except Untranslatable as error:
            left_out[str(error)].append(trial)
    if not found:
        why = "; ".join(left_out) or "none has ended"
        raise UsageError(f"{FIELD}: no trial of study {earlier.name!r} can be taken over: {why}.")
    own = _numbered(found, cut=policy_of(specification) is not None)
    _refuse_budget(specification, earlier, own)
    others = _random_trials(specification, earlier) if translation.same_space else []
    taken = {
        "trials": len(own),
        "env_steps": sum(t.ledger.train_env_steps for t in own),
        "random_trials": len(others),
        "random_env_steps": sum(t.ledger.train_env_steps for t in others),
        "left_out": {why: [t.number for t in trials] for why, trials in left_out.items()},
        "left_out_env_steps": _lost(earlier) + sum(t.ledger.train_env_steps for ts in left_out.values() for t in ts),
        "test_seeds": _test_seeds(earlier),
        "changed": manifest.changes(
            earlier.manifest, {**manifest.manifest(), "device": earlier.manifest.get("device")}
        ),
    }
    changes = {
        "search.warm_start": {"study": search.warm_start.study, "taken": taken},
        "search.start": _untried(specification, own),
    }
    return from_mapping(specification, changes, references=False), [*own, *others]


def _refuse_differences(new: Specification, earlier: Earlier) -> None:
    """Raise `UsageError` that names every field in which the studies differ, and may not."""
    if earlier.specification.search is None:
        raise UsageError(f"{FIELD}: study {earlier.name!r} searched nothing, so there is nothing to go on with.")
    ours, theirs = _compared(new), _compared(earlier.specification)
    wrong = [
        f"{field} is {_short(ours[field])} here and {_short(theirs[field])} there"
        for field in COMPARED
        if ours[field] != theirs[field]
    ]
    if wrong:
        raise UsageError(
            f"{FIELD}: study {earlier.name!r} is another question, so its scores say nothing here: {'; '.join(wrong)}. Remedy: make "
            f"them equal; or learn from it by a prior: autorl prior fit {earlier.name} -o FILE.yaml, then search.prior=FILE.yaml"
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
    """Raise if the new method cannot be told trials that are not its own, or those of the earlier one cannot be told."""
    search, before = new.search, earlier.specification.search
    assert search is not None
    assert before is not None
    if not issubclass(METHODS.load(search.method), FullTrainings):
        able = [name for name in fitting(load_space(search.space)) if issubclass(METHODS.load(name), FullTrainings)]
        raise IncompatibleError(
            f"{FIELD}: search method {search.method!r} draws whole populations and cannot be told other trials first. "
            f"Methods that can: {', '.join(able) or 'none'}."
        )
    if any(t.parent is not None for t in earlier.told("method")):
        raise UsageError(
            f"{FIELD}: the method of study {earlier.name!r}, {before.method}, changed candidates while their agents learned, so no score "
            "is one candidate's. Remedy: another study."
        )
    whole = policy_of(new) is None
    if search.method == "random" and whole and before.method != "random":
        raise UsageError(
            f"{FIELD}: random search learns nothing from the trials of {before.method} in study {earlier.name!r}, and would count "
            "them as its own. Remedy: another search.method, such as tpe."
        )
    open_trials = [t for t in earlier.trials if (t.arm, t.phase) == ("method", "search") and t.status is Status.RUNNING]
    if open_trials and not whole:
        raise UsageError(
            f"{FIELD}: the search of study {earlier.name!r} is not over: {len(open_trials)} of its trials may go on. "
            f"Remedy: autorl resume {earlier.name}"
        )


def _numbered(trials: Sequence[Trial], *, cut: bool) -> list[Trial]:
    """Return the trials, by number, as a record of a new study begins with them: numbered and told from 0.

    Under a policy (``cut``) those that trained to the end are open, as they were before their search was over: they may race on.
    """
    places = {id(t): place for place, t in enumerate(sorted(trials, key=lambda t: t.told or 0))}
    made = []
    for number, trial in enumerate(sorted(trials, key=lambda t: t.number)):
        new = replace(trial, number=number, told=places[id(trial)], ancestor=None, generation=0)
        open_again = cut and trial.status is Status.COMPLETED
        made.append(replace(new, status=Status.RUNNING, score=None, message="") if open_again else new)
    return made


def _refuse_budget(new: Specification, earlier: Earlier, trials: Sequence[Trial]) -> None:
    """Raise `UsageError` if what is taken over leaves less than one training to search with."""
    budget, width = new.budget, new.seeds.search
    count = float(len(trials))
    if policy_of(new) is not None:
        blocks = sum(max(0, len(t.seeds) // width - 1) for t in trials)
        count = sum(t.env_steps for t in trials) / budget.env_steps + blocks
    if count > budget.trainings - 1:
        raise UsageError(
            f"budget.trainings: expected at least {int(-(-count // 1)) + 1}, got {budget.trainings}: the trials of study "
            f"{earlier.name!r} count, the work of {count:.4g} trainings. Remedy: say how much the two may spend together."
        )


def _random_trials(new: Specification, earlier: Earlier) -> list[Trial]:
    """Return the random-search baseline so far: the same candidates on the same seeds as the new study would draw."""
    if not new.baselines.random or (
        new.search is not None and new.search.method == "random" and policy_of(new) is None
    ):
        return []
    own = earlier.told("random")
    whole = [t.number for t in own] == list(range(len(own))) and len(own) <= new.budget.trainings
    return _numbered(own, cut=False) if whole else []


def _lost(earlier: Earlier) -> int:
    """Return the environment steps of trials that the earlier study had left out itself."""
    search = earlier.specification.search
    taken = search and search.warm_start and search.warm_start.taken
    return taken.left_out_env_steps if taken else 0


def _test_seeds(earlier: Earlier) -> int:
    """Return how many test seeds the earlier study, and those before it, have used."""
    search = earlier.specification.search
    taken = search and search.warm_start and search.warm_start.taken
    tested = any(t.phase == "test" for t in earlier.trials)
    return (taken.test_seeds if taken else 0) + earlier.specification.seeds.test * tested


def _untried(specification: Specification, trials: Sequence[Trial]) -> list[Any]:
    """Return the configurations to begin with that are not among ``trials``."""
    search = specification.search
    assert search is not None
    space = load_space(search.space)
    tried = {space.fingerprint(space.from_json(t.candidate)) for t in trials}
    return list(_fresh(search.start, space, tried))


def _fresh(starts: Sequence[Any], space: Any, tried: set[str]) -> Iterator[Any]:
    for start in starts:
        if isinstance(start, str) or space.fingerprint(space.from_json(start)) not in tried:
            yield start
