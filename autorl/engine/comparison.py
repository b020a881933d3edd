"""A comparison: every objective, environment and seed with the given hyperparameters, then each objective with the same small tuning.

Equal work by construction: both panels train, for every objective, the same configurations on the same seeds. Only which configuration
is trained on the test seeds in the second panel is an objective's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autorl.engine.objective_scores import Place, Question, Scores, Training, scoring
from autorl.engine.progress import Meter, Reporter, silent
from autorl.engine.session import Stopper
from autorl.keys import derive, training_seeds
from autorl.objectives.loader import load_objective
from autorl.outer.methods import make_method
from autorl.outer.protocol import Budget
from autorl.spaces import load_space
from autorl.spaces.plain_values import plain_values
from autorl.studies.comparison import Comparison
from autorl.studies.trial import Json


@dataclass(frozen=True)
class Choice:
    """What the tuning of one objective in one environment found.

    Attributes:
        objective: Name.
        environment: As `Place.label` has it.
        configuration: Position of the chosen configuration.
        scores: [configurations][tuning seeds]; None where a training failed.
    """

    objective: str
    environment: str
    configuration: int
    scores: tuple[tuple[float | None, ...], ...]


@dataclass
class Compared:
    """Everything that a comparison trained, as `autorl.engine.objective_scores.measure` returns it.

    Attributes:
        given: Trainings with the given hyperparameters, on the test seeds.
        tuning: Trainings of the configurations, on the tuning seeds.
        tuned: Trainings of the chosen configurations, on the test seeds.
        configurations: What each configuration changes; nothing for the first.
        choices: One for each environment and objective, in this order.
    """

    given: list[Json] = field(default_factory=list)
    tuning: list[Json] = field(default_factory=list)
    tuned: list[Json] = field(default_factory=list)
    configurations: list[Json] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)


def compare(
    comparison: Comparison,
    root: Path,
    devices: Sequence[Any],
    report: Reporter = silent,
    stopper: Stopper | None = None,
    record: Path | None = None,
) -> Compared:
    """Train what neither ``root``/objectives/scores.jsonl nor ``record`` holds yet, one environment and objective after the other.

    Args:
        comparison: Its references checked.
        root: Folder of studies.
        devices: As `autorl.engine.devices.start` returns them.
        report: Told the progress.
        stopper: Knows whether to stop; by default Ctrl-C stops between two segments.
        record: Another file of scores, to which those of this comparison are added too.

    Raises:
        UsageError: Learner, hyperparameters, environment and objective do not fit together.
        StudyInterrupted: Stopped on request; what has ended, and what is in flight, is kept.
        StudyError: The file cannot be read or written, or another process is writing it.
    """
    question, found = question_of(comparison), Compared(configurations=configurations(comparison))
    test, tuning = seeds_of(comparison)
    count = len(test) + (len(found.configurations) * len(tuning) + len(test) if comparison.tuning else 0)
    steps = sum(place.env_steps for place in question.places)
    pairs = len(question.places) * len(question.objectives)
    meter = Meter("comparison", pairs * count, count * steps * len(question.objectives), report)
    with scoring(question, root, devices, meter, stopper, record) as scores:
        for place in range(len(question.places)):
            for objective in range(len(question.objectives)):
                _measure(scores, found, objective, place, test, tuning)
    return found


def _measure(
    scores: Scores, found: Compared, objective: int, place: int, test: Sequence[int], tuning: Sequence[int]
) -> None:
    """Train one objective in one environment: as given and its tuning together, for they share a program; then what was chosen."""
    where = scores.question.places[place]
    tried = [{**where.hyperparameters, **values} for values in found.configurations]

    def trainings(values: Mapping[str, Any], seeds: Sequence[int]) -> list[Training]:
        return [Training(objective, place, values, seed) for seed in seeds]

    first = trainings(where.hyperparameters, test)
    lines = scores.of([*first, *(training for values in tried for training in trainings(values, tuning))])
    found.given += lines[: len(first)]
    if not tried:
        return
    found.tuning += lines[len(first) :]
    flat = [line["score"] for line in lines[len(first) :]]
    rows = tuple(tuple(flat[i : i + len(tuning)]) for i in range(0, len(flat), len(tuning)))
    chosen = best_configuration(rows)
    found.choices.append(Choice(scores.question.objectives[objective].name, where.label, chosen, rows))
    found.tuned += scores.of(trainings(tried[chosen], test))


def best_configuration(scores: Sequence[Sequence[float | None]]) -> int:
    """Return the position of the best row of [configurations][seeds] by its mean, the first of several.

    A failed training (None) counts as the worst score of all, and of two equal means the one with fewer failures is better.
    """
    known = [score for row in scores for score in row if score is not None]
    worst = min(known, default=0.0)

    def value(index: int) -> tuple[float, int, int]:
        row = scores[index]
        filled = [worst if score is None else score for score in row]
        return sum(filled) / len(filled), -sum(score is None for score in row), -index

    return max(range(len(scores)), key=value)


def question_of(comparison: Comparison) -> Question:
    """Return what a comparison measures."""
    evaluation, learner = comparison.evaluation, comparison.learner
    return Question(
        objectives=tuple(load_objective(name) for name in comparison.objectives),
        places=tuple(
            Place(
                choice.id,
                comparison.steps(choice),
                choice.task,
                {**learner.hyperparameters, **choice.hyperparameters},
            )
            for choice in comparison.environments
        ),
        learner=learner.algorithm,
        episodes=evaluation.episodes,
        points=evaluation.points,
        averaged=evaluation.averaged,
    )


def seeds_of(comparison: Comparison) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the training seeds (test, tuning), which never overlap."""
    seeds = comparison.seeds
    return training_seeds(seeds.study, "test", seeds.test), training_seeds(seeds.study, "tuning", seeds.tuning)


def configurations(comparison: Comparison) -> list[Json]:
    """Return what each configuration of the tuning changes, the given one (nothing) first; none without a tuning.

    The others are Sobol points of the space: so few should leave no gaps. They are the same for all objectives and environments, so that
    no difference between objectives is luck in sampling.
    """
    if comparison.tuning is None:
        return []
    space, more = load_space(comparison.tuning.space), comparison.tuning.configurations - 1
    method = make_method("sobol", space, Budget(more, 1), derive(comparison.seeds.study, "configurations"))
    proposed = method.ask(method.init(), more)
    return [{}, *(plain_values(space, space.to_json(proposal.candidate)) for proposal in proposed)]
