"""Searching over curricula: an outer loop meta-trains a curriculum on some students of a classroom, and others are taught with it.

    python benchmarks/classroom.py [--json] [--trials 24] [--cells 10] [--episodes 10000] [--held-out 32] [--seed 0] [--record FILE]

The classroom is Meta-ACL's second one (`autorl/curricula/classroom_toy.py`), with 10 x 10 cells instead of 20 x 20 unless --cells says
otherwise: every student begins to learn in a cell of its own, at a cell's four neighbours from there. A perfect teacher who knew
the student would master all in 76 episodes a cell.

The students are drawn in three groups that share nobody: on the first 8 a search (TPE, by AutoRL's ask and tell) tries teachers and their
parameters, `SPACE`; the best 3 are tried again on the next 8, which decides; the held-out ones come last, once. There the winner stands
beside ALP-GMM with its published parameters (random tasks 10 %, as Meta-ACL ran it), the best ALP-GMM of the search, arms with default
parameters (so that what the search adds to the choice of the teacher is seen) and uniform tasks, all with the same episodes, students
and seeds. Two more arms search for each student alone (`benchmarks/_classroom_arms.py`). AGAIN lets ALP-GMM teach for a twentieth of the
episodes, tests the student and hands on the curriculum of one of the elders who are most alike. Rolling-horizon evolution plans on copies
of the student. Tests and copies are on their ledgers, but in "free copies", which is no fair rival.

Differences are paired by student: mean and 95 % interval (Student's t). The episodes that the search cost are printed: students to come
share them.

Neither of those two had its day here: with --held-out 24, students of rolling horizons that pay for their copies master 0.7 %, and those
of AGAIN, whose elders had mastered 14 % themselves, 7.5 % (11.7 % with an elder for each first cell); ALP-GMM alone has 14.1 %.

With --record, each group of lessons is a line of FILE, and what stands there is not run again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from autorl.engine.devices import start

DEVICES = start()

import jax  # noqa: E402  # after `start`, so that every core is a device
import jax.numpy as jnp  # noqa: E402
from _classroom_arms import CLASSROOM_SEED, FIT_RATE, Elders, Pupil, handed_on, planned, room  # noqa: E402
from jax import Array  # noqa: E402
from jax.sharding import Mesh, PartitionSpec  # noqa: E402

from autorl import api  # noqa: E402
from autorl.curricula import classroom_toy  # noqa: E402
from autorl.curricula.protocol import Feedback  # noqa: E402
from autorl.curricula.tasks import TaskSpace  # noqa: E402
from autorl.curricula.teachers import make_teacher  # noqa: E402
from autorl.inner.threefry import unrolled  # noqa: E402
from autorl.keys import derive  # noqa: E402

GROUP = 8
"""Students of the search, students who decide among the finalists, and students taught in one call of a program."""
FINALISTS = 3
SPACE = {
    "teacher": {"type": "categorical", "choices": ["alp_gmm", "arms", "schedule"]},
    "alp_gmm_random_ratio": {"type": "float", "low": 0.02, "high": 0.5, "when": {"teacher": "alp_gmm"}},
    "alp_gmm_fit_rate": {"type": "int", "low": 25, "high": 250, "when": {"teacher": "alp_gmm"}},
    "arms_enough": {"type": "int", "low": 1, "high": 8, "when": {"teacher": "arms"}},
    "arms_exploration": {"type": "float", "low": 0.005, "high": 0.5, "scale": "log", "when": {"teacher": "arms"}},
    "arms_uniform": {"type": "float", "low": 0.0, "high": 0.8, "when": {"teacher": "arms"}},
    "arms_again": {"type": "float", "low": 0.0, "high": 0.2, "when": {"teacher": "arms"}},
    "schedule_means": {"type": "float", "low": 0.0, "high": 1.0, "when": {"teacher": "schedule"}},
    "schedule_deviations": {"type": "float", "low": 0.05, "high": 1.0, "scale": "log", "when": {"teacher": "schedule"}},
    "schedule_uniform": {"type": "float", "low": 0.0, "high": 1.0, "when": {"teacher": "schedule"}},
}
PUBLISHED = {"teacher": "alp_gmm", "alp_gmm_random_ratio": 0.1, "alp_gmm_fit_rate": 250}
CONTROLS: dict[str, dict[str, Any]] = {
    "alp_gmm": PUBLISHED,
    "arms, default": {"teacher": "arms"},
    "uniform": {"teacher": "uniform"},
}


PRETRAIN = 0.05
"""Share of AGAIN's episodes before the student is tested: the published 10,000 of 200,000."""
PLANS: dict[str, list[Any]] = {"lesson": [25, 76], "population": [2, 4], "horizon": [1, 2], "generations": [1, 2]}
"""Settings of rolling-horizon evolution that are tried on those who are not held out; a lesson is so many episodes in one cell."""


class School:
    """Teaches groups of students, one program for each teacher."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.space = options, TaskSpace.unit(2)
        self.students = classroom_toy.first_cube_students(options.cells)
        self.programs: dict[str, Any] = {}
        self.lines = read(options.record)

    def teach(self, curriculum: dict[str, Any], numbers: list[int], seed: int) -> list[float]:
        """Return the per cent that each of the students ``numbers`` masters; a student's draws depend on its number and ``seed``."""
        key = {"curriculum": curriculum, "students": numbers, "seed": seed}
        key |= {"cells": self.options.cells, "episodes": self.options.episodes}
        for line in self.lines:
            if key.items() <= line.items():
                return list(line["scores"])
        worked, scores = time.process_time(), []
        for first in range(0, len(numbers), GROUP):
            group = numbers[first : first + GROUP]
            padded = np.resize(np.array(group, np.int32), GROUP)
            scores += [float(score) for score in self._play(curriculum, padded, seed)[: len(group)]]
        line = key | {"scores": scores, "cpu_seconds": time.process_time() - worked}
        self.lines.append(line)
        if self.options.record:
            with self.options.record.open("a") as file:
                file.write(json.dumps(line) + "\n")
        return scores

    def _play(self, curriculum: dict[str, Any], numbers: np.ndarray, seed: int) -> np.ndarray:
        name, episodes, cells = curriculum["teacher"], self.options.episodes, self.options.cells
        values = {key.removeprefix(f"{name}_"): value for key, value in curriculum.items() if key != "teacher"}
        if name == "rolling_horizon":
            pupils = [Pupil((n % cells, n // cells), np.zeros((cells, cells), int)) for n in numbers.tolist()]
            seeds = [derive(seed, "student", n) for n in numbers.tolist()]
            taught = [planned(one, values, episodes, own) for one, own in zip(pupils, seeds, strict=True)]
            return np.array([one.mastered for one in taught])
        values |= {"horizon": episodes} if name == "schedule" else {}
        if name == "again":
            elders = self.elders(tuple(values.pop("elders")), values["pretrain"])
            values |= room(episodes)
        lesson = Lesson(self, name, [values] * GROUP, numbers, seed)
        if name == "again":
            handed_on(lesson, elders, values, episodes)
        else:
            lesson.play(episodes)
        return lesson.mastered

    @cache  # noqa: B019  # one school a run
    def elders(self, numbers: tuple[int, ...], pretrain: int) -> Elders:
        """Return the students ``numbers`` as those who were taught by ALP-GMM before."""
        groups = [numbers[i : i + GROUP] for i in range(0, len(numbers), GROUP)]
        values = [{"random_ratio": 0.1, "fit_rate": FIT_RATE}] * GROUP
        lessons = [
            Lesson(self, "alp_gmm", values, np.resize(np.array(group), GROUP), CLASSROOM_SEED) for group in groups
        ]
        return Elders.of(lessons, [len(group) for group in groups], pretrain, self.options.episodes)


class Lesson:
    """A group of students with a teacher each, in one program; the parameters of the teachers may be changed between episodes.

    Attributes:
        params: Of each teacher, stacked.
        state: What the teachers know, competence int32 [g, cells, cells], tasks float32 [g, episodes, 2] and returns [g, episodes] so far.
    """

    def __init__(self, school: School, name: str, values: list[dict[str, Any]], numbers: np.ndarray, seed: int) -> None:
        self.school, self.teacher = school, make_teacher(name, school.space)
        self.numbers, self.episodes, self.name = np.asarray(numbers, np.int32), 0, name
        self.set(values)
        self.keys = jax.vmap(lambda number: jax.random.fold_in(jax.random.key(seed), number))(self.numbers)
        cells, length = school.options.cells, school.options.episodes
        self.state = jax.vmap(
            lambda params, key: (
                self.teacher.init(jax.random.fold_in(key, 0), params),
                classroom_toy.init(cells),
                jnp.zeros((length, 2)),
                jnp.zeros(length),
            )
        )(self.params, self.keys)

    def set(self, values: list[dict[str, Any]]) -> None:
        """Give each teacher its parameters."""
        made = [self.teacher.parameters(one) for one in values]
        self.params = jax.tree.map(lambda *leaves: np.stack(leaves), *made)

    def play(self, last: int) -> None:
        """Go on to episode ``last``."""
        bounds = np.full(GROUP, self.episodes, np.int32), np.full(GROUP, last, np.int32)
        arguments = (self.params, self.numbers, self.keys, self.state, *bounds)
        programs = self.school.programs
        if self.name not in programs:
            programs[self.name] = self._program().lower(*arguments).compile()
        self.state, self.episodes = programs[self.name](*arguments), last

    @property
    def mastered(self) -> np.ndarray:
        """The per cent that each student masters, float [g]."""
        return np.asarray(jax.vmap(classroom_toy.mastered)(self.state[1]))

    @property
    def skills(self) -> np.ndarray:
        """What each student can do in each cell of the task space, float [g, cells^2]."""
        student = jax.tree.map(lambda x: jnp.asarray(x)[self.numbers], self.school.students)
        return np.asarray(jax.vmap(classroom_toy.in_task_space)(student, self.state[1])).reshape(GROUP, -1)

    def _program(self) -> Any:
        teacher, students = self.teacher, self.school.students

        def lesson(params: Any, number: Array, key: Array, state: Any, first: Array, last: Array) -> Any:
            student = jax.tree.map(lambda x: jnp.asarray(x)[number], students)
            draws = unrolled(jax.random.fold_in(key, 1))  # the same draws from quicker code

            def episode(turn: Array, state: Any) -> Any:
                known, competence, tasks, returns = state
                task = teacher.propose(params, known, jax.random.fold_in(draws, turn), 1).tasks
                competence, value = classroom_toy.episode(student, competence, task[0])
                told = Feedback(**dict.fromkeys(teacher.needs(params), value[None]))
                known = teacher.update(params, known, task, told)
                return known, competence, tasks.at[turn].set(task[0]), returns.at[turn].set(value)

            return jax.lax.fori_loop(first, last, episode, state)

        spec = PartitionSpec("lanes")
        mapped = partial(jax.lax.map, lambda lane: lesson(*lane))
        mesh = Mesh(np.asarray(DEVICES), ("lanes",))
        over = jax.shard_map(lambda *lanes: mapped(lanes), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
        return jax.jit(over)


def read(path: Path | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path and path.exists() else []


def searched(school: School, students: list[int], options: argparse.Namespace) -> list[tuple[dict[str, Any], float]]:
    """Return the curricula that the search tried, the best first, with their mean score over ``students``."""
    specification = {
        "search": {"space": {"dimensions": SPACE}, "method": "tpe"},
        "budget": {"trainings": options.trials, "env_steps": 1},
        "seeds": {"study": options.seed},
    }
    tried = []
    with TemporaryDirectory() as folder, api.create(specification, root=folder) as study:
        for number in range(options.trials):
            trial = study.ask()
            curriculum = dict(trial.candidate)
            score = float(np.mean(school.teach(curriculum, students, seed=1)))
            study.tell(trial, score=score)
            tried.append((curriculum, score))
            print(f"{number + 1}/{options.trials} {score:5.1f} {described(curriculum)}", file=sys.stderr, flush=True)
    return sorted(tried, key=lambda pair: -pair[1])


def described(curriculum: dict[str, Any]) -> str:
    name = curriculum["teacher"]
    rest = [f"{k.removeprefix(name + '_')} {v:.3g}" for k, v in curriculum.items() if k != "teacher"]
    return ", ".join([name, *rest])


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Search, decide, and compare on the held-out students."""
    school = School(options)
    order = [int(n) for n in np.random.default_rng(options.seed).permutation(options.cells**2)]
    training, deciding, held_out = order[:GROUP], order[GROUP : 2 * GROUP], order[2 * GROUP :][: options.held_out]
    tried = searched(school, training, options)
    finalists = [(one, float(np.mean(school.teach(one, deciding, seed=2)))) for one, _ in tried[:FINALISTS]]
    winner = max(finalists, key=lambda pair: pair[1])[0]
    arms = {"found": winner, **CONTROLS}
    tuned = next((one for one, _ in tried if one["teacher"] == "alp_gmm"), None)
    if tuned is not None and tuned != winner:
        arms["alp_gmm, searched"] = tuned
    arms |= searches_for_one(school, training + deciding)
    scores = {name: school.teach(one, held_out, seed=3) for name, one in arms.items()}
    return {
        "winner": winner,
        "search": [{"curriculum": one, "score": score} for one, score in tried],
        "finalists": [{"curriculum": one, "score": score} for one, score in finalists],
        "rows": {name: row(values, scores) for name, values in scores.items()},
        "curricula": arms,
        "search_episodes": options.episodes * GROUP * (len(tried) + len(finalists)),
        "elder_episodes": {name: options.episodes * len(one.get("again_elders", ())) for name, one in arms.items()},
        "cpu_seconds": sum(line["cpu_seconds"] for line in school.lines),
    }


def searches_for_one(school: School, others: list[int]) -> dict[str, dict[str, Any]]:
    """Return the arms that find out who each student is.

    They are AGAIN with the ``others`` as elders, and with one for each first cell, the student's own among them, as published; and rolling
    horizons, with the settings that were best for the ``others``.
    """
    pretrain = round(PRETRAIN * school.options.episodes)
    known = {"others": others, "all first cells": list(range(school.options.cells**2))}
    again = {
        f"again, {name}": {"teacher": "again", "again_pretrain": pretrain, "again_elders": elders}
        for name, elders in known.items()
    }
    tried = [dict(zip(PLANS, values, strict=True)) for values in itertools.product(*PLANS.values())]
    arms = {}
    for name, free in {"rolling horizon": False, "rolling horizon, free copies": True}.items():
        settings = [{**one, "free": free} for one in tried]
        plans = [
            {"teacher": "rolling_horizon", **{f"rolling_horizon_{k}": v for k, v in one.items()}} for one in settings
        ]
        arms[name] = max(plans, key=lambda one: float(np.mean(school.teach(one, others, seed=1))))
    return arms | again


def row(values: list[float], scores: dict[str, list[float]]) -> dict[str, Any]:
    """Return mean and interval of ``values``, and of their differences from ALP-GMM's."""
    difference = np.array(values) - np.array(scores["alp_gmm"])
    return {"scores": values, "mean": float(np.mean(values)), "interval": interval(np.array(values))} | {
        "gain": float(difference.mean()),
        "gain_interval": interval(difference),
    }


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()) - half, float(values.mean()) + half


def show(found: dict[str, Any], options: argparse.Namespace) -> None:
    print(f"found: {described(found['winner'])}")
    print(f"{'curriculum':<30}{'mastered, %':>24}{'gain on alp_gmm':>26}")
    for name, line in sorted(found["rows"].items(), key=lambda pair: -pair[1]["mean"]):
        mean = "{:.1f} [{:.1f}, {:.1f}]".format(line["mean"], *line["interval"])
        gain = "{:+.1f} [{:+.1f}, {:+.1f}]".format(line["gain"], *line["gain_interval"])
        print(f"{name:<30}{mean:>24}{gain:>26}")
    elders = sum(found["elder_episodes"].values())
    print(
        f"{options.held_out} held-out students of {options.cells**2}, {options.episodes:,} episodes each; the search took "
        f"{found['search_episodes']:,} episodes and AGAIN's elders {elders:,}; all {found['cpu_seconds']:.0f} s of processor time"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--held-out", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help="file of lessons, a line for each group of students")
    options = parser.parse_args()
    if options.cells**2 < 2 * GROUP + options.held_out or options.held_out < 2:
        parser.error(f"--held-out: expected 2 to {options.cells**2 - 2 * GROUP} of {options.cells**2} students.")
    found = run(options)
    if options.json:
        print(json.dumps({"setting": vars(options) | {"record": None}, **found}))
    else:
        show(found, options)


if __name__ == "__main__":
    main()
