"""Model-based transfer learning: the next training task by a Gaussian process, by clusters, or by whichever fits what is seen.

After Cho et al. (2024, Model-Based Transfer Learning for Contextual Reinforcement Learning) and SD-MBTL (2026, Structure Detection for
Contextual Reinforcement Learning), from the published code (commit fa25f32).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autorl.keys import derive, generator
from autorl.outer.tasks.gaussian_process import GaussianProcess
from autorl.outer.tasks.protocol import Floats, TaskSelection, Trained, first_left
from autorl.outer.tasks.transfer import is_mountain, losses, slopes

CANDIDATES = 400
"""Tasks from which a cluster may start, drawn once."""
WORST_FIRST = 3
"""GP-MBTL's tasks after its first, up to this one, are those that are served worst."""
DETECTED_FROM = 6
"""Policies from which M/GP-MBTL looks for structure; before, it assumes mountains."""


@dataclass(frozen=True)
class Modelled(Trained):
    """Beside what was trained, the model of it.

    Attributes:
        process: Of the score of a policy on its own task.
        slopes: float [2 d], of the loss by transfer; empty before they are known.
        mountain: Whether the next task is chosen by clusters.
    """

    process: GaussianProcess = field(default_factory=GaussianProcess)
    slopes: Floats = field(default_factory=lambda: np.empty(0))
    mountain: bool = True


class _Model(TaskSelection):
    """What the methods have in common: scores about [0, 1] suit the start of the Gaussian process."""

    def init(self) -> Modelled:
        """Return the state before the first training."""
        return Modelled((), np.empty((0, len(self.tasks))))

    def _middle(self) -> int:
        """Return the task nearest to the mean of all; of several, the last."""
        return self._nearest(self.tasks.mean(axis=0), ())

    def _nearest(self, point: Floats, chosen: tuple[int, ...]) -> int:
        away = np.abs(self.tasks - point).sum(axis=1)
        order = np.lexsort((-np.arange(len(away)), away))
        return first_left(order, chosen)

    def _fitted(self, state: Modelled) -> Modelled:
        chosen = list(state.chosen)
        own = state.rows[np.arange(len(chosen)), chosen]
        return replace(state, process=state.process.fitted(self.tasks[chosen], own))

    def _by_process(self, state: Modelled) -> int:
        """Return the task with the greatest expected gain: optimism in the score, less the loss by transfer, above what there is."""
        chosen = list(state.chosen)
        own = state.rows[np.arange(len(chosen)), chosen]
        means, deviations = state.process.predict(self.tasks[chosen], own, self.tasks)
        optimism = means + np.sqrt(np.log(len(chosen) + 1)) * deviations
        gains = np.maximum(optimism[:, None] - losses(self.tasks, state.slopes) - state.best, 0.0).mean(axis=1)
        return first_left(np.argsort(-gains, kind="stable"), state.chosen)


class GpMbtl(_Model):
    """The next task by expected marginal gain under a Gaussian process and linear transfer.

    First the middle one, then two that are served worst.
    """

    name: ClassVar[str] = "gp_mbtl"
    chooses: ClassVar[str] = "The next training task, by a Gaussian process of its score and what transfer costs."
    reference: ClassVar[str] = (
        "Cho et al., 2024, Model-Based Transfer Learning for Contextual Reinforcement Learning; slopes learned as in SD-MBTL, 2026"
    )

    def _ask(self, state: Trained) -> int:
        assert isinstance(state, Modelled)
        if not state.chosen:
            return self._middle()
        if len(state.chosen) < WORST_FIRST:
            return first_left(np.argsort(state.best, kind="stable"), state.chosen)
        return self._by_process(state)

    def _learn(self, state: Trained) -> Trained:
        assert isinstance(state, Modelled)
        found = slopes(self.tasks, list(state.chosen), state.rows)
        return replace(self._fitted(state), slopes=found, mountain=False)


class MMbtl(_Model):
    """The next task as the centre of a cluster, the others staying where they are, so that all tasks are near a trained one.

    No score is looked at. From each candidate a centre moves to the mean of the tasks that are nearer to it than to any trained one (L1)
    until it rests; the best of these, by the sum of distances, becomes the task nearest to it that is not yet trained on.
    """

    name: ClassVar[str] = "m_mbtl"
    chooses: ClassVar[str] = "The next training task, by clusters, so that all tasks are near a trained one."
    reference: ClassVar[str] = "SD-MBTL, 2026, Structure Detection for Contextual Reinforcement Learning"

    def _ask(self, state: Trained) -> int:
        if not state.chosen:
            return self._middle()
        return self._by_cluster(state.chosen)

    @cached_property
    def _candidates(self) -> NDArray[np.intp]:
        draws = generator(derive(self.seed, "cluster candidates"))
        return draws.permutation(len(self.tasks))[:CANDIDATES]

    @cached_property
    def _apart(self) -> Floats:
        """L1 distances of candidates and tasks, float [c, N]."""
        return self._distances(self.tasks[self._candidates])

    def _by_cluster(self, chosen: tuple[int, ...]) -> int:
        if chosen not in self._answers:
            old = self._distances(self.tasks[list(chosen)]).min(axis=0)
            centres, sums = self._rested(old)
            self._answers[chosen] = self._nearest(centres[np.argmin(sums)], chosen)
        return self._answers[chosen]

    @cached_property
    def _answers(self) -> dict[tuple[int, ...], int]:
        """Tasks that followed those chosen: the same question has the same answer, whatever the scores."""
        return {}

    def _rested(self, old: Floats) -> tuple[Floats, Floats]:
        """Return where a centre from each candidate rests, float [c, d], and the sum over tasks of the distance to the nearest centre.

        ``old``, float [N], are the distances of the tasks to those that were trained on.
        """
        centres, near = self.tasks[self._candidates], self._apart.copy()
        member, moving = near <= old, np.arange(len(centres))
        for _ in range(300):
            inside = member[moving]
            sizes = inside.sum(axis=1, keepdims=True)
            moved = np.where(sizes > 0, inside @ self.tasks / np.maximum(sizes, 1), centres[moving])
            goes = np.any(np.abs(moved - centres[moving]) >= 1e-6, axis=1)
            moving = moving[goes]
            if not len(moving):
                break
            centres[moving] = moved[goes]
            near[moving] = self._distances(centres[moving])
            # a task changes sides for a gain only
            member[moving] = np.where(member[moving], near[moving] <= old, near[moving] < old)
        return centres, np.minimum(near, old).sum(axis=1)

    def _distances(self, centres: Floats) -> Floats:
        return sum(np.abs(at[:, None] - along) for at, along in zip(centres.T, self.tasks.T, strict=True))


class MgpMbtl(MMbtl):
    """M-MBTL where what was seen looks like mountains, GP-MBTL where it does not; asked anew after each policy from the sixth on."""

    name: ClassVar[str] = "mgp_mbtl"
    chooses: ClassVar[str] = (
        "The next training task, by clusters or by the Gaussian process, whichever fits what was seen."
    )
    reference: ClassVar[str] = "SD-MBTL, 2026, Structure Detection for Contextual Reinforcement Learning"

    def _ask(self, state: Trained) -> int:
        assert isinstance(state, Modelled)
        return super()._ask(state) if state.mountain else self._by_process(state)

    def _learn(self, state: Trained) -> Trained:
        assert isinstance(state, Modelled)
        if len(state.chosen) < DETECTED_FROM:
            return state
        chosen = list(state.chosen)
        learned = replace(
            state,
            slopes=slopes(self.tasks, chosen, state.rows),
            mountain=is_mountain(self.tasks, chosen, state.rows),
        )
        return learned if learned.mountain else self._fitted(learned)
