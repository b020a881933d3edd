"""Training any number of jobs: static groups, one program for each, segment after segment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from autorl.curricula.courses import agent_steps
from autorl.engine.chunk import Chunk
from autorl.engine.lanes import Job, Keep, Outcome, static_groups
from autorl.engine.lessons import CourseMaker
from autorl.engine.objectives import Objectives
from autorl.engine.population import PopulationProgram, Tree, Vectorise, lanes_for
from autorl.engine.saver import Saver
from autorl.errors import AutoRLError
from autorl.inner.distillation import Distilled
from autorl.inner.protocol import static_values
from autorl.outer.protocol import Status
from autorl.spaces.plain_values import DISTILL_FROM, NOBODY, TEACHER
from autorl.studies.guide_references import distilled
from autorl.studies.trial import Json

LANES_ON_CPU = 32
HEAVY_STATE = 1 << 24
"""Bytes. Every call copies the states of all lanes, empty ones too: of larger states (those with a large replay) no more lanes are made
than are needed."""
MEMORY_SHARE = 0.25
"""Part of the machine's memory that the states of one population may take."""


Ended = tuple[list[int], list[Outcome]]
"""Places of jobs and what became of them."""


@dataclass
class Trainer:
    """Trains jobs of one study.

    Attributes:
        learners: One learner for each environment of the study.
        tasks: One task (host arrays) for each environment.
        horizons: Env steps of a whole training in each environment.
        episodes: Episodes of an evaluation.
        upper_bounds: Largest values the space can propose, for allocations shared by all candidates.
        devices: As `autorl.engine.devices.start` returns them.
        check: Called between segments; raises to stop.
        objectives: Makes what the learners minimise of the loss graphs in the jobs' plans.
        exams: What agents are evaluated on in each environment, a task or a `TaskSet`; by default the tasks.
        statistic: What an evaluation on several tasks comes to, of `autorl.inner.task_statistics.STATISTICS`.
        measure: Of what in each of them: "return" or "success".
        courses: Makes what the learners are taught by, one for each environment.
        programs: Every program compiled so far, by environment and static signature.
    """

    learners: Sequence[Any]
    tasks: Sequence[Tree]
    horizons: Sequence[int]
    episodes: int
    upper_bounds: Mapping[str, float]
    devices: Sequence[Any]
    check: Callable[[], None] = lambda: None
    objectives: Objectives = field(default_factory=Objectives)
    exams: Sequence[Tree] = ()
    statistic: str = "mean"
    measure: str = "return"
    courses: Sequence[CourseMaker] = ()
    vectorise: Vectorise | None = None
    programs: dict[Any, PopulationProgram] = field(default_factory=dict)
    _most_lanes: dict[Any, int] = field(default_factory=dict)
    _state_bytes: dict[Any, int] = field(default_factory=dict)
    _guides: dict[tuple[int, str], Distilled] = field(default_factory=dict)

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

    def compiled_programs(self) -> list[Json]:
        """Return what was compiled so far, as JSON: one entry for each program.

        Keys: ``environment`` (index), ``lanes``, ``static`` (hyperparameters by name), ``form`` (counts programs that differ in
        nothing else: in the structure of the objective), ``seconds``.
        """
        found: list[Json] = []
        for (environment, _, lanes), program in self.programs.items():
            entry: Json = {"environment": environment, "lanes": lanes, "static": dict(program.static)}
            alike = sum(entry.items() <= other.items() for other in found)
            if program.traces:  # one that did not fit into memory has none
                found.append({**entry, "form": alike, "seconds": program.compile_seconds})
        return found

    def hyperparameters(self, environment: int, values: Mapping[str, Any]) -> Any:
        """Return the learner's hyperparameters for plain ``values``; raise `UsageError` as it does, and as `agent_steps`."""
        horizon = self.horizons[environment]
        if TEACHER in values:
            course = self.courses[environment].course(values[TEACHER])
            values, horizon = {**values, TEACHER: course}, agent_steps(course, horizon)
        if isinstance(values.get(DISTILL_FROM), str) and values[DISTILL_FROM] != NOBODY:
            values = {**values, DISTILL_FROM: self._guide(environment, values[DISTILL_FROM])}
        return type(self.learners[environment]).prepare(values, horizon, self.upper_bounds)

    def _guide(self, environment: int, reference: str) -> Distilled:
        if (environment, reference) not in self._guides:  # one is read from a file
            self._guides[environment, reference] = distilled(reference, self.learners[environment].environment)
        return self._guides[environment, reference]

    def state_like(self, environment: int, values: Mapping[str, Any]) -> Tree:
        """Return the shapes of one trained state (no lane axis)."""
        (made,) = self.objectives.made([values], self.horizons[environment])
        learner, hp = self.learners[environment], self.hyperparameters(environment, made)
        return jax.eval_shape(learner.init, jax.random.key(0), hp, self.tasks[environment])

    def run(
        self,
        jobs: Sequence[Job],
        *,
        keep_states: bool = False,
        keep_agents: bool = False,
        stepped: Callable[[int], None] = lambda n: None,
        done: Callable[[Sequence[int], Sequence[Outcome]], None] = lambda i, o: None,
        saver: Callable[[Sequence[Job]], Saver] = lambda jobs: Saver(),
    ) -> list[Outcome]:
        """Train every job and return its outcome.

        Args:
            jobs: What to train; order changes nothing but the order of the outcomes.
            keep_states: Whether outcomes carry the trained state (on the host), to continue from.
            keep_agents: Whether they carry what the trained agent acts by.
            stepped: Told the env steps trained since its last call.
            done: Told indices and outcomes as soon as jobs have ended.
            saver: Makes the keeper of jobs in flight.
        """
        outcomes = [Outcome() for _ in jobs]
        plans: list[tuple[Any, ...] | None] = []
        for index, (job, stages) in enumerate(zip(jobs, self._stages(jobs), strict=True)):
            try:
                plans.append(tuple(self.hyperparameters(job.environment, values) for values in stages))
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
            own, hps = [jobs[i] for i in group], [plans[i] for i in group]
            for places, results in self._group(own, hps, Keep(keep_states, keep_agents), stepped, saver):
                ended = [group[place] for place in places]
                for index, outcome in zip(ended, results, strict=True):
                    outcomes[index] = outcome
                done(ended, results)
        return outcomes

    def _stages(self, jobs: Sequence[Job]) -> list[list[Mapping[str, Any]]]:
        """Return the values of every stage of every job, with objectives in the form that the learners run."""
        made: list[list[Mapping[str, Any]]] = [[] for _ in jobs]
        for environment, horizon in enumerate(self.horizons):
            own = [i for i, job in enumerate(jobs) if job.environment == environment]
            flat = self.objectives.made([stage.candidate for i in own for stage in jobs[i].plan], horizon)
            values = iter(flat)
            for i in own:
                made[i] = [next(values) for _ in jobs[i].plan]
        return made

    def _program(self, environment: int, hp: Any, need: int) -> PopulationProgram:
        """Return the program of this signature; on a CPU one width serves all, since empty lanes of small states cost no time there."""
        signature = (environment, jax.tree.structure(hp))
        if signature not in self._most_lanes:
            size = _size_of_state(self.learners[environment], hp, self.tasks[environment])
            self._state_bytes[signature] = size
            self._most_lanes[signature] = _lanes_in_memory(size, self.devices[0])
        wanted = lanes_for(need, len(self.devices))
        if self.vectorise == "map":
            most = lanes_for(LANES_ON_CPU, len(self.devices))
            wanted = min(wanted, most) if self._state_bytes[signature] > HEAVY_STATE else most
        lanes = min(wanted, self._most_lanes[signature])
        lanes = max(2 * len(self.devices), lanes)
        if (*signature, lanes) not in self.programs:
            assert self.vectorise is not None
            learner = self.learners[environment]
            static = static_values(hp)
            made = PopulationProgram(learner, lanes, self.devices, self.episodes, self.vectorise, static)
            self.programs[(*signature, lanes)] = made
        return self.programs[(*signature, lanes)]

    def _narrower(self, environment: int, hp: Any, lanes: int) -> bool:
        """Halve the lanes of a signature whose programs do not fit into memory; return whether that was possible."""
        signature = (environment, jax.tree.structure(hp))
        self.programs.pop((*signature, lanes), None)
        self._most_lanes[signature] = lanes // 2
        return lanes // 2 >= 2 * len(self.devices)

    def _group(
        self,
        jobs: Sequence[Job],
        hps: Sequence[Any],
        keep: Keep,
        stepped: Callable[[int], None],
        saver: Callable[[Sequence[Job]], Saver],
    ) -> Iterator[Ended]:
        """Train jobs of one static signature; yield places and outcomes of those that have ended.

        A failure of the program itself is a result of those that it trained then, not the end of the study.
        """
        waiting = list(range(len(jobs)))
        while waiting:
            own = [jobs[i] for i in waiting]
            chunk = self._chunk(own, [hps[i] for i in waiting])
            left = set(waiting)
            for over, outcomes in self._ended(chunk, saver(own), stepped, keep):
                places = [waiting[k] for k in over]
                left -= set(places)
                yield places, outcomes
            waiting = sorted(left)

    def _chunk(self, jobs: Sequence[Job], hps: Sequence[Any]) -> Chunk:
        program = self._program(jobs[0].environment, hps[0][0], len(jobs))
        tasks = [self.tasks[job.environment] if job.task is None else job.task for job in jobs]
        horizons = [self.horizons[job.environment] for job in jobs]
        exams = [self.exams[job.environment] for job in jobs] if self.exams else tasks
        return Chunk(program, jobs, hps, tasks, horizons, self.check, exams, self.statistic, self.measure)

    def _ended(self, chunk: Chunk, saver: Saver, stepped: Callable[[int], None], keep: Keep) -> Iterator[Ended]:
        """Train a chunk; yield places and outcomes of its jobs as they end, well or not."""
        rounds = chunk.train(saver, stepped, keep)
        while True:
            try:
                over = next(rounds, None)
            except AutoRLError:
                raise
            except Exception as error:  # whatever a user's environment or XLA may raise
                yield self._failed(chunk, error)
                return
            if over is None:
                return
            yield over, [chunk.outcomes[k] for k in over]

    def _failed(self, chunk: Chunk, error: Exception) -> Ended:
        """Return what becomes of the jobs that a program had in its lanes when it failed: none, if they are tried again in fewer lanes."""
        memory = "RESOURCE_EXHAUSTED" in str(error) or isinstance(error, MemoryError)
        if memory and self._narrower(chunk.jobs[0].environment, chunk.hps[0][0], chunk.program.lanes):
            return [], []
        status = Status.OUT_OF_MEMORY if memory else Status.CRASHED
        message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        over = list(chunk.seated) or list(range(len(chunk.jobs)))
        return over, [Outcome(status, message=message) for _ in over]


def _size_of_state(learner: Any, hp: Any, task: Tree) -> int:
    """Return the bytes of one training's state."""
    shapes = jax.eval_shape(learner.init, jax.random.key(0), hp, task)
    return sum(int(np.prod(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(shapes))


def _lanes_in_memory(size: int, device: Any) -> int:
    """Return the power of two of lanes whose states, of ``size`` bytes each, fit into their share of the memory they live in."""
    statistics = device.memory_stats() if device.platform != "cpu" else None
    memory = (statistics or {}).get("bytes_limit") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 1 << max(0, int(MEMORY_SHARE * memory / max(size, 1)).bit_length() - 1)
