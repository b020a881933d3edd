"""Paired open-ended trailblazer: tasks and agents evolve together, and agents move to where they do best.

After Wang et al. (2019, Paired Open-Ended Trailblazer: Endlessly Generating Increasingly Complex and Diverse Learning Environments);
rules are those of its source, the settings are for small populations of small tasks. Each pair is a task and an agent that trains on
it. Now and then, tasks of pairs that do well have children: of those that are neither too hard nor too easy for the parent's agent, the
most novel one joins with the agent that does best in it, and the oldest pair leaves where there is no room. Now and then, each task takes
over the agent that does best in it.

Different from the original: whoever drives this trains agents as it likes (the original, by evolution strategies); an agent is tried as
it is before it moves, not also after some training there; and tasks are points of a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autorl.errors import UsageError
from autorl.keys import derive, generator

Floats = NDArray[np.float64]
Point = tuple[float, ...]


@dataclass(frozen=True)
class Pairs:
    """Where a co-evolution is.

    Attributes:
        tasks: Of each pair, oldest first; a point of [0, 1]^D.
        archive: All tasks that there ever were, for novelty.
        rounds: Rounds of training so far.
        moves: Agents that moved to another task so far.
    """

    tasks: tuple[Point, ...]
    archive: tuple[Point, ...]
    rounds: int = 0
    moves: int = 0


@dataclass(frozen=True)
class Change:
    """A new state, and who goes on where.

    Attributes:
        pairs: The new state.
        sources: Of each new pair, the pair before whose agent it goes on with.
    """

    pairs: Pairs
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Children:
    """Tasks that may join.

    Attributes:
        tasks: Points of [0, 1]^D.
        parents: Of each, the pair that it comes from.
    """

    tasks: tuple[Point, ...]
    parents: tuple[int, ...]


@dataclass(frozen=True)
class Poet:
    """A pure fold. A driver trains each pair for a round, and then asks for `children`, tells `admit`, and tells `transfer` when due.

    Scores are on a scale of the caller's choice; the thresholds are on that scale.

    Attributes:
        first: The task of the first pair, an easy one.
        reproduce_at: Score from which a pair has children.
        least: Least score of the parent's agent in a child that may join.
        most: Greatest one.
        pairs: Most pairs.
        children: Tasks tried in a reproduction.
        admitted: Most of them that join.
        reproduce_every: Rounds between reproductions.
        transfer_every: Rounds between transfers.
        mutation: Greatest change of a coordinate, in sides of the box.
        neighbours: By how many nearest tasks novelty is judged.
        seed: Decides all that is drawn.
    """

    name: ClassVar[str] = "poet"
    chooses: ClassVar[str] = "New tasks that are neither too hard nor too easy, and which agent goes on in which task."
    reference: ClassVar[str] = "Wang et al., 2019, Paired Open-Ended Trailblazer"

    first: Point
    reproduce_at: float
    least: float
    most: float
    pairs: int = 20
    children: int = 8
    admitted: int = 1
    reproduce_every: int = 4
    transfer_every: int = 1
    mutation: float = 0.1
    neighbours: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        names = ("pairs", "children", "admitted", "reproduce_every", "transfer_every", "neighbours")
        for name in names:
            if getattr(self, name) < 1:
                raise UsageError(f"poet: {name}: expected at least 1, got {getattr(self, name)!r}.")
        if not self.first or any(not 0 <= x <= 1 for x in self.first):
            raise UsageError(f"poet: first: expected a point of [0, 1]^D, got {self.first!r}.")
        if not self.least < self.most:
            raise UsageError(f"poet: least: expected less than most = {self.most!r}, got {self.least!r}.")
        if not 0 < self.mutation <= 1:
            raise UsageError(f"poet: mutation: expected more than 0 and at most 1, got {self.mutation!r}.")

    def init(self) -> Pairs:
        """Return the first pair."""
        return Pairs((self.first,), (self.first,))

    def trained(self, state: Pairs) -> Pairs:
        """Return the state after each pair was trained for a round."""
        return replace(state, rounds=state.rounds + 1)

    def children_of(self, state: Pairs, own: ArrayLike) -> Children:
        """Return the tasks to try now: none where no reproduction is due, or no pair does well enough.

        Args:
            state: After a round.
            own: float [P]; score of each pair's agent in its own task. Not finite: a failure, which has no children.

        Raises:
            UsageError: Scores of another shape.
        """
        scores = _table(own, (len(state.tasks),), "own")
        able = np.flatnonzero(scores >= self.reproduce_at)
        if state.rounds % self.reproduce_every or not len(able):
            return Children((), ())
        draws = generator(derive(self.seed, "poet", state.rounds))
        parents = [int(p) for p in draws.choice(able, self.children)]
        steps = draws.uniform(-self.mutation, self.mutation, (self.children, len(self.first)))
        tasks = np.clip(np.array([state.tasks[p] for p in parents]) + steps, 0.0, 1.0)
        return Children(tuple(tuple(float(x) for x in task) for task in tasks), tuple(parents))

    def admit(self, state: Pairs, tried: Children, scores: ArrayLike) -> Change:
        """Return the pairs with those of the ``tried`` that may join, each with the agent that does best in it.

        Args:
            state: The state whose children they are.
            tried: Of `children_of`.
            scores: float [P, C]; of each pair's agent in each child. Not finite: a failure.

        Raises:
            UsageError: Scores of another shape.
        """
        table = _table(scores, (len(state.tasks), len(tried.tasks)), "scores")
        fit = [c for c, p in enumerate(tried.parents) if self.least <= table[p, c] <= self.most]
        tasks, sources, archive = list(state.tasks), list(range(len(state.tasks))), list(state.archive)
        for _ in range(self.admitted):
            if not fit:
                break
            chosen = max(fit, key=lambda c: self._novelty(tried.tasks[c], archive))
            fit.remove(chosen)
            tasks.append(tried.tasks[chosen])
            archive.append(tried.tasks[chosen])
            sources.append(int(np.argmax(table[:, chosen])))
        kept = slice(max(0, len(tasks) - self.pairs), None)
        changed = replace(state, tasks=tuple(tasks[kept]), archive=tuple(archive))
        return Change(changed, tuple(sources[kept]))

    def transfer(self, state: Pairs, scores: ArrayLike) -> Change:
        """Return the pairs after agents moved: each task takes over the agent that does best in it; of equals, its own stays.

        Args:
            state: After a round.
            scores: float [P, P]; of each pair's agent (rows) in each pair's task. Not finite: a failure.

        Raises:
            UsageError: Scores of another shape.
        """
        count = len(state.tasks)
        table = _table(scores, (count, count), "scores")
        if state.rounds % self.transfer_every:
            return Change(state, tuple(range(count)))
        best = table.argmax(axis=0)
        own = table[np.arange(count), np.arange(count)]
        sources = np.where(table[best, np.arange(count)] > own, best, np.arange(count))
        moves = int((sources != np.arange(count)).sum())
        return Change(replace(state, moves=state.moves + moves), tuple(int(s) for s in sources))

    def _novelty(self, task: Point, archive: Sequence[Point]) -> float:
        """Return the mean distance from ``task`` to the nearest of the ``archive``."""
        distances = np.sort(np.linalg.norm(np.array(archive) - np.array(task), axis=1))
        return float(distances[: self.neighbours].mean())


def _table(values: ArrayLike, shape: tuple[int, ...], name: str) -> Floats:
    table = np.asarray(values, np.float64)
    if table.shape != shape:
        raise UsageError(f"poet: {name}: expected shape {list(shape)}, got {list(table.shape)}.")
    return np.where(np.isfinite(table), table, -np.inf)
