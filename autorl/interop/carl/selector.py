"""A teacher as a context selector of CARL: which context comes next. Imports CARL; made by `autorl.interop.carl.teacher_selector`."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax.numpy as jnp
import numpy as np
from carl.context.selection import AbstractSelector

from autorl.environments.protocol import Environment
from autorl.environments.task_box import TaskBox
from autorl.errors import UsageError
from autorl.interop.carl.contexts import Context, contexts_from_tasks
from autorl.interop.tutor import Tutor


class TeacherSelector(AbstractSelector):
    """Selects what a teacher proposes. Of its contexts, only the one under way is kept; its id is the number of the episode.

    Args:
        environment: Ours, of the same features.
        box: What varies.
        tutor: The teacher, of points of [0, 1]^D.

    Attributes:
        learn: Whether the agent may learn from the episode under way. Some teachers look at episodes first.
    """

    def __init__(self, environment: Environment, box: TaskBox, tutor: Tutor) -> None:
        super().__init__(contexts={})
        self.environment, self.box, self.tutor = environment, box, tutor
        self.learn = True
        self._point: np.ndarray | None = None

    @property
    def context_key(self) -> Any:
        """The id of the context under way; None before the first."""
        return self.context_id

    def ended(self, episode_return: float, success: float | None = None, **channels: float) -> None:
        """Tell the teacher what became of the episode under way.

        Args:
            episode_return: The sum of its rewards.
            success: 1 if it reached its goal, else 0, or a share. If it is not known, the score within [0, 1].
            channels: What else the teacher is to know: other channels of `autorl.curricula.protocol.Feedback`.

        Raises:
            UsageError: No episode is under way, or a channel that does not exist or is missing.
        """
        if self._point is None:
            raise UsageError("no episode is under way: reset the environment, and tell of each episode once")
        success = self.tutor.score(episode_return) if success is None else success
        told = {"returns": episode_return, "successes": success, **channels}
        self.tutor.tell(self._point, **told)
        self._point = None

    def _select(self) -> tuple[Context, int]:
        if self._point is not None:  # the episode before was given up
            nothing = dict.fromkeys(self.tutor.needs | {"returns"}, float("nan"))
            self.tutor.tell(self._point, **nothing)
        points, learn = self.tutor.ask()
        self._point, self.learn = points, bool(learn[0])
        number = self.n_calls
        self.contexts = {number: self._context(points[0])}
        self.context_ids, self.contexts_keys = [number], [number]
        return self.contexts[number], number

    def _context(self, point: np.ndarray) -> Context:
        values = zip(self.box.dimensions, np.asarray(self.box.from_unit(jnp.asarray(point))), strict=True)
        task = {one.name: np.round(value) if one.whole else value for one, value in values}
        return contexts_from_tasks(self.environment, [task])[0]


class Told(gymnasium.Wrapper):
    """An environment of CARL that tells its `TeacherSelector` of every episode that ends: its return, and ``info["is_success"]`` if any."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        try:
            selector = env.get_wrapper_attr("context_selector")
        except AttributeError:
            selector = None
        if not isinstance(selector, TeacherSelector):
            raise UsageError(
                f"expected an environment of CARL made with context_selector=teacher_selector(...), it has {type(selector).__name__}"
            )
        missing = sorted(selector.tutor.needs - {"returns", "successes"})
        if missing:
            raise UsageError(
                f"teacher {selector.tutor.teacher.name!r} needs {', '.join(map(repr, missing))}, and this tells returns and successes "
                "alone. Remedy: tell them yourself, by the selector's ended(episode_return, success, ...), or take another teacher or score"
            )
        self.selector = selector
        self._sum = 0.0

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Reset, to the next context of the teacher."""
        self._sum = 0.0
        observation, info = self.env.reset(**options)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; where the episode ends, the teacher is told."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._sum += float(reward)
        if terminated or truncated:
            success = info.get("is_success")
            self.selector.ended(self._sum, None if success is None else float(success))
        return observation, reward, terminated, truncated, info
