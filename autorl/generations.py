"""Generations: the same study again and again, every agent imitating at first the policy that the study before kept.

Open-Ended Learning Team (2021), *Open-Ended Learning Leads to Generally Capable Agents*: a population learns under dynamic tasks; its best
agent is distilled into the next population, which begins anew. The command line calls exactly this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorl.api import Experiment, Overrides, Study, create, load, specify
from autorl.errors import StudyError, UsageError
from autorl.interop.export import tested_in
from autorl.spaces import load_space
from autorl.spaces.plain_values import DISTILL_FROM, leaves
from autorl.studies.folder import ROOT
from autorl.studies.specification import Specification, from_mapping, to_mapping
from autorl.studies.writing import differing_fields

if TYPE_CHECKING:
    from autorl.engine.progress import Reporter

AT_ONCE = "at-once"
"""Is in the name of the control: one study without generations, its trainings as long as all generations together."""


def run_generations(
    experiment: Experiment,
    overrides: Overrides = (),
    *,
    count: int = 3,
    control: bool = True,
    name: str | None = None,
    root: Path | str = ROOT,
    report: Reporter | None = None,
) -> dict[str, Any]:
    """Run ``count`` generations of an experiment, and a control of as many env steps; return what they came to.

    Generation g is the study ``NAME-generation-g``. From the second on, agents imitate the policy that the one before kept
    (``learner.hyperparameters.distill_from``; ``distill_coef`` and ``distill_share`` say how much and how long, as anywhere).
    Each has seeds of its own: ``seeds.study`` is counted up. What was stopped goes on with the same call, and nothing is run twice.

    The control, ``NAME-at-once-COUNT``, imitates nobody and searches nothing: its trainings, of the experiment's default configuration
    and under the teachers that it is compared with, take the env steps of all generations together, on the test seeds of the last one.

    Args:
        experiment: As for `autorl.run`.
        overrides: As for `autorl.run`.
        count: Generations, at least 2.
        control: Whether to run the control.
        name: Begins the names of the studies; by default the experiment's.
        root: Where studies are kept.
        report: Told the progress (see `autorl.engine.progress.Event`).

    Returns:
        As `autorl.analysis.generations.summarise` does.

    Raises:
        SpecificationError: Listing all problems of the experiment.
        UsageError: As `lineage`.
        StudyError: As `lineage`.
        StudyInterrupted: Stopped by Ctrl-C; everything is saved, the same call goes on.
    """
    studies = []
    for study in lineage(experiment, overrides, count=count, control=control, name=name, root=root):
        study.run(report)
        studies.append(study)
    return outcome_of(studies, count)


def outcome_of(studies: Sequence[Study], count: int) -> dict[str, Any]:
    """Return what finished ``studies`` of a `lineage` of ``count`` generations came to; see `run_generations`."""
    from autorl.analysis.generations import summarise

    return summarise([(s.folder.name, s.plain_specification(), s.result, s.trials(None, None)) for s in studies], count)


def lineage(
    experiment: Experiment,
    overrides: Overrides = (),
    *,
    count: int = 3,
    control: bool = True,
    name: str | None = None,
    root: Path | str = ROOT,
) -> Iterator[Study]:
    """Yield the studies of `run_generations`, each made if it is not there yet; run one before you ask for the next.

    Raises:
        UsageError: ``count`` is below 2, the learner cannot imitate, or an environment has a guide of its own.
        StudyError: A folder of such a name is there, but no study, or one of another specification.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise UsageError(f"count: expected a whole number of generations, at least 2, got {count!r}")
    base = specify(experiment, overrides, root)
    _refuse_unfit(base)
    first = base.name.lower() if name is None else name
    last = _at_once(base, count) if control else None
    if last is not None:
        _vetted(last, f"{first}-{AT_ONCE}-{count}", root)
    for generation in range(1, count + 1):
        changes: dict[str, Any] = {"seeds.study": base.seeds.study + generation - 1}
        if generation > 1:
            before = Path(root) / _named(first, generation - 1)
            changes[f"learner.hyperparameters.{DISTILL_FROM}"] = f"study:{before}"
        yield _study(base, changes, _named(first, generation), root)
    if last is not None:
        yield _study(last, {}, f"{first}-{AT_ONCE}-{count}", root)


def _named(first: str, generation: int) -> str:
    return f"{first}-generation-{generation}"


def _refuse_unfit(base: Specification) -> None:
    from autorl.inner.algorithms import ALGORITHMS

    if base.learner is None:
        raise UsageError("learner: this experiment has none, so nothing can imitate anything")
    fields = ALGORITHMS.load(base.learner.algorithm).Hyperparameters.__dataclass_fields__
    if DISTILL_FROM not in fields:
        raise UsageError(
            f"learner: generations imitate those before, and {base.learner.algorithm} cannot. Remedy: learner: ppo"
        )
    places = [(f"environment.{i}", one.hyperparameters) for i, one in enumerate(base.environments)]
    places += [(f"schedule.{j}", entry.hyperparameters) for j, entry in enumerate(base.schedule or ())]
    for place, own in places:
        if DISTILL_FROM in own:
            raise UsageError(
                f"{place}.hyperparameters.{DISTILL_FROM}: generations imitate those before, got {own[DISTILL_FROM]!r}. "
                "Remedy: leave it out, or name it in learner.hyperparameters, for the first one"
            )
    if any(environment.role == "held_out" for environment in base.environments):
        raise UsageError(
            "environment.role: a study keeps what it tested, so the next generation would imitate what was learned in a held-out "
            "environment, got 'held_out'. Remedy: held-out tasks (tasks: {held_out: 100}) of an environment to train in"
        )
    _refuse_search(base)


def _refuse_search(base: Specification) -> None:
    """Raise `UsageError` where the search is one that the second generation could not have."""
    if base.search is None:
        return
    if any(DISTILL_FROM in getattr(part, "dimensions", {}) for part in leaves(load_space(base.search.space))):
        raise UsageError(
            f"search.space: it searches {DISTILL_FROM}, and generations imitate those before. Remedy: a space without it; one may search "
            "distill_coef and distill_share"
        )
    if base.search.warm_start is not None and base.search.warm_start.retrain is None:
        raise UsageError(
            "search.warm_start: no generation can be told the trials of another study, as each has seeds of its own, got "
            f"{base.search.warm_start.study!r}. Remedy: leave it out, or search.warm_start.retrain=5"
        )


def _at_once(base: Specification, count: int) -> Specification:
    """Return the control: no search, nobody to imitate, ``count`` times the env steps, the seeds of the last generation."""
    plain = to_mapping(base)
    for part in ("search", "hurdle", "finalists", "parsimony", "expected"):
        plain.pop(part, None)
    entries = plain.get("schedule", [])
    for own in (plain["learner"], *entries):
        own.get("hyperparameters", {}).pop(DISTILL_FROM, None)
    for entry in entries:
        entry["until"] *= count
    plain["environment"] = tested_in(plain["environment"])
    for environment in plain["environment"]:
        if "env_steps" in environment:
            environment["env_steps"] *= count
    plain["budget"] = {"env_steps": base.budget.env_steps * count}
    plain["seeds"] = {**plain["seeds"], "study": base.seeds.study + count - 1}
    # with nothing searched it would be the learner's defaults, not the experiment's
    plain["baselines"] = {**plain["baselines"], "default": False}
    return from_mapping(plain, references=False)


def _vetted(experiment: Specification, name: str, root: Path | str) -> None:
    """Raise as making or taking the control will, before hours of generations."""
    if (Path(root) / name).exists():
        _study(experiment, {}, name, root)
    else:
        specify(experiment, (), root)


def _study(experiment: Specification, changes: Mapping[str, Any], name: str, root: Path | str) -> Study:
    """Return the study ``name``: the one that is there, if it is of this specification, or a new one."""
    from autorl.engine.auto import self_contained
    from autorl.engine.warm_start import warm_started

    path = Path(root) / name
    if not path.exists():
        return create(experiment, changes, name=name, root=root, to_run=True)
    study = load(name, root=root)
    wanted, _ = warm_started(self_contained(specify(experiment, changes, root)), root)
    differ = differing_fields(to_mapping(wanted), study.plain_specification())
    if differ:
        raise StudyError(
            f"study {name!r} is there, but of another specification: different {', '.join(differ)}. "
            f"Remedy: another name, or remove that study{'' if AT_ONCE in name else ' and those of the generations after it'}"
        )
    return study
