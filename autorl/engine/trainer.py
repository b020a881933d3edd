"""Training any number of jobs: static groups, one program for each, segment after segment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from autorl.engine.lanes import Job, Outcome, Segment, lane, segments, spread, stack, static_groups
from autorl.engine.population import PopulationProgram, Tree, Vectorise, lanes_for
from autorl.errors import AutoRLError
from autorl.keys import derive
from autorl.outer.protocol import Status

SEGMENT_SECONDS = 2.0
"""Target length of one call into the program: Ctrl-C and progress wait at most about this long. Changes no bit."""
LANES_ON_CPU = 32
MEMORY_SHARE = 0.25
"""Part of the machine's memory that the states of one population may take."""


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
class Trainer:
    """Trains jobs of one study.

    Attributes:
        learners: One learner for each environment of the study.
        tasks: One task (host arrays) for each environment.
        horizon: Env steps of a whole training.
        episodes: Episodes of an evaluation.
        upper_bounds: Largest values the space can propose, for allocations shared by all candidates.
        devices: As `autorl.engine.devices.start` returns them.
        check: Called between segments; raises to stop.
        programs: Every program compiled so far, by environment and static signature.
    """

    learners: Sequence[Any]
    tasks: Sequence[Tree]
    horizon: int
    episodes: int
    upper_bounds: Mapping[str, float]
    devices: Sequence[Any]
    check: Callable[[], None] = lambda: None
    vectorise: Vectorise | None = None
    programs: dict[Any, PopulationProgram] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.vectorise is None:
            self.vectorise = "map" if self.devices[0].platform == "cpu" else "vmap"

    @property
    def compile_seconds(self) -> float:
        """Wall seconds spent compiling so far."""
        return sum(program.compile_seconds for program in self.programs.values())

    def trace_counts(self) -> list[dict[str, int]]:
        """Return how often each function of each program was traced: once, whatever the number of generations."""
        return [dict(program.traces) for program in self.programs.values()]

    def hyperparameters(self, environment: int, values: Mapping[str, Any]) -> Any:
        """Return the learner's hyperparameters for plain ``values``."""
        return type(self.learners[environment]).prepare(values, self.horizon, self.upper_bounds)

    def state_like(self, environment: int, values: Mapping[str, Any]) -> Tree:
        """Return the shapes of one trained state (no lane axis)."""
        learner, hp = self.learners[environment], self.hyperparameters(environment, values)
        return jax.eval_shape(learner.init, jax.random.key(0), hp, self.tasks[environment])

    def run(
        self,
        jobs: Sequence[Job],
        *,
        keep_states: bool = False,
        stepped: Callable[[int], None] = lambda n: None,
        done: Callable[[Sequence[int], Sequence[Outcome]], None] = lambda i, o: None,
        saver: Callable[[Sequence[Job]], Saver] = lambda jobs: Saver(),
    ) -> list[Outcome]:
        """Train every job and return its outcome.

        Args:
            jobs: What to train; order changes nothing but the order of the outcomes.
            keep_states: Whether outcomes carry the trained state (on the host), to continue from.
            stepped: Told the env steps trained since its last call.
            done: Told indices and outcomes whenever a chunk of jobs has finished.
            saver: Makes the keeper of one chunk in flight.
        """
        outcomes = [Outcome() for _ in jobs]
        plans: list[tuple[Any, ...] | None] = []
        for index, job in enumerate(jobs):
            try:
                plans.append(tuple(self.hyperparameters(job.environment, stage.candidate) for stage in job.plan))
            except AutoRLError as error:
                plans.append(None)
                outcomes[index] = Outcome(Status.INVALID, message=str(error))
        invalid = [i for i, plan in enumerate(plans) if plan is None]
        if invalid:
            done(invalid, [outcomes[i] for i in invalid])
        keys = [
            None if p is None else (j.environment, jax.tree.structure(p[0])) for j, p in zip(jobs, plans, strict=True)
        ]
        for group in static_groups(keys):
            if keys[group[0]] is None:
                continue
            for chunk in self._chunks(group, jobs, plans):
                population = [jobs[i] for i in chunk]
                hps = [plans[i] for i in chunk]
                results = self._guarded(population, hps, keep_states, stepped, saver(population))
                for index, outcome in zip(chunk, results, strict=True):
                    outcomes[index] = outcome
                done(chunk, results)
        return outcomes

    def _chunks(self, group: list[int], jobs: Sequence[Job], plans: Sequence[Any]) -> list[list[int]]:
        width = self._program(jobs[group[0]].environment, plans[group[0]][0], len(group)).lanes
        return [group[i : i + width] for i in range(0, len(group), width)]

    def _program(self, environment: int, hp: Any, need: int) -> PopulationProgram:
        """Return the program of this signature; on a CPU one width serves all, since empty lanes cost no time there."""
        signature = (environment, jax.tree.structure(hp))
        fixed = LANES_ON_CPU if self.vectorise == "map" else lanes_for(need, len(self.devices))
        key = signature if self.vectorise == "map" else (*signature, fixed)
        if key not in self.programs:
            learner = self.learners[environment]
            lanes = max(
                2 * len(self.devices),
                min(lanes_for(fixed, len(self.devices)), _lanes_in_memory(learner, hp, self.tasks[environment])),
            )
            assert self.vectorise is not None
            self.programs[key] = PopulationProgram(learner, lanes, self.devices, self.episodes, self.vectorise)
        return self.programs[key]

    def _guarded(
        self, jobs: Sequence[Job], hps: Sequence[Any], keep: bool, stepped: Callable[[int], None], saver: Saver
    ) -> list[Outcome]:
        """Train one population; a failure of the program itself is a result of its members, not the end of the study."""
        try:
            return self._train(jobs, hps, keep, stepped, saver)
        except AutoRLError:
            raise
        except Exception as error:  # whatever a user's environment or XLA may raise
            memory = "RESOURCE_EXHAUSTED" in str(error) or isinstance(error, MemoryError)
            if memory and len(jobs) > 1:
                half = len(jobs) // 2
                return [
                    *self._guarded(jobs[:half], hps[:half], keep, stepped, Saver()),
                    *self._guarded(jobs[half:], hps[half:], keep, stepped, Saver()),
                ]
            status = Status.OUT_OF_MEMORY if memory else Status.CRASHED
            message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            return [Outcome(status, message=message) for _ in jobs]

    def _train(
        self, jobs: Sequence[Job], hps: Sequence[Any], keep: bool, stepped: Callable[[int], None], saver: Saver
    ) -> list[Outcome]:
        started = time.perf_counter()
        program = self._program(jobs[0].environment, hps[0][0], len(jobs))
        compiled_before = program.compile_seconds
        population = _Population(self, program, jobs, hps)
        states, outcomes, first = population.start(saver)
        for index in range(first, population.segments):
            states = population.advance(states, index, stepped, saver, outcomes)
            population.evaluate(states, index, outcomes)
            saver.save(index + 1, outcomes, lambda held=states: program.to_host(held))  # type: ignore[misc]
        population.finish(states, outcomes, keep)
        compiling = program.compile_seconds - compiled_before
        for outcome in outcomes:
            outcome.compile_seconds += compiling / len(outcomes)
            outcome.wall_seconds += (time.perf_counter() - started) / len(outcomes)
        return outcomes


class _Population:
    """One chunk of jobs in the lanes of one program."""

    def __init__(self, trainer: Trainer, program: PopulationProgram, jobs: Sequence[Job], hps: Sequence[Any]) -> None:
        self.trainer, self.program, self.jobs, self.hps = trainer, program, jobs, hps
        self.where = spread(len(jobs), program.lanes, len(program.devices))
        self.plans: list[tuple[Segment, ...]] = [segments(job) for job in jobs]
        self.segments = max(len(plan) for plan in self.plans)
        self.tasks = stack([trainer.tasks[job.environment] for job in jobs], self.where, program.lanes)
        self.horizon = np.full(program.lanes, trainer.horizon, np.int32)
        self._speed = 0.0

    def _lanes(self, values: Sequence[Any], dtype: Any, empty: Any = 0) -> np.ndarray:
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
        seeds = self._lanes([job.seed for job in self.jobs], np.uint32)
        hp = self._hp(0)
        like = jax.eval_shape(jax.vmap(self.program._init), seeds, hp, self.tasks)
        saved = saver.load(like)
        if saved is not None:
            segment, outcomes, host = saved
            return self.program.from_host(host, hp, self.tasks), outcomes, segment
        states = self.program.init(seeds, hp, self.tasks)
        if any(job.parent_state is not None for job in self.jobs):
            host = self.program.to_host(states)
            fresh = [
                lane(host, w) if job.parent_state is None else job.parent_state
                for job, w in zip(self.jobs, self.where, strict=True)
            ]
            states = self.program.from_host(stack(fresh, self.where, self.program.lanes), hp, self.tasks)
        steps, updates = self._progress(states, "env_steps"), self._progress(states, "updates")
        # counted from where the parent stopped, so that shared work is on the ledger once
        outcomes = [Outcome(train_env_steps=-int(s), updates=-int(u)) for s, u in zip(steps, updates, strict=True)]
        return states, outcomes, 0

    def advance(
        self, states: Tree, index: int, stepped: Callable[[int], None], saver: Saver, outcomes: list[Outcome]
    ) -> Tree:
        """Train one segment, in calls short enough for Ctrl-C and progress."""
        target = np.array([self._segment(i, index).until for i in range(len(self.jobs))], np.int64)
        before = self._progress(states, "env_steps").astype(np.int64)
        hp, work = self._hp(index), int(np.maximum(target - before, 0).sum())
        calls = max(1, int(np.ceil(work / self._speed / SEGMENT_SECONDS))) if self._speed else 1
        for call in range(1, calls + 1):
            self._stop_cleanly(saver, index, outcomes, states)
            began, seen = time.perf_counter(), self._progress(states, "env_steps").astype(np.int64)
            compiled = self.program.compile_seconds
            until = self._lanes(before + np.maximum(target - before, 0) * call // calls, np.int32)
            states = self.program.train(states, hp, self.tasks, until, self.horizon)
            trained = int((self._progress(states, "env_steps") - seen).sum())
            seconds = time.perf_counter() - began - (self.program.compile_seconds - compiled)
            if trained:
                self._speed = trained / max(seconds, 1e-6)
            stepped(trained)
        self._stop_cleanly(saver, index, outcomes, states)
        return states

    def _stop_cleanly(self, saver: Saver, index: int, outcomes: list[Outcome], states: Tree) -> None:
        try:
            self.trainer.check()
        except AutoRLError:
            saver.save(index, outcomes, lambda: self.program.to_host(states), force=True)
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
            states, self._hp(index), self.tasks, self._lanes(seeds, np.uint32), self._lanes(active, np.bool_, False)
        )
        returns = np.asarray(result.returns)[self.where].mean(axis=1, dtype=np.float64)
        used, steps = np.asarray(result.env_steps)[self.where], self._progress(states, "env_steps")
        for i in np.flatnonzero(active):
            value = float(returns[i])
            outcomes[i].env_steps += (int(steps[i]),)
            outcomes[i].returns += (value if np.isfinite(value) else None,)
            outcomes[i].evaluation_env_steps += int(used[i])

    def finish(self, states: Tree, outcomes: list[Outcome], keep: bool) -> None:
        """Give every job its status and score."""
        diverged = self._progress(states, "diverged")
        steps, updates = self._progress(states, "env_steps"), self._progress(states, "updates")
        host = self.program.to_host(states) if keep else None
        for i, outcome in enumerate(outcomes):
            outcome.train_env_steps += int(steps[i])
            outcome.updates += int(updates[i])
            final = outcome.returns[-1] if outcome.returns else None
            if diverged[i] or final is None:
                outcome.status, outcome.message = (
                    Status.DIVERGED,
                    f"non-finite loss, parameter or return by env step {steps[i]}",
                )
            elif steps[i] == 0:
                outcome.status = Status.INVALID
                outcome.message = (
                    f"one iteration takes more env steps than the {self.jobs[i].plan[-1].until} granted; "
                    "lower n_envs or n_steps, or raise budget.env_steps"
                )
            else:
                outcome.status, outcome.score = Status.COMPLETED, final
            if host is not None:
                outcome.state = lane(host, int(self.where[i]))

    def _progress(self, states: Tree, name: str) -> np.ndarray:
        return np.asarray(getattr(states.progress, name))[self.where]


def _lanes_in_memory(learner: Any, hp: Any, task: Tree) -> int:
    """Return the power of two of lanes whose states fit into their share of the machine's memory."""
    shapes = jax.eval_shape(learner.init, jax.random.key(0), hp, task)
    size = sum(int(np.prod(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(shapes))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 * 2**30
    return 1 << max(0, int(MEMORY_SHARE * memory / max(size, 1)).bit_length() - 1)
