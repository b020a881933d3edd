"""From jobs to lanes: what each lane trains, in which segments, and which lanes share a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from autorl.environments.features import Feature
from autorl.inner.acting import Acting
from autorl.inner.diary import Diary
from autorl.outer.protocol import Status
from autorl.studies.trial import Stage

Tree = Any


@dataclass(frozen=True)
class Job:
    """One training: one plan with one seed in one environment.

    Attributes:
        trial: Number of the trial it belongs to, for messages and for the order of results.
        environment: Index into the study's environments.
        seed: Training seed.
        plan: Stages, cumulative; the last ``until`` is where the training ends.
        start: Nominal env steps trained before (0, or where the parent ended).
        averaged: Last evaluations whose mean is the score (all of them, where there are fewer).
        parent_state: Trained state on the host to continue from, without a lane axis; None starts from scratch.
        points: Cumulative env steps at which to evaluate; the last one is the end.
        horizon: Env steps of a whole training, of which this may be a part.
        goes_on: Whether it may be continued: then it has not failed if it ends before its first iteration fits in.
        task: What it is trained on (host arrays), if not on the environment's task.
    """

    trial: int
    environment: int
    seed: int
    plan: tuple[Stage, ...]
    points: tuple[int, ...]
    start: int = 0
    averaged: int = 1
    horizon: int = 0
    parent_state: Tree = None
    goes_on: bool = False
    task: Tree = None


class Keep(NamedTuple):
    """What outcomes carry beside numbers: the trained states, to go on from, and what the trained agents act by."""

    states: bool = False
    agents: bool = False


class Agent(NamedTuple):
    """What a trained agent acts by, as host arrays, and the hyperparameters that it depends on, as plain data."""

    acting: Acting
    values: Mapping[str, Any]


@dataclass
class Outcome:
    """What became of a job. ``score`` is the mean of its last evaluations, None unless completed.

    ``returns`` are its evaluations: the mean return of each, or another statistic over held-out tasks, or one of successes, where the
    study chose so.

    ``tasks`` and ``successes`` are the mean return and success in each held-out task at the last evaluation, where there are such tasks and
    successes are reported; ``task_halves`` and ``success_halves`` are the same over the first and over the second half of the attempts at
    each task, empty where there is one attempt. ``teacher_env_steps`` are those of a whole training that were taken for its teacher before
    the agent's first; ``diary`` says what a teacher's training played (`autorl.inner.diary.Diary`), in terms of ``features`` where those
    are not the tasks', and ``shelf`` which levels its teacher holds, if it is one that replays levels
    (`autorl.curricula.level_buffer.LevelBuffer`). ``agent`` is what the trained agent acts by, where that is asked for and it has any.
    """

    status: Status = Status.RUNNING
    score: float | None = None
    env_steps: tuple[int, ...] = ()
    returns: tuple[float | None, ...] = ()
    train_env_steps: int = 0
    evaluation_env_steps: int = 0
    updates: int = 0
    compile_seconds: float = 0.0
    wall_seconds: float = 0.0
    message: str = ""
    state: Tree = None
    tasks: tuple[float, ...] = ()
    successes: tuple[float, ...] = ()
    task_halves: tuple[tuple[float, ...], ...] = ()
    success_halves: tuple[tuple[float, ...], ...] = ()
    teacher_env_steps: int = 0
    diary: Diary | None = None
    features: tuple[Feature, ...] | None = None
    shelf: Any = None
    agent: Agent | None = None


@dataclass(frozen=True)
class Segment:
    """Train until ``until`` with the hyperparameters of stage ``stage``, then evaluate if ``evaluate``."""

    until: int
    stage: int
    evaluate: bool


def segments(job: Job) -> tuple[Segment, ...]:
    """Return the segments of a job: cut wherever it is evaluated and wherever the plan changes."""
    end = job.plan[-1].until
    cuts = sorted(
        {p for p in job.points if job.start < p <= end} | {s.until for s in job.plan if job.start < s.until <= end}
    )
    return tuple(
        Segment(cut, next(i for i, stage in enumerate(job.plan) if cut <= stage.until), cut in job.points)
        for cut in cuts
    )


def evaluation_points(start: int, end: int, horizon: int, points: int) -> tuple[int, ...]:
    """Return where a training from ``start`` to ``end`` is evaluated: ``points`` over a whole horizon, always at its end."""
    count = max(1, round(points * (end - start) / horizon))
    return tuple(start + (end - start) * (i + 1) // count for i in range(count))


def final_score(returns: Sequence[float | None], averaged: int) -> float | None:
    """Return the mean of the last ``averaged`` evaluations, or of all where there are fewer; None if one was not finite, or none made."""
    last = returns[-averaged:]
    known = [value for value in last if value is not None]
    return sum(known) / len(known) if known and len(known) == len(last) else None


def static_groups(keys: Sequence[Any]) -> list[list[int]]:
    """Return indices grouped by equal key (environment and static signature), in order of first appearance."""
    groups: dict[Any, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def spread(count: int, lanes: int, devices: int, taken: Sequence[int] = ()) -> np.ndarray:
    """Return a lane for each of ``count`` jobs, int64 [count], dealt out over the devices so that each has its share of the work.

    Args:
        count: No more than there are free lanes.
        lanes: Lanes of the program, those of one device side by side.
        devices: Their number.
        taken: Lanes that others have.
    """
    width, occupied = lanes // devices, set(taken)
    free = [[x for x in range(d * width, (d + 1) * width) if x not in occupied] for d in range(devices)]
    given = []
    for _ in range(count):
        most = max(range(devices), key=lambda d: len(free[d]))
        given.append(free[most].pop(0))
    return np.array(given, np.int64)


def stack(trees: Sequence[Tree], where: np.ndarray, lanes: int) -> Tree:
    """Stack one tree a job into one tree with a leading axis of ``lanes``; empty lanes repeat the first job's values."""
    source = np.zeros(lanes, np.int64)
    source[where] = np.arange(len(trees))
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves])[source], *trees)


def lane(tree: Tree, index: int) -> Tree:
    """Return one lane of a stacked tree, copied (a view would keep the whole population alive)."""
    return jax.tree.map(lambda x: np.array(x[index]), tree)


def flatten(tree: Tree, prefix: str = "leaf-") -> dict[str, np.ndarray]:
    """Return the leaves of a host tree by name, for a checkpoint. The structure itself comes from code."""
    return {f"{prefix}{i:04d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


def unflatten(like: Tree, arrays: Mapping[str, np.ndarray], prefix: str = "leaf-") -> Tree:
    """Undo `flatten` with the structure of ``like``."""
    leaves, structure = jax.tree.flatten(like)
    return jax.tree.unflatten(structure, [arrays[f"{prefix}{i:04d}"] for i in range(len(leaves))])


def fits(like: Tree, arrays: Mapping[str, np.ndarray], prefix: str = "leaf-", stacked: tuple[int, ...] = ()) -> bool:
    """Return whether `unflatten` gives a tree of the form of ``like``, each leaf with the axes ``stacked`` before its own."""
    leaves = jax.tree.leaves(like)
    names = [f"{prefix}{i:04d}" for i in range(len(leaves))]
    if {name for name in arrays if name.startswith(prefix)} != set(names):
        return False
    for leaf, name in zip(leaves, names, strict=True):
        is_key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # kept as its raw data, of another form
        if not is_key and ((*stacked, *leaf.shape), leaf.dtype) != (arrays[name].shape, arrays[name].dtype):
            return False
    return True
