"""Teachers compiled once for all tests of this folder: small ones, for batches of eight."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

BATCH = 8
LOW, HIGH = np.array([-2.0, 10.0]), np.array([-1.0, 30.0])

SMALL: dict[str, dict[str, Any]] = {
    "alp_gmm": {"fit_rate": 40, "window": 48, "max_components": 3, "history": 512},
    "covar_gmm": {"fit_rate": 40, "window": 48, "max_components": 3},
    "again": {
        **{"fit_rate": 40, "window": 48, "max_components": 3, "history": 512},
        **{"pretrain": 48, "stages": 3, "queue": 4, "later_random": 0.1},
    },
    "riac": {"region_size": 20, "regions": 31, "split_attempts": 5},
    "arms": {"capacity": 64},
    "learning_progress": {"bins": 4},
    "goal_gan": {"goals": 16, "room": 12},
    "spdl": {"episodes": 64, "offset": 1},
    "space": {"instances": 16, "first": 2, "growth": 4, "period": 32},
    "plr": {"capacity": 16, "score": "progress"},
    "robust_plr": {"capacity": 16},
    "accel": {"capacity": 16, "most_edits": 3, "edits": 3},
    "dynamic_tasks": {"candidates": 4, "taken": 8, "visits": 2},
    "poet": {
        **{"children": 4, "active": 4, "archive": 16, "visits": 2, "every": 8, "most_edits": 3},
        **{"reproduce_at": 0.05, "least": 0.01},
    },
    "sfl": {"candidates": 16, "kept": 4, "visits": 2, "period": 32},
}
"""Parameters with which a program compiles quickly and everything happens within some hundred episodes."""

# half the time of compiling; nothing here runs long
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


SLOW = {"alp_gmm", "covar_gmm", "riac", "plr", "goal_gan", "again"}
"""Those that take long to compile, or whose likes are tested quickly."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that compile a slow teacher."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        compiles = "pupil" in getattr(item, "fixturenames", ())
        if compiles and callspec is not None and callspec.params.get("name") in SLOW:
            item.add_marker(pytest.mark.slow)


class Pupil:
    """A teacher of tasks in a box, its programs compiled for `BATCH` episodes; everything else is numpy.

    Fewer episodes are filled up with ones that have no return, which teachers skip.
    """

    def __init__(self, name: str) -> None:
        import jax

        from autorl.curricula.tasks import TaskSpace
        from autorl.curricula.teachers import make_teacher

        self.space = TaskSpace(tuple(LOW), tuple(HIGH))
        self.teacher = make_teacher(name, self.space)
        self.params = self.teacher.parameters(SMALL.get(name))
        state, key = self.init(0), jax.random.key(0)
        blank = np.zeros((BATCH, 2), np.float32)
        self._propose = self._compiled(lambda p, s, k: self.teacher.propose(p, s, k, BATCH), self.params, state, key)
        feedback = self._feedback(BATCH, {})
        self._update = self._compiled(
            lambda p, s, t, f, more: self.teacher.update(p, s, t, f, None, more),
            self.params, state, blank, feedback, np.bool_(False),
        )  # fmt: skip

    def init(self, seed: int, params: Any = None) -> Any:
        import jax

        return jax.tree.map(np.asarray, self.teacher.init(jax.random.key(seed), params or self.params))

    def propose(self, state: Any, seed: int, params: Any = None) -> Any:
        import jax

        return jax.tree.map(np.asarray, self._propose(params or self.params, state, jax.random.key(seed)))

    def update(self, state: Any, tasks: Any, params: Any = None, more: bool = False, **channels: Any) -> Any:
        """Return the state after episodes in ``tasks``, one round however many they are, as those of a rollout are."""
        tasks = np.asarray(tasks, np.float32).reshape(-1, 2)
        for start in range(0, len(tasks), BATCH):
            part = slice(start, start + BATCH)
            filled = np.full((BATCH, 2), LOW, np.float32)
            filled[: len(tasks[part])] = tasks[part]
            given = {name: np.asarray(values, np.float32)[part] for name, values in channels.items()}
            follows = np.bool_(more or start + BATCH < len(tasks))
            state = self._update(params or self.params, state, filled, self._feedback(len(tasks[part]), given), follows)
        return state

    def unit(self, tasks: Any) -> np.ndarray:
        """Return tasks as points of [0, 1]^2."""
        return (np.asarray(tasks, np.float64) - LOW) / (HIGH - LOW)

    def tasks(self, points: Any) -> np.ndarray:
        """Return points of [0, 1]^2 as tasks."""
        return (LOW + np.asarray(points) * (HIGH - LOW)).astype(np.float32)

    def arrays(self, state: Any) -> dict[str, np.ndarray]:
        return self.teacher.to_arrays(state)

    @staticmethod
    def _feedback(n: int, channels: dict[str, np.ndarray]) -> Any:
        from autorl.curricula.protocol import Feedback

        def channel(name: str) -> np.ndarray:
            values = np.full(BATCH, np.nan, np.float32)
            # a channel that a test does not care about
            values[:n] = channels.get(name, channels.get("returns", np.zeros(n)))
            return values

        return Feedback(*map(channel, Feedback._fields))

    @staticmethod
    def _compiled(function: Callable[..., Any], *arguments: Any) -> Any:
        import jax

        return jax.jit(function).lower(*arguments).compile(compiler_options=QUICK)


@pytest.fixture(scope="session")
def pupil() -> Callable[[str], Pupil]:
    return cache(Pupil)
