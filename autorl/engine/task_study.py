"""Methods that choose training tasks, driven: which task next, train there, try the policy on all tasks, tell; kept line by line.

A method is a pure fold, and so is what is kept: nothing of its state is on disk but the policies' scores. A run that was stopped asks
again from the beginning, finds the answers of all that had ended, and goes on. A policy is known by its seed and the tasks that it was
trained on in their order: methods that ask for the same one share its training, and each has it on its ledger.

Each policy is tried twice on every task. What it ``shown``, a method may see, and by it every task chooses the policy that serves it; the
scores ``judged``, of other episodes, are what is reported, so that nothing is chosen by the luck that it is judged by.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autorl.errors import UsageError
from autorl.outer.tasks.protocol import Floats, TaskSelection
from autorl.outer.tasks.rolling_horizon import RollingHorizon
from autorl.studies.json_lines import append, locked, mend
from autorl.studies.policy_lines import Source, read
from autorl.studies.trial import Json

Train = Callable[[Sequence[Source], Callable[[int, Json], None]], None]
"""(sources, done): trains a policy of each source and tells ``done`` its position and its line as soon as it has ended.

A line has ``status``, ``shown`` and ``judged`` (N finite scores each), ``train_env_steps`` and ``evaluation_env_steps``. Of a source with
several tasks, the env steps are those of the last one: the policy goes on from the source without it.
"""


@dataclass
class Policies:
    """The policies of one question, see `opened`.

    Attributes:
        path: File of the lines.
        key: Names everything beside the source that decides a line.
        train: Trains those that are not there yet.
        kept: The lines that are there.
    """

    path: Path
    key: str
    train: Train
    kept: dict[Source, Json] = field(default_factory=dict)

    def of(self, sources: Sequence[Source]) -> list[Json]:
        """Return the lines of ``sources`` in their order; train those that are not kept, and keep each as soon as it has ended."""
        due = [source for source in dict.fromkeys(sources) if source not in self.kept]

        def done(index: int, told: Json) -> None:
            source = due[index]
            line = {"key": self.key, "seed": source.seed, "tasks": list(source.tasks), **told}
            append(self.path, line)
            self.kept[source] = line

        if due:
            self.train(due, done)
        return [self.kept[source] for source in sources]


@contextlib.contextmanager
def opened(path: Path, key: str, train: Train) -> Iterator[Policies]:
    """Open the policies at ``path`` as their one writer.

    Raises:
        StudyError: The file cannot be read or written, or another process is writing it.
    """
    with locked(path, "training policies"):
        mend(path)
        yield Policies(path, key, train, read(path, key))


@dataclass(frozen=True)
class Chosen:
    """What a method chose.

    Attributes:
        sources: Every policy it had trained, each once, in the order of asking.
        lines: Of each, as it is kept.
        student: Position of the policy that is to serve all tasks alone.
    """

    sources: tuple[Source, ...]
    lines: tuple[Json, ...]
    student: int

    @property
    def served(self) -> float:
        """The mean score over tasks, each served by the policy that showed most there."""
        shown, judged = self._table("shown"), self._table("judged")
        return float(judged[shown.argmax(axis=0), np.arange(shown.shape[1])].mean())

    @property
    def alone(self) -> float:
        """The mean score over tasks of the one policy `student`."""
        return float(self._table("judged")[self.student].mean())

    @property
    def env_steps(self) -> dict[str, int]:
        """The ledger: ``train`` and ``evaluation``, of all policies."""
        return {what: sum(int(x[f"{what}_env_steps"]) for x in self.lines) for what in ("train", "evaluation")}

    def _table(self, name: str) -> Floats:
        return np.array([line[name] for line in self.lines], np.float64)


def select(methods: Sequence[TaskSelection], seeds: Sequence[int], policies: int, kept: Policies) -> list[Chosen]:
    """Let each method choose ``policies`` training tasks; all are asked, and what they ask for is trained, side by side.

    Args:
        methods: One for each run; they may be of different kinds.
        seeds: Training seed of each run.
        policies: Trainings of a run.
        kept: Where policies come from.

    Raises:
        UsageError: As many seeds as methods are wanted, and at least one policy but no more than tasks.
    """
    if len(methods) != len(seeds):
        raise UsageError(f"seeds: expected one for each of {len(methods)} methods, got {len(seeds)}.")
    most = min((len(method.tasks) for method in methods), default=policies)
    if not 1 <= policies <= most:
        raise UsageError(f"policies: expected 1 to {most}, the number of tasks, got {policies}.")
    states = [method.init() for method in methods]
    asked: list[list[Source]] = [[] for _ in methods]
    for _ in range(policies):
        tasks = [method.ask(state) for method, state in zip(methods, states, strict=True)]
        for own, task, seed in zip(asked, tasks, seeds, strict=True):
            own.append(Source(seed, (task,)))
        lines = kept.of([own[-1] for own in asked])
        states = [
            method.tell(state, task, line["shown"])
            for method, state, task, line in zip(methods, states, tasks, lines, strict=True)
        ]
    return [_chosen(own, kept, None) for own in asked]


def evolve(method: RollingHorizon, seed: int, trainings: int, kept: Policies) -> Chosen:
    """Let sequences of tasks be evolved over a rolling horizon, by at most so many ``trainings``.

    A lesson is a training on one task, with which copies of the committed policy go on; what counts is its mean score over tasks. Two plans
    that begin alike share these lessons: a lesson is trained, and on the ledger, once.

    Raises:
        UsageError: Not enough trainings for one commitment.
    """
    most = method.generations * method.population * method.horizon
    if trainings < most:
        raise UsageError(f"trainings: expected at least {most}, which one commitment may take, got {trainings}.")
    state, asked = method.init(), dict[Source, None]()
    while len(asked) + most <= trainings:
        before = len(state.committed)
        while len(state.committed) == before:
            table = np.empty((method.population, method.horizon))
            for depth in range(method.horizon):  # a lesson goes on from the one before it
                sources = [Source(seed, (*state.committed, *plan[: depth + 1])) for plan in state.population]
                asked |= dict.fromkeys(sources)
                table[:, depth] = [np.mean(line["shown"]) for line in kept.of(sources)]
            state = method.tell(state, table.tolist())
    return _chosen(list(asked), kept, Source(seed, state.committed))


def _chosen(asked: Sequence[Source], kept: Policies, student: Source | None) -> Chosen:
    """Return what was chosen; the ``student`` is the policy that showed most on average, if none is named."""
    lines = tuple(kept.of(asked))
    best = int(np.argmax([np.mean(line["shown"]) for line in lines]))
    return Chosen(tuple(asked), lines, best if student is None else asked.index(student))
