"""The contract of teachers: pure functions that propose tasks and learn from the returns of their episodes.

Everything is traced: a teacher runs inside the program that trains the agents, under jit, scan, vmap and lax.map. Its state is a
pytree of arrays of fixed shapes; its parameters are a pytree too (`autorl.declarations`), so a population whose members have
different ones is one program.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from numpy.typing import NDArray

from autorl.curricula.arrays import pack, unpack
from autorl.curricula.tasks import TaskSpace
from autorl.declarations import make_hyperparameters
from autorl.errors import UsageError

State = TypeVar("State")
Channels = dict[str, Array]
"""Name of a channel of `Feedback` to float32 [n], finite where the episode is valid and 0 elsewhere."""


class Proposal(NamedTuple):
    """Tasks to play next.

    Attributes:
        tasks: float32 [n, D], within the task space.
        train: bool [n]; where False, the episode is only looked at: the agent must not learn from it.
    """

    tasks: Array
    train: Array


class Feedback(NamedTuple):
    """What became of n episodes; channels that nobody measured are None. Each is [n].

    Attributes:
        returns: Return of the episode, on a scale of the caller's choice (about [0, 1] suits every teacher here). One that is not finite
            says that its episode told nothing, and the teacher skips it.
        successes: 1 or true if the episode reached its goal, else 0; a share of the goal in between.
        values: The agent's estimate of the return at the first observation.
        antagonist_returns: Return of a second agent in the same task.
        positive_value_losses: Mean over steps of the positive part of the generalised advantage.
        absolute_value_losses: Mean over steps of the absolute generalised advantage.
        control_returns: What a policy that acts at random gets in the same task, on the scale of returns.
        mean_values: Mean over steps of the agent's estimates of the return.
    """

    returns: Array | None = None
    successes: Array | None = None
    values: Array | None = None
    antagonist_returns: Array | None = None
    positive_value_losses: Array | None = None
    absolute_value_losses: Array | None = None
    control_returns: Array | None = None
    mean_values: Array | None = None


CHANNELS = frozenset(Feedback._fields)
"""What a teacher may need: the names of the fields of `Feedback`."""


@dataclass(frozen=True)
class Teacher(ABC, Generic[State]):
    """What picks the next task.

    Attributes:
        space: The tasks that may be proposed.
    """

    space: TaskSpace

    name: ClassVar[str]
    """Its name in `autorl.curricula.teachers.TEACHERS`."""
    reference: ClassVar[str]
    """Authors, year and title."""
    Parameters: ClassVar[type[Any]]
    """Its parameters, declared as hyperparameters are."""
    hears_starts: ClassVar[bool] = False
    """Whether it is to be told, by `begun`, which of the tasks that it proposed are begun: where they are played side by side, those whose
    episodes end first are the short ones, which are not like the others."""

    scores: ClassVar[tuple[str, ...]] = ()
    """Parameters that are compared with returns, whose defaults are for scores from 0 to 1."""
    has_rounds: ClassVar[bool] = False
    """Whether it matters to it which episodes were told together, between two proposals: `_rounded` is called after the last of them."""

    def parameters(self, values: Mapping[str, Any] | None = None) -> Any:
        """Return ``Parameters`` with ``values``, the others at their defaults.

        Raises:
            UsageError: An unknown name, a value out of range, or two that do not fit together.
        """
        try:
            sizes = {"dimensions": self.space.dimensions, "settings": self.space.settings}
            params = make_hyperparameters(self.Parameters, values or {}, sizes)
            self._check(params)
        except UsageError as error:
            raise UsageError(f"teacher {self.name!r}: {error}") from error
        return params

    def needs(self, params: Any) -> frozenset[str]:
        """Return the channels of `Feedback` that `update` reads, a subset of `CHANNELS`."""
        return frozenset({"returns"})

    def init(self, key: Array, params: Any) -> State:
        """Return the state before the first episode; ``key`` (a Threefry key) decides all that `update` draws."""
        return self._init(params, jax.random.key_data(key))

    def propose(self, params: Any, state: State, key: Array, n: int) -> Proposal:
        """Return ``n`` tasks to play at once, a function of ``params``, ``state`` and ``key`` alone.

        Raises:
            UsageError: ``n`` below 1.
        """
        if n < 1:
            raise UsageError(f"teacher {self.name!r}: n: expected at least 1 task, got {n!r}.")
        points, train = self._propose(params, state, key, n)
        return Proposal(self.space.from_unit(points), train)

    def begun(self, params: Any, state: State, tasks: Array, which: Array) -> State:
        """Return the state after those of n ``tasks`` [n, D] were begun that ``which`` [n] says. A caller that plays all that was proposed
        before it asks for more need not tell.
        """
        return self._begun(params, state, self.space.to_unit(tasks), which)

    def update(
        self,
        params: Any,
        state: State,
        tasks: Any,
        feedback: Feedback,
        ended: Array | None = None,
        more: Array | bool = False,
    ) -> State:
        """Return the state after n episodes. Those with returns, or a needed channel, that are not finite are skipped.

        Of those that were said to have begun, they count as not begun: a teacher that waits for its episodes proposes others for them.

        Args:
            params: The parameters.
            state: The state before them.
            tasks: float [n, D]; tasks that were played, proposed by this teacher or not.
            feedback: What became of them, with every channel of ``needs``.
            ended: bool [n]; where False, nothing ended there, and the rest of the row is ignored. By default, all did.
            more: Whether another update with episodes of the same round follows, before anything is proposed.

        Raises:
            UsageError: Wrong shapes, or a channel that is missing (both are known before the program runs).
        """
        played = jnp.asarray(tasks, jnp.float32)
        if played.ndim != 2 or played.shape[1] != self.space.dimensions:
            raise UsageError(
                f"teacher {self.name!r}: tasks: expected shape [n, {self.space.dimensions}], got {list(played.shape)}."
            )
        there = jnp.ones(len(played), jnp.bool_) if ended is None else jnp.asarray(ended, jnp.bool_)
        valid = there
        channels = {name: self._channel(feedback, name, len(played)) for name in sorted(self.needs(params))}
        if feedback.returns is not None:
            valid &= jnp.isfinite(self._channel(feedback, "returns", len(played)))
        for values in channels.values():
            valid &= jnp.isfinite(values)
        known = {name: jnp.where(valid, values, 0.0) for name, values in channels.items()}
        points = self.space.to_unit(played)
        after = self._update(params, self._lost(params, state, points, there & ~valid), points, known, valid)
        if not self.has_rounds:
            return after
        over = jnp.any(there) & ~jnp.asarray(more)
        return jax.tree.map(lambda new, old: jnp.where(over, new, old), self._rounded(params, after), after)

    def to_arrays(self, state: State) -> dict[str, NDArray[Any]]:
        """Return ``state`` as named numpy arrays (a checkpoint's)."""
        return pack(state)

    def from_arrays(self, params: Any, arrays: Mapping[str, NDArray[Any]]) -> State:
        """Return the state that `to_arrays` turned into ``arrays``; of ``params``, only the static ones matter.

        Raises:
            UsageError: Arrays of something else.
        """
        return unpack(jax.eval_shape(self.init, jax.random.key(0), params), arrays)

    def _check(self, params: Any) -> None:
        """Raise `UsageError` where two parameters do not fit together."""
        return

    def _begun(self, params: Any, state: State, points: Array, which: Array) -> State:
        """Return the state after those of ``points`` [n, D] in [0, 1]^D were begun that ``which`` [n] says."""
        return state

    def _lost(self, params: Any, state: State, points: Array, which: Array) -> State:
        """Return the state after those of ``points`` [n, D] that ``which`` [n] says ended without telling anything: undoes `_begun`."""
        return state

    @abstractmethod
    def _init(self, params: Any, seed: Array) -> State:
        """Return the first state; ``seed`` is uint32 [2], see `stream`."""

    @abstractmethod
    def _propose(self, params: Any, state: State, key: Array, n: int) -> Proposal:
        """Return n points of [0, 1]^D and whether to learn from them."""

    @abstractmethod
    def _update(self, params: Any, state: State, points: Array, channels: Channels, valid: Array) -> State:
        """Return the state after episodes at ``points``, [n, D] in [0, 1]^D, of which those not ``valid`` [n] change nothing."""

    def _rounded(self, params: Any, state: State) -> State:
        """Return the state after the last update before the next proposal; only called where ``has_rounds``."""
        return state

    def _channel(self, feedback: Feedback, name: str, n: int) -> Array:
        value = getattr(feedback, name)
        if value is None:
            raise UsageError(f"teacher {self.name!r}: feedback: it needs {name!r}, which was not measured.")
        array = jnp.asarray(value, jnp.float32)
        if array.shape != (n,):
            raise UsageError(
                f"teacher {self.name!r}: feedback {name!r}: expected shape [{n}], got {list(array.shape)}."
            )
        return array


def learned_from(points: Array) -> Proposal:
    """Return the proposal of ``points`` [n, D], all of them to be learned from."""
    return Proposal(points, jnp.ones(len(points), jnp.bool_))


def one_by_one(
    step: Callable[[State, Array, Channels], State], state: State, points: Array, channels: Channels, valid: Array
) -> State:
    """Return the state after ``step`` (state, point [D], its channels as scalars) for each valid episode, in order."""

    def turn(before: State, episode: tuple[Array, Channels, Array]) -> tuple[State, None]:
        point, own, told = episode
        return jax.lax.cond(told, lambda: step(before, point, own), lambda: before), None

    return jax.lax.scan(turn, state, (points, channels, valid))[0]


def stream(seed: Array, counter: Array) -> Array:
    """Return a key for the ``counter``-th draw below ``seed``, uint32 [2] (states hold raw key data, which are plain arrays)."""
    return jax.random.fold_in(jax.random.wrap_key_data(seed, impl="threefry2x32"), counter)


def choose(key: Array, weights: Array, n: int) -> Array:
    """Draw n indices, int32 [n], in proportion to ``weights`` [k], at least 0; uniformly if all are 0."""
    edges = jnp.cumsum(jnp.where(jnp.sum(weights) > 0, weights, 1.0))
    drawn = jnp.searchsorted(edges, jax.random.uniform(key, (n,)) * edges[-1], side="right")
    # rounding can put the draw on the last edge itself, or beyond the last weight that is not 0
    last = jnp.searchsorted(edges, edges[-1], side="left")
    return jnp.minimum(drawn, last).astype(jnp.int32)
