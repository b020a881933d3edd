"""What students of a classroom leave behind for those after them: the curriculum of each as an expert, and who is like whom.

After Portelas et al. (2020, Meta Automatic Curriculum Learning), from the published source (commit 7d2d5b9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from autorl.curricula.again import densities, fits_of
from autorl.curricula.mixtures import Mixture
from autorl.errors import UsageError

JUDGED = 50
"""Newest tasks of a stage whose mean return is its threshold."""


ENDLESS = 1e9
"""Threshold of a stage that no student passes."""


class Expert(NamedTuple):
    """The curriculum of one student, as parameters of `autorl.curricula.again.Again` (their names there).

    Attributes:
        means: float32 [stages, K, D], in [0, 1].
        roots: float32 [stages, K, D, D].
        progress: float32 [stages, K].
        thresholds: float32 [stages].
    """

    means: NDArray[np.float32]
    roots: NDArray[np.float32]
    progress: NDArray[np.float32]
    thresholds: NDArray[np.float32]

    @classmethod
    def of(
        cls, fits: Sequence[Mixture], points: ArrayLike, returns: ArrayLike, stages: int, least: float = 0.2
    ) -> Expert:
        """Make an expert of ALP-GMM's fits and of what was played.

        Gaussians with little progress are left out, and so is a fit without any other. The threshold of a stage is the mean return of
        the newest `JUDGED` tasks, of those played between this fit and the next, that a kept Gaussian is likelier to have made than
        chance (of all, if there are none).

        Args:
            fits: Fits in order, equally far apart; the first after as many episodes as lie between two.
            points: float [E, D], the tasks played, in [0, 1].
            returns: float [E].
            stages: Room for stages; of more fits the first so many are kept.
            least: Progress from which a Gaussian is kept.

        Raises:
            UsageError: No fit, or not as many tasks as returns.
        """
        tasks, values = np.asarray(points, np.float32), np.asarray(returns, np.float32)
        if not fits or tasks.ndim != 2 or values.shape != (len(tasks),):
            raise UsageError(
                f"expert: expected fits, tasks [E, D] and returns [E], got {len(fits)} fits, {list(tasks.shape)} and {list(values.shape)}."
            )
        d, rate = tasks.shape[1], len(tasks) // len(fits)
        components = len(fits[0].weights)
        made = cls(
            np.full((stages, components, d), 0.5, np.float32),
            np.zeros((stages, components, d, d), np.float32),
            np.zeros((stages, components), np.float32),
            np.zeros(stages, np.float32),
        )
        stage = 0
        for number, fit in enumerate(fits):
            means, roots, progress = (np.asarray(part) for part in fits_of(fit, d))
            kept = progress > least
            if not kept.any() or stage == stages:
                continue
            made.means[stage], made.roots[stage] = np.clip(means, 0.0, 1.0), roots
            made.progress[stage] = np.where(kept, progress, 0.0)
            after = slice((number + 1) * rate, (number + 2) * rate)
            made.thresholds[stage] = _threshold(tasks[after], values[after], means[kept], roots[kept])
            stage += 1
        return made

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of `Again` that hold this expert."""
        return {**self._asdict(), "stages": len(self.thresholds), "max_components": self.progress.shape[1]}


def _threshold(
    tasks: NDArray[np.float32], values: NDArray[np.float32], means: NDArray[Any], roots: NDArray[Any]
) -> float:
    if not len(tasks):
        return ENDLESS  # nothing was played after the last fit
    each = densities(jnp.asarray(tasks), jnp.asarray(means), jnp.asarray(roots))
    made = np.asarray(each).max(axis=0) > 1.0
    judged = values[made] if made.any() else values
    return float(judged[-JUDGED:].mean())


def nearest_expert(vector: ArrayLike, vectors: ArrayLike, scores: ArrayLike, k: int = 5) -> int:
    """Return whose curriculum to give a student: of the ``k`` most alike, the number of the one who became best.

    Args:
        vector: float [V], what the student can do after pretraining, by task.
        vectors: float [S, V], what those before could do after theirs.
        scores: float [S], what became of them.
        k: How many are compared; all, if there are fewer.

    Raises:
        UsageError: Shapes that do not fit together, or ``k`` below 1.
    """
    one, others, became = (np.asarray(x, np.float64) for x in (vector, vectors, scores))
    if others.ndim != 2 or not len(others) or one.shape != others.shape[1:] or became.shape != (len(others),) or k < 1:
        raise UsageError(
            f"nearest expert: expected a vector [V], vectors [S, V], scores [S] and k from 1, got {list(one.shape)}, "
            f"{list(others.shape)}, {list(became.shape)} and k {k!r}."
        )
    nearest = np.argsort(((others - one) ** 2).sum(axis=1), kind="stable")[:k]
    return int(nearest[np.argmax(became[nearest])])
