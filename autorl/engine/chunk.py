"""Jobs in the lanes of one program: their segments, their evaluations, their account, their stops.

There may be more jobs than lanes. Between segments, a lane whose job has diverged or has ended is given to the next one, so that no lane
stands empty while a job waits and others train on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from autorl.curricula.level_buffer import LevelBuffer
from autorl.engine.endings import agents, by_task, conclude, part_of
from autorl.engine.lanes import Job, Keep, Outcome, Segment, lane, segments, spread, stack
from autorl.engine.population import PopulationProgram, Tree
from autorl.engine.saver import Held, Saver
from autorl.errors import AutoRLError
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


@dataclass
class Chunk:
    """Jobs of one program, as many at a time as it has lanes, until no lane is taken.

    Lanes are filled anew only while others train on: once all have ended, what still waits may be better off in another program.

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
        self.outcomes = [Outcome() for _ in self.jobs]
        self.waiting = deque(range(len(self.jobs)))
        self.seated: list[int] = []
        """Jobs that have a lane, and in the same order:"""
        self.where: np.ndarray = np.zeros(0, np.int64)
        self._plans = [segments(job) for job in self.jobs]
        self._behind = np.zeros(len(self.jobs), np.int64)
        self._held: dict[int, Held] = {}
        """What an earlier run left of jobs that have no lane yet."""
        self._resumed: frozenset[int] = frozenset()
        self._all_before = np.array([steps_before(getattr(hp[0], "teacher", None)) for hp in self.hps], np.int64)
        self._marked = time.perf_counter()
        self._compiled = self.program.compile_seconds

    def train(self, saver: Saver, stepped: Callable[[int], None], keep: Keep) -> Iterator[list[int]]:
        """Train jobs segment by segment; yield those that have ended (their places among `jobs`) as soon as they have."""
        states = self.start(saver, stepped)
        while self.seated:
            states = self.advance(states, stepped, saver)
            self.evaluate(states)
            self._behind[self.seated] += 1
            over = self._over(states)
            if over:
                self.finish(states, over, keep)
                self._clock()
                yield over
                self._marked = time.perf_counter()  # what is done with them is not training
                states = self._with_next(states, over, stepped)
            if self.seated:
                self._save(saver, states)

    def start(self, saver: Saver, stepped: Callable[[int], None]) -> Tree:
        """Return the states of the jobs that begin: what was saved of them, their parents' states, or fresh ones."""
        like = jax.eval_shape(self.program.learner.init, jax.random.key(0), self.hps[0][0], self.tasks[0])
        self._held = dict(saver.load(like))
        self._resumed = frozenset(self._held)
        self.waiting = deque([*self._held, *(i for i in self.waiting if i not in self._held)])
        for job, held in self._held.items():
            self._behind[job], self.outcomes[job] = held.segments, held.outcome
        begun = self.seat()
        self.program.prepare(self._hp(), self._tasks, self._exams, refilled=bool(self.waiting))
        states = self._begun(begun)
        self._account(states, begun, stepped)
        return states

    def _with_next(self, states: Tree, over: Sequence[int], stepped: Callable[[int], None]) -> Tree:
        """Return the states once the jobs ``over`` have left their lanes to the next, if others train on."""
        gone = set(over)
        stay = [k for k, job in enumerate(self.seated) if job not in gone]
        self.seated, self.where = [self.seated[k] for k in stay], self.where[stay]
        if not self.seated:
            return states
        begun = self.seat()
        if begun:
            made, new = self._begun(begun), np.zeros(self.program.lanes, np.bool_)
            new[self._lanes_of(begun)] = True
            states = self.program.replace(states, made, new)
            self._account(states, begun, stepped)
        return states

    def seat(self) -> list[int]:
        """Give the free lanes to the jobs that wait; return those that got one."""
        lanes = self.program.lanes
        begun = [self.waiting.popleft() for _ in range(min(len(self.waiting), lanes - len(self.seated)))]
        places = spread(len(begun), lanes, len(self.program.devices), self.where.tolist())
        self.seated, self.where = [*self.seated, *begun], np.concatenate([self.where, places])
        self._before = self._all_before[self.seated]
        self._tasks = stack([self.tasks[i] for i in self.seated], self.where, lanes)
        self._exams = stack([self.exams[i] for i in self.seated], self.where, lanes) if self.exams else self._tasks
        own = np.maximum(np.asarray(self.horizons, np.int64)[self.seated] - self._before, 1)
        self._horizon = self._lanes(own, np.int32, 1)
        return begun

    def _begun(self, begun: Sequence[int]) -> Tree:
        """Return states in which the lanes of the jobs ``begun`` hold where these begin; the other lanes hold anything."""
        hp = self._hp()
        states = self.program.init(self._lanes([self.jobs[i].seed for i in self.seated], np.uint32), hp, self._tasks)
        given = {i: self._held.pop(i).state for i in begun if i in self._held}
        given |= {i: state for i in begun if i not in given and (state := self.jobs[i].parent_state) is not None}
        if not given:
            return states
        host = self.program.to_host(states)
        mixed = [given[i] if i in given else lane(host, int(w)) for i, w in zip(self.seated, self.where, strict=True)]
        return self.program.from_host(stack(mixed, self.where, self.program.lanes), hp, self._tasks)

    def _account(self, states: Tree, begun: Sequence[int], stepped: Callable[[int], None]) -> None:
        """Open the accounts of the jobs ``begun``: from where the parent stopped, so that shared work is on the ledger once."""
        steps, updates, taught = self._steps(states), self._progress(states, "updates"), 0
        for k, i in enumerate(self.seated):
            if i not in begun or i in self._resumed:
                continue
            new = self.jobs[i].parent_state is None
            self.outcomes[i] = Outcome(train_env_steps=0 if new else -int(steps[k]), updates=-int(updates[k]))
            taught += int(self._all_before[i]) if new else 0
        stepped(taught)

    def _over(self, states: Tree) -> list[int]:
        """Return the jobs that have ended: diverged, or at the end of their plan."""
        diverged = self._progress(states, "diverged")
        return [i for k, i in enumerate(self.seated) if diverged[k] or self._behind[i] >= len(self._plans[i])]

    def _save(self, saver: Saver, states: Tree, *, force: bool = False) -> None:
        self._clock()

        def held() -> Mapping[int, Held]:
            host = self.program.to_host(states)
            now = {
                i: Held(int(self._behind[i]), self.outcomes[i], lane(host, int(w)))
                for i, w in zip(self.seated, self.where, strict=True)
            }
            return {**now, **self._held}

        saver.save(held, force=force)

    def _clock(self) -> None:
        """Put the seconds since the last call on the jobs' accounts, so that a stop loses none of them."""
        now, compiled = time.perf_counter(), self.program.compile_seconds
        for outcome in (self.outcomes[i] for i in self.seated):
            outcome.wall_seconds += (now - self._marked) / len(self.seated)
            outcome.compile_seconds += (compiled - self._compiled) / len(self.seated)
        self._marked, self._compiled = now, compiled

    def _lanes(self, values: Sequence[Any] | np.ndarray, dtype: Any, empty: Any = 0) -> np.ndarray:
        array = np.full(self.program.lanes, empty, dtype)
        array[self.where] = values
        return array

    def _lanes_of(self, jobs: Sequence[int]) -> np.ndarray:
        return self.where[[self.seated.index(i) for i in jobs]]

    def _segment(self, job: int) -> Segment:
        """Return the segment that a job is in."""
        return self._plans[job][min(int(self._behind[job]), len(self._plans[job]) - 1)]

    def _hp(self) -> Tree:
        chosen = [self.hps[i][self._segment(i).stage] for i in self.seated]
        return stack(chosen, self.where, self.program.lanes)

    def advance(self, states: Tree, stepped: Callable[[int], None], saver: Saver) -> Tree:
        """Train one segment of every job that has a lane, in calls short enough for Ctrl-C and progress."""
        target = np.array([self._segment(i).until for i in self.seated], np.int64)
        before = self._steps(states)
        hp, work = self._hp(), int(np.maximum(target - before, 0).sum())
        states, done = self._with_call_measured(states, hp), 0.0
        while done < 1.0:
            self._stop_cleanly(saver, states)
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
        self._stop_cleanly(saver, states)
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

    def _stop_cleanly(self, saver: Saver, states: Tree) -> None:
        try:
            self.check()
        except AutoRLError:
            self._save(saver, states, force=True)
            raise

    def evaluate(self, states: Tree) -> None:
        """Evaluate the jobs whose segment ends in an evaluation; append to their curves."""
        due = np.array([self._segment(i).evaluate for i in self.seated])
        active = due & ~self._progress(states, "diverged")
        if not active.any():
            return
        seeds = [derive(self.jobs[i].seed, "evaluation", self._segment(i).until) % 2**32 for i in self.seated]
        result = self.program.evaluate(
            states, self._hp(), self._exams, self._lanes(seeds, np.uint32), self._lanes(active, np.bool_, False)
        )
        returns = np.asarray(result.returns)[self.where].mean(axis=1, dtype=np.float64)
        used, steps = np.asarray(result.env_steps)[self.where], self._steps(states)
        if self.exams and isinstance(self.exams[0], TaskSet):
            self._note_tasks(result, np.flatnonzero(active))
        for k in np.flatnonzero(active):
            value, told = float(returns[k]), self.outcomes[self.seated[k]]
            if self.measure == "success":
                value = over_tasks(self.statistic, told.successes, told.success_halves)
            elif self.statistic != "mean":
                value = over_tasks(self.statistic, told.tasks, told.task_halves)
            told.env_steps += (int(steps[k]),)
            told.returns += (value if np.isfinite(value) else None,)
            told.evaluation_env_steps += int(used[k])

    def _note_tasks(self, result: Evaluation, active: np.ndarray) -> None:
        """Keep the mean return and success of each held-out task: episode i plays the i-th, modulo their number."""
        count = len(jax.tree.leaves(self.exams[0])[0])
        for k in active:
            place, outcome = self.where[k], self.outcomes[self.seated[k]]
            outcome.tasks, outcome.task_halves = by_task(np.asarray(result.returns)[place], count)
            if result.successes is not None:
                found = by_task(np.asarray(result.successes)[place], count)
                outcome.successes, outcome.success_halves = found

    def finish(self, states: Tree, over: Sequence[int], keep: Keep) -> None:
        """Give the jobs ``over`` their status and score, and what of them is to be kept."""
        places = [self.seated.index(i) for i in over]
        lanes = [int(self.where[k]) for k in places]
        diverged, steps = self._progress(states, "diverged"), self._steps(states)
        updates = self._progress(states, "updates")
        host = self.program.to_host(states) if keep.states else None
        last = [self.hps[i][-1] for i in over]
        acting = agents(self.program.learner, states, lanes, last) if keep.agents else None
        told, shelf = part_of(states, Diary), part_of(states, LevelBuffer)
        for n, (i, k, w) in enumerate(zip(over, places, lanes, strict=True)):
            outcome, before = self.outcomes[i], int(self._all_before[i])
            outcome.train_env_steps += int(steps[k])
            outcome.updates += int(updates[k])
            conclude(outcome, self.jobs[i], steps=int(steps[k]), before=before, diverged=bool(diverged[k]))
            outcome.teacher_env_steps = before
            outcome.diary = None if told is None else lane(told, w)
            outcome.features = getattr(getattr(self.hps[i][0], "teacher", None), "described_as", None)
            outcome.shelf = None if shelf is None else lane(shelf, w)
            if acting is not None and outcome.status is Status.COMPLETED:
                outcome.agent = acting[n]
            if host is not None:
                outcome.state = lane(host, w)

    def _steps(self, states: Tree) -> np.ndarray:
        """Return the env steps so far of each job that has a lane, the teacher's before it included, int64 [seated]."""
        return self._progress(states, "env_steps").astype(np.int64) + self._before

    def _until(self, reach: np.ndarray) -> np.ndarray:
        """Return until where each lane trains so that its job gets to ``reach`` [seated], int32 [lanes]."""
        return self._lanes(np.maximum(reach - self._before, 0), np.int32)

    def _progress(self, states: Tree, name: str) -> np.ndarray:
        return np.asarray(getattr(states.progress, name))[self.where]
