"""A teacher outside of our trainings: asked for tasks and told of episodes one by one, by whatever plays them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray

from autorl.curricula.protocol import CHANNELS, Feedback, Proposal, Teacher
from autorl.errors import UsageError, suggestion

_COUNT: Final = "asked"
_LOSSES: Final = ("positive_value_losses", "absolute_value_losses")
_PROBED: Final = 64
"""Proposals of a new teacher that are looked at to know whether all are to be learned from."""


class Tutor:
    """A teacher, its parameters, and its state so far. What it proposes is a function of the seed and of what it was told.

    Returns are told on the environment's own scale and become scores, 0 and 1 at the ends of ``score_range``, as in our trainings
    (`autorl.curricula.course.TaughtCourse`); so do values and the returns of others, and value losses are in units of the range.

    Args:
        teacher: The teacher, of the space in which tasks are asked for and told.
        parameters: Name -> value; the others are at their defaults.
        score_range: Returns that count as 0 and 1.
        seed: Decides all that is drawn.
        told: Channels of `Feedback` that its caller can tell.
        where: Who calls, for messages.

    Raises:
        UsageError: Wrong parameters, a range that is none, or a teacher that needs what its caller cannot tell.
    """

    def __init__(
        self,
        teacher: Teacher[Any],
        parameters: Mapping[str, Any] | None = None,
        *,
        score_range: tuple[float, float] = (0.0, 1.0),
        seed: int = 0,
        told: frozenset[str] = CHANNELS,
        where: str = "its caller",
    ) -> None:
        low, high = score_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UsageError(f"score_range: expected finite (low, high) with low < high, got {score_range!r}.")
        self.teacher = teacher
        self.parameters = teacher.parameters(parameters or {})
        missing = sorted(teacher.needs(self.parameters) - told)
        if missing:
            raise UsageError(
                f"teacher {teacher.name!r} needs {', '.join(map(repr, missing))}, which {where} does not tell: only "
                f"{', '.join(sorted(told))}. Take a teacher that learns from these, such as arms, alp_gmm or learning_progress; or, of "
                "one that ranks levels, another score ({'score': 'progress'})."
            )
        self._low, self._width = low, high - low
        own, self._draws = jax.random.split(jax.random.key(seed, impl="threefry2x32"))
        self.state: Any = teacher.init(own, self.parameters)
        self._asked = 0

    @property
    def looks(self) -> bool:
        """Whether its first proposals are not all to be learned from: some teachers first look at tasks, or learn from replays alone."""
        return not bool(self._proposed(_PROBED).train.all())

    @property
    def needs(self) -> frozenset[str]:
        """The channels that it is to be told."""
        return self.teacher.needs(self.parameters)

    def score(self, episode_return: float) -> float:
        """Return a return as a success where none is reported: its score within [0, 1], NaN for NaN."""
        return float(np.clip((episode_return - self._low) / self._width, 0.0, 1.0))

    def ask(self, n: int = 1) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return n tasks to play, float32 [n, D], and which of them the agent may learn from, bool [n]. All count as begun."""
        proposal = self._proposed(n)
        self._asked += 1
        if self.teacher.hears_starts:
            self.state = _begun(self.teacher, self.parameters, self.state, proposal.tasks)
        return np.asarray(proposal.tasks), np.asarray(proposal.train)

    def tell(self, tasks: ArrayLike, **channels: ArrayLike | None) -> None:
        """Tell what became of n episodes, which are a round of their own: `accel` edits the levels of one round of replays at once.

        Args:
            tasks: float [n, D]; as they were asked for, or others that were played.
            channels: Those of `Feedback`, [n]. Where one is not finite, the episode told nothing.

        Raises:
            UsageError: A channel that does not exist (did you mean), wrong shapes, or one missing that the teacher needs.
        """
        unknown = [f"{name!r}.{suggestion(name, CHANNELS)}" for name in channels if name not in CHANNELS]
        if unknown:
            raise UsageError("unknown channel " + "; ".join(unknown))
        heard: dict[str, Any] = {
            name: self._scaled(name, value) for name, value in channels.items() if value is not None
        }
        played = np.atleast_2d(np.asarray(tasks, np.float32))
        self.state = _update(self.teacher, self.parameters, self.state, played, Feedback(**heard))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that is to be kept, as named arrays: with the same arguments and these, a tutor goes on as this one would."""
        return {**self.teacher.to_arrays(self.state), _COUNT: np.asarray(self._asked, np.int64)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `to_arrays` returned.

        Raises:
            UsageError: Arrays of something else.
        """
        rest = dict(arrays)
        count = rest.pop(_COUNT, None)
        if count is None or np.ndim(count) != 0 or not np.issubdtype(np.asarray(count).dtype, np.integer):
            raise UsageError(f"arrays of a tutor: expected a whole number {_COUNT!r}, got {count!r}.")
        self.state = self.teacher.from_arrays(self.parameters, rest)
        self._asked = int(count)

    def _proposed(self, n: int) -> Proposal:
        return _propose(self.teacher, self.parameters, self.state, jax.random.fold_in(self._draws, self._asked), n)

    def _scaled(self, name: str, value: ArrayLike) -> NDArray[np.float32]:
        told = np.atleast_1d(np.asarray(value, np.float32))
        if name == "successes":
            return told
        return np.asarray((told if name in _LOSSES else told - self._low) / self._width, np.float32)


# compiled once for all tutors of equal teachers and static parameters
@partial(jax.jit, static_argnums=(0, 4))
def _propose(teacher: Teacher[Any], parameters: Any, state: Any, key: Array, n: int) -> Proposal:
    return teacher.propose(parameters, state, key, n)


@partial(jax.jit, static_argnums=0)
def _begun(teacher: Teacher[Any], parameters: Any, state: Any, tasks: Array) -> Any:
    return teacher.begun(parameters, state, tasks, jnp.ones(len(tasks), jnp.bool_))


@partial(jax.jit, static_argnums=0)
def _update(teacher: Teacher[Any], parameters: Any, state: Any, tasks: Array, feedback: Feedback) -> Any:
    return teacher.update(parameters, state, tasks, feedback)
