"""One chunk of jobs in the lanes of one program: its segments, its evaluations, its account, its stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from autorl.curricula.level_buffer import LevelBuffer
from autorl.engine.lanes import Agent, Job, Keep, Outcome, Segment, final_score, lane, segments, spread, stack
from autorl.engine.population import PopulationProgram, Tree
from autorl.errors import AutoRLError
from autorl.inner.acting import ActingLearner
from autorl.inner.course import steps_before
from autorl.inner.diary import Diary
from autorl.inner.evaluation import TaskSet
from autorl.inner.protocol import Evaluation
from autorl.inner.task_statistics import over_tasks
from autorl.keys import derive
from autorl.outer.protocol import Status

SEGMENT_SECONDS = 2.0
"""Target length of one call into the program: Ctrl-C and progress wait at most about this long. Changes no bit."""
CALLS_WORTH = 4
"""A call lasts at least so many times what it costs in itself, or most of the time would go there."""
FIRST_SHARE = 1 / 32
"""Part of a segment that the first call of a program trains, to learn its speed."""


class Saver:
    """Where a population in flight is kept between segments. This one keeps nothing."""

    def load(self, like: Tree) -> tuple[int, list[Outcome], Tree] | None:
        """Return (segments done, outcomes so far, host states) of the same work, if it was saved."""
        return None

    def save(
        self, segment: int, outcomes: Sequence[Outcome], states: Callable[[], Tree], *, force: bool = False
    ) -> None:
        """Keep this moment if enough time has passed since the last, or if ``force``."""


@dataclass
class Chunk:
    """As many jobs as a program has lanes, or fewer.

    Learners count the agent's own env steps. Here, and everywhere beyond, those that a teacher took before the training (`steps_before`)
    are counted with them: a job ends where both together reach its budget.

    Attributes:
        program: Compiled for the jobs' static signature.
        jobs: What to train.
        hps: Hyperparameters of every stage of every job.
        tasks: Task of every job.
        horizons: Env steps of a whole training, of every job.
        check: Called between calls into the program; raises to stop.
        exams: What every job is evaluated on; by default its task.
        statistic: What an evaluation on several tasks comes to, of `autorl.inner.task_statistics.STATISTICS`.
        measure: Of what in each of them: "return" or "success".
    """

    program: PopulationProgram
    jobs: Sequence[Job]
    hps: Sequence[Sequence[Any]]
    tasks: Sequence[Tree]
    horizons: Sequence[int]
    check: Callable[[], None]
    exams: Sequence[Tree] = ()
    statistic: str = "mean"
    measure: str = "return"

    def __post_init__(self) -> None:
        lanes = self.program.lanes
        self.where = spread(len(self.jobs), lanes, len(self.program.devices))
        self.plans: list[tuple[Segment, ...]] = [segments(job) for job in self.jobs]
        self._tasks = stack(self.tasks, self.where, lanes)
        self._exams = stack(self.exams, self.where, lanes) if self.exams else self._tasks
        self._before = np.array([steps_before(getattr(hp[0], "teacher", None)) for hp in self.hps], np.int64)
        own = np.maximum(np.asarray(self.horizons, np.int64) - self._before, 1)
        self._horizon = self._lanes(own, np.int32, 1)
        self._marked = time.perf_counter()
        self._compiled = self.program.compile_seconds

    def train(self, saver: Saver, stepped: Callable[[int], None], keep: Keep) -> list[Outcome]:
        """Train every segment that is not done yet; return the outcomes, with what is to be kept."""
        states, outcomes, first = self.start(saver)
        if first == 0:
            stepped(int(sum(n for n, job in zip(self._before, self.jobs, strict=True) if job.parent_state is None)))
        for index in range(first, max(len(plan) for plan in self.plans)):
            states = self.advance(states, index, stepped, saver, outcomes)
            self.evaluate(states, index, outcomes)
            self._save(saver, index + 1, outcomes, states)
        self.finish(states, outcomes, keep)
        self._clock(outcomes)
        return outcomes

    def _save(
        self, saver: Saver, segment: int, outcomes: Sequence[Outcome], states: Tree, *, force: bool = False
    ) -> None:
        self._clock(outcomes)

        def held() -> list[Tree]:
            host = self.program.to_host(states)
            return [lane(host, int(w)) for w in self.where]

        saver.save(segment, outcomes, held, force=force)

    def _clock(self, outcomes: Sequence[Outcome]) -> None:
        """Put the seconds since the last call on the jobs' accounts, so that a stop loses none of them."""
        now, compiled = time.perf_counter(), self.program.compile_seconds
        for outcome in outcomes:
            outcome.wall_seconds += (now - self._marked) / len(outcomes)
            outcome.compile_seconds += (compiled - self._compiled) / len(outcomes)
        self._marked, self._compiled = now, compiled

    def _lanes(self, values: Sequence[Any] | np.ndarray, dtype: Any, empty: Any = 0) -> np.ndarray:
        array = np.full(self.program.lanes, empty, dtype)
        array[self.where] = values
        return array

    def _segment(self, job: int, index: int) -> Segment:
        return self.plans[job][min(index, len(self.plans[job]) - 1)]

    def _hp(self, index: int) -> Tree:
        chosen = [hp[self._segment(i, index).stage] for i, hp in enumerate(self.hps)]
        return stack(chosen, self.where, self.program.lanes)

    def start(self, saver: Saver) -> tuple[Tree, list[Outcome], int]:
        """Return (states, outcomes, first segment): saved ones, the parents', or fresh."""
        hp = self._hp(0)
        like = jax.eval_shape(self.program.learner.init, jax.random.key(0), self.hps[0][0], self.tasks[0])
        saved = saver.load(like)
        if saved is not None:
            segment, outcomes, held = saved
            return self._spread(held, hp), outcomes, segment
        states = self.program.init(self._lanes([job.seed for job in self.jobs], np.uint32), hp, self._tasks)
        if any(job.parent_state is not None for job in self.jobs):
            host = self.program.to_host(states)
            fresh = [
                lane(host, int(w)) if job.parent_state is None else job.parent_state
                for job, w in zip(self.jobs, self.where, strict=True)
            ]
            states = self._spread(fresh, hp)
        # counted from where the parent stopped, so that shared work is on the ledger once
        new = np.array([job.parent_state is None for job in self.jobs])
        steps, updates = np.where(new, 0, self._steps(states)), self._progress(states, "updates")
        outcomes = [Outcome(train_env_steps=-int(s), updates=-int(u)) for s, u in zip(steps, updates, strict=True)]
        return states, outcomes, 0

    def advance(
        self, states: Tree, index: int, stepped: Callable[[int], None], saver: Saver, outcomes: list[Outcome]
    ) -> Tree:
        """Train one segment, in calls short enough for Ctrl-C and progress."""
        target = np.array([self._segment(i, index).until for i in range(len(self.jobs))], np.int64)
        before = self._steps(states)
        hp, work = self._hp(index), int(np.maximum(target - before, 0).sum())
        states, done = self._with_call_measured(states, hp), 0.0
        while done < 1.0:
            self._stop_cleanly(saver, index, outcomes, states)
            done = min(1.0, done + self._share(work))
            began, seen = time.perf_counter(), self._steps(states)
            compiled = self.program.compile_seconds
            reach = target if done == 1.0 else before + (np.maximum(target - before, 0) * done).astype(np.int64)
            states = self.program.train(states, hp, self._tasks, self._until(reach), self._horizon)
            trained = int((self._steps(states) - seen).sum())
            seconds = time.perf_counter() - began - (self.program.compile_seconds - compiled)
            if trained:
                # what a call costs varies: never more than most of a call is taken off
                self.program.speed = trained / max(seconds - self._call_seconds, seconds / 10, 1e-6)
            stepped(trained)
        self._stop_cleanly(saver, index, outcomes, states)
        return states

    def _share(self, work: int) -> float:
        """Return the part of a segment to train in the next call: all of it, if that is quick; little, if nothing is known."""
        if not work:
            return 1.0
        if not self.program.speed:
            return FIRST_SHARE
        return min(1.0, self.program.speed * max(SEGMENT_SECONDS, CALLS_WORTH * self._call_seconds) / work)

    @property
    def _call_seconds(self) -> float:
        return self.program.call_seconds or 0.0

    def _with_call_measured(self, states: Tree, hp: Tree) -> Tree:
        """Return ``states`` as they are; once for a program, a call that trains nothing is timed.

        Without it, a dear call would make training look slow, so the next call be shorter and training look slower still.
        """
        if self.program.call_seconds is None:
            reached = self._until(self._steps(states))
            began, compiled = time.perf_counter(), self.program.compile_seconds
            states = self.program.train(states, hp, self._tasks, reached, self._horizon)
            self._steps(states)  # waits for it
            seconds = time.perf_counter() - began - (self.program.compile_seconds - compiled)
            self.program.call_seconds = max(seconds, 0.0)
        return states

    def _spread(self, held: Sequence[Tree], hp: Tree) -> Tree:
        """Return one host state a job as the program's states; empty lanes repeat the first."""
        return self.program.from_host(stack(held, self.where, self.program.lanes), hp, self._tasks)

    def _stop_cleanly(self, saver: Saver, index: int, outcomes: list[Outcome], states: Tree) -> None:
        try:
            self.check()
        except AutoRLError:
            self._save(saver, index, outcomes, states, force=True)
            raise

    def evaluate(self, states: Tree, index: int, outcomes: list[Outcome]) -> None:
        """Evaluate the lanes whose segment ends in an evaluation; append to their curves."""
        due = [index < len(plan) and plan[index].evaluate for plan in self.plans]
        active = np.array(due) & ~self._progress(states, "diverged")
        if not active.any():
            return
        seeds = [
            derive(job.seed, "evaluation", self._segment(i, index).until) % 2**32 for i, job in enumerate(self.jobs)
        ]
        result = self.program.evaluate(
            states, self._hp(index), self._exams, self._lanes(seeds, np.uint32), self._lanes(active, np.bool_, False)
        )
        returns = np.asarray(result.returns)[self.where].mean(axis=1, dtype=np.float64)
        used, steps = np.asarray(result.env_steps)[self.where], self._steps(states)
        if self.exams and isinstance(self.exams[0], TaskSet):
            self._note_tasks(result, np.flatnonzero(active), outcomes)
        for i in np.flatnonzero(active):
            value, told = float(returns[i]), outcomes[i]
            if self.measure == "success":
                value = over_tasks(self.statistic, told.successes, told.success_halves)
            elif self.statistic != "mean":
                value = over_tasks(self.statistic, told.tasks, told.task_halves)
            outcomes[i].env_steps += (int(steps[i]),)
            outcomes[i].returns += (value if np.isfinite(value) else None,)
            outcomes[i].evaluation_env_steps += int(used[i])

    def _note_tasks(self, result: Evaluation, active: np.ndarray, outcomes: list[Outcome]) -> None:
        """Keep the mean return and success of each held-out task: episode i plays the i-th, modulo their number."""
        count = len(jax.tree.leaves(self.exams[0])[0])

        for i in active:
            lane = self.where[i]
            outcomes[i].tasks, outcomes[i].task_halves = by_task(np.asarray(result.returns)[lane], count)
            if result.successes is not None:
                found = by_task(np.asarray(result.successes)[lane], count)
                outcomes[i].successes, outcomes[i].success_halves = found

    def finish(self, states: Tree, outcomes: list[Outcome], keep: Keep) -> None:
        """Give every job its status and score."""
        diverged = self._progress(states, "diverged")
        steps, updates = self._steps(states), self._progress(states, "updates")
        host = self.program.to_host(states) if keep.states else None
        agents = self._agents(states) if keep.agents else None
        told, shelf = _found(states, Diary), _found(states, LevelBuffer)
        for i, outcome in enumerate(outcomes):
            outcome.train_env_steps += int(steps[i])
            outcome.updates += int(updates[i])
            final = final_score(outcome.returns, self.jobs[i].averaged)
            if diverged[i] or final is None:
                outcome.status, outcome.message = (
                    Status.DIVERGED,
                    f"non-finite loss, parameter or return by env step {steps[i]}",
                )
            elif 0 < self._before[i] >= self.jobs[i].plan[-1].until:
                outcome.status = Status.INVALID
                outcome.message = (
                    f"this part of the training ends after {self.jobs[i].plan[-1].until} env steps, and its teacher took "
                    f"{self._before[i]} before the agent's first, so that nothing was trained; let the first cut, hurdle or interval "
                    "be later, raise budget.env_steps, or lower what the teacher takes before the training"
                )
            elif steps[i] <= self._before[i] and not self.jobs[i].goes_on:
                outcome.status = Status.INVALID
                outcome.message = (
                    f"one iteration takes more env steps than the {self.jobs[i].plan[-1].until - self._before[i]} granted; "
                    "lower n_envs or n_steps, or raise budget.env_steps"
                )
            else:
                outcome.status, outcome.score = Status.COMPLETED, final
            outcome.teacher_env_steps = int(self._before[i])
            outcome.diary = None if told is None else lane(told, int(self.where[i]))
            outcome.features = getattr(getattr(self.hps[i][0], "teacher", None), "described_as", None)
            outcome.shelf = None if shelf is None else lane(shelf, int(self.where[i]))
            if agents is not None and outcome.status is Status.COMPLETED:
                outcome.agent = agents[i]
            if host is not None:
                outcome.state = lane(host, int(self.where[i]))

    def _agents(self, states: Tree) -> list[Agent] | None:
        """Return what each job's agent acts by; None if the learner does not say so."""
        learner = self.program.learner
        if not isinstance(learner, ActingLearner):
            return None
        parts = jax.tree.map(np.asarray, learner.acting(states))
        last = [hp[-1] for hp in self.hps]
        values = [{name: _plain(getattr(hp, name)) for name in learner.acts_by} for hp in last]
        return [Agent(lane(parts, int(w)), own) for w, own in zip(self.where, values, strict=True)]

    def _steps(self, states: Tree) -> np.ndarray:
        """Return the env steps of each job so far, the teacher's before it included, int64 [jobs]."""
        return self._progress(states, "env_steps").astype(np.int64) + self._before

    def _until(self, reach: np.ndarray) -> np.ndarray:
        """Return until where each lane trains so that its job gets to ``reach`` [jobs], int32 [lanes]."""
        return self._lanes(np.maximum(reach - self._before, 0), np.int32)

    def _progress(self, states: Tree, name: str) -> np.ndarray:
        return np.asarray(getattr(states.progress, name))[self.where]


def _plain(value: Any) -> Any:
    """Return a scalar of a hyperparameter as plain data."""
    return value if isinstance(value, str) else np.asarray(value).item()


def by_task(values: np.ndarray, count: int) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Return the means of ``values`` [episodes] in each of ``count`` tasks: over all attempts, and over each half of them if there are two.

    Episode i is an attempt at task i modulo ``count``. Of an odd number of attempts the first half is the smaller one.
    """
    attempts = values.astype(np.float64).reshape(-1, count)
    halves = np.split(attempts, [len(attempts) // 2]) if len(attempts) > 1 else []
    return _means(attempts), tuple(map(_means, halves))


def _means(attempts: np.ndarray) -> tuple[float, ...]:
    """Return the mean of each column of ``attempts`` [A, N]."""
    return tuple(float(x) for x in attempts.mean(axis=0))


def _found(states: Tree, kind: type) -> Any:
    """Return the part of the trained states that is of ``kind``, as host arrays; None if there is none."""
    parts = jax.tree.leaves(states, is_leaf=lambda x: isinstance(x, kind))
    part = next((x for x in parts if isinstance(x, kind)), None)
    return None if part is None else jax.tree.map(np.asarray, part)
