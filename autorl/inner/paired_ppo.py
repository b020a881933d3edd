"""Two PPO agents in lockstep, for teachers that ask how much better another agent does in a task: PAIRED's protagonist and antagonist.

After Dennis et al. (2020), *Emergent Complexity and Zero-shot Transfer via Unsupervised Environment Design*, as JaxUED and minimax run
it: for every rollout the teacher sets one task for each environment; both agents play it again and again, learn from what they did,
and the teacher hears the protagonist's mean return and the antagonist's greatest one, in the same tasks. An episode that is not over by
the end of a rollout counts with its return so far, so a rollout should take an episode (``n_steps``). Env steps are those of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.autoreset import batched_reset
from autorl.environments.protocol import Task
from autorl.errors import UsageError
from autorl.inner.acting import Acting
from autorl.inner.course import Course
from autorl.inner.diary import Diary, Episodes, empty_diary, stepped, written
from autorl.inner.normalisation import Moments, merge
from autorl.inner.optimiser import Adam
from autorl.inner.ppo import PPO, Batch, PPOState
from autorl.inner.ppo_hyperparameters import PPOHyperparameters
from autorl.inner.protocol import Evaluation, Progress, all_finite
from autorl.inner.registers import part_done
from autorl.inner.rollout import Actors, Trajectory, average_return
from autorl.inner.teaching import Slots, levels_kept
from autorl.inner.threefry import unrolled

AGENTS = 2


class Student(NamedTuple):
    """One agent between two rollouts.

    Attributes:
        adam: Parameters and their optimiser.
        moments: Of the observations.
    """

    adam: Adam
    moments: Moments


class PairedState(NamedTuple):
    """All that a training of both needs to go on.

    Attributes:
        progress: What is counted; train return and metrics are the protagonist's.
        key: jax key; every iteration folds its env steps in.
        protagonist: The agent that is evaluated.
        antagonist: The other.
        teacher: The teacher's state.
        diary: What the protagonist played.
    """

    progress: Progress
    key: Array
    protagonist: Student
    antagonist: Student
    teacher: Any
    diary: Diary


class Heard(NamedTuple):
    """What became of B tasks in a rollout of one agent, float32 [B] each.

    Attributes:
        mean: Mean return of the episodes that ended; the return so far if none did.
        best: The greatest one.
        success: Mean success of the episodes that ended; so far if none did.
    """

    mean: Array
    best: Array
    success: Array


@dataclass(frozen=True)
class PairedPPO(PPO):
    """PPO twice in one environment. Without a teacher it is PPO."""

    Hyperparameters: ClassVar[type] = PPOHyperparameters
    tells: ClassVar[frozenset[str]] = PPO.tells | {"antagonist_returns"}

    @classmethod
    def prepare(cls, values: Mapping[str, Any], horizon: int, upper_bounds: Mapping[str, float]) -> PPOHyperparameters:
        """Return the hyperparameters as `PPO.prepare` does; under a teacher, a rollout of both agents must fit into ``horizon``."""
        hp = super().prepare(values, horizon, upper_bounds)
        if hp.teacher is not None and AGENTS * hp.n_envs * hp.n_steps > horizon:
            raise UsageError(
                f"n_envs * n_steps: one rollout of two agents, {AGENTS} * {hp.n_envs} * {hp.n_steps} env steps, does not fit into a "
                f"training of {horizon}; make the budget's env_steps larger, or n_steps or n_envs smaller"
            )
        return hp

    def init(self, key: Array, hp: PPOHyperparameters, task: Task) -> Any:
        """Return two fresh agents."""
        if hp.teacher is None:
            return super().init(key, hp, task)
        keys = jax.random.split(key, 4)
        # of the agents' own states, only what they learn is kept: environments start anew in every rollout
        own, rival = (PPO.init(self, k, replace(hp, teacher=None), task) for k in keys[:AGENTS])
        return PairedState(
            progress=own.progress,
            key=keys[3],
            protagonist=Student(own.adam, own.moments),
            antagonist=Student(rival.adam, rival.moments),
            teacher=hp.teacher.init(keys[2]),
            diary=empty_diary(hp.teacher.features, levels_kept(hp.teacher)),
        )

    def train(self, state: Any, hp: PPOHyperparameters, task: Task, until: Array, horizon: Array) -> Any:
        """Train while another whole iteration of both fits into ``until`` env steps (int32) and nothing diverged."""
        if hp.teacher is None:
            return super().train(state, hp, task, until, horizon)
        size = AGENTS * hp.n_envs * hp.n_steps

        def go_on(now: PairedState) -> Array:
            return (now.progress.env_steps <= until - size) & ~now.progress.diverged

        return lax.while_loop(go_on, lambda now: self._both(now, hp, task, horizon), state)

    def evaluate(self, state: Any, hp: PPOHyperparameters, task: Task, key: Array, episodes: int) -> Evaluation:
        """Run ``episodes`` whole episodes of the protagonist."""
        return super().evaluate(state, hp, task, key, episodes)

    def acting(self, state: Any) -> Acting:
        """Return what the protagonist acts by; without a teacher, what the one agent does."""
        if not isinstance(state, PairedState):
            return super().acting(state)
        return Acting(state.protagonist.adam.parameters, state.protagonist.moments)

    def _agent(self, state: PairedState, student: Student, actors: Any = None) -> PPOState:
        return PPOState(state.progress, state.key, student.adam, student.moments, actors)

    def _both(self, state: PairedState, hp: PPOHyperparameters, task: Task, horizon: Array) -> PairedState:
        """Return the state after a rollout of both agents in the same tasks, and their updates."""
        assert hp.teacher is not None
        before = state.progress
        key = jax.random.fold_in(unrolled(state.key), before.env_steps)
        propose_key, *keys = jax.random.split(key, 1 + AGENTS)
        points, train = hp.teacher.propose(state.teacher, propose_key, hp.n_envs)
        slots = Slots(jax.vmap(hp.teacher.task, (None, 0))(task, points), points, train)
        part = part_done(before.env_steps, horizon)
        students = (state.protagonist, state.antagonist)
        turns = [self._turn(state, s, hp, slots, k, horizon) for s, k in zip(students, keys, strict=True)]
        (own, seen, batch, sums), (rival, rivals, _, _) = turns
        heard, better = _heard(seen), _heard(rivals)
        advantage = batch.samples.advantage.reshape(seen.reward.shape)
        episodes = {
            "returns": heard.mean,
            "successes": heard.success,
            "values": batch.samples.value.reshape(seen.reward.shape)[0],
            "mean_values": jnp.mean(batch.samples.value.reshape(seen.reward.shape), axis=0),
            "positive_value_losses": jnp.mean(jnp.maximum(advantage, 0.0), axis=0),
            "absolute_value_losses": jnp.mean(jnp.abs(advantage), axis=0),
            "antagonist_returns": better.best,
        }
        teacher = hp.teacher.update(state.teacher, points, episodes)
        updates = own.adam.updates - state.protagonist.adam.updates
        means = sums / jnp.maximum(updates, 1).astype(jnp.float32)
        finite = all_finite(own.adam, rival.adam, means, seen.reward, seen.observation, rivals.observation)
        rate = _rate(hp, before, horizon)
        progress = Progress(
            env_steps=before.env_steps + AGENTS * hp.n_envs * hp.n_steps,
            updates=before.updates + updates + rival.adam.updates - state.antagonist.adam.updates,
            diverged=~finite,
            train_return=jnp.where(finite, average_return(before.train_return, seen), before.train_return),
            metrics=dict(zip(hp.metrics, [*means, rate], strict=True)),
        )
        new = (own, rival, teacher, _noted(state.diary, hp.teacher, slots, seen, part))
        old = (state.protagonist, state.antagonist, state.teacher, state.diary)
        return PairedState(progress, state.key, *jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old))

    def _turn(
        self, state: PairedState, student: Student, hp: PPOHyperparameters, slots: Slots, key: Array, horizon: Array
    ) -> tuple[Student, Trajectory, Batch, Array]:
        """Return one agent after its rollout and updates, what happened, what it learned from, and the sums of its metrics."""
        reset_key, play_key, fit_key = jax.random.split(key, 3)
        keys = jax.random.split(reset_key, hp.n_envs)
        observation, states = batched_reset(self.environment, keys, slots.tasks, task_axis=0)
        actors = Actors(observation, states, jnp.zeros(hp.n_envs, jnp.float32))
        _, seen, batch = self.play(self._agent(state, student, actors), hp, slots.tasks, play_key, slots)
        done = part_done(state.progress.env_steps, horizon)
        batch = self.with_guide(batch, seen, hp, fit_key, done)
        adam, sums = self.fit(student.adam, batch, hp, _rate(hp, state.progress, horizon), fit_key, done)
        flat = seen.observation.reshape(-1, self._observation_size)
        return Student(adam, merge(student.moments, flat, batch.samples.weight)), seen, batch, sums


def _rate(hp: PPOHyperparameters, progress: Progress, horizon: Array) -> Array:
    fraction = 1.0 - progress.env_steps.astype(jnp.float32) / horizon.astype(jnp.float32)
    return hp.learning_rate * jnp.where(hp.anneal_learning_rate, jnp.maximum(fraction, 0.0), 1.0)


def _heard(seen: Trajectory) -> Heard:
    """Return what became of the tasks of a rollout."""
    assert seen.played is not None
    done = seen.terminated | seen.truncated
    success, count = _success(seen), jnp.sum(done, axis=0)

    def mean(values: Array) -> Array:
        total = jnp.sum(jnp.where(done, values, 0.0), axis=0)
        return jnp.where(count > 0, total / jnp.maximum(count, 1), values[-1])

    best = jnp.max(jnp.where(done, seen.episode_return, -jnp.inf), axis=0)
    return Heard(mean(seen.episode_return), jnp.where(count > 0, best, seen.episode_return[-1]), mean(success))


def _success(seen: Trajectory) -> Array:
    """Return the greatest success of each episode up to and with each step, float32 [T, B]."""
    assert seen.played is not None

    def step(before: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        success = jnp.maximum(before, row[0])
        return jnp.where(row[1], 0.0, success), success

    rows = (seen.played.success, seen.terminated | seen.truncated)
    return lax.scan(step, jnp.zeros_like(seen.reward[0]), rows)[1]


def _noted(diary: Diary, course: Course, slots: Slots, seen: Trajectory, part: Array) -> Diary:
    """Return the diary after a rollout; what is not learned from, neither agent learns from."""
    steps, count = seen.reward.shape
    features = jnp.broadcast_to(course.described(slots.points), (steps, count, course.features))
    train = jnp.broadcast_to(slots.train, (steps, count))
    done = seen.terminated | seen.truncated
    points = jnp.broadcast_to(slots.points, (steps, *slots.points.shape))
    rows = jax.tree.map(
        lambda x: x.reshape(-1, *x.shape[2:]), (features, seen.episode_return, _success(seen), done, train, points)
    )
    return written(stepped(diary, train.ravel(), part, AGENTS), Episodes(*rows), part)
