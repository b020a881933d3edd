"""Teachers on the toy grid: how much of it a simulated student masters.

    python benchmarks/teachers.py [--json] [--seeds 20] [--episodes 20000] [--batch 1] [--only NAME ...] [--set PARAMETER=VALUE ...]
        [--dimensions 2] [--irrelevant 0] [--cells 10] [--noise 0] [--forgetting 0] [--first-seed 0] [--record FILE]
    python benchmarks/teachers.py --table --record experiments/toy_grid.teachers.jsonl [--json]

Per cent of the cells that are mastered at the end: mean over seeds with its 95 % interval (Student's t), standard deviation, least. All
seeds of a teacher, their students included, are one compiled program, mapped over the cores; seconds are those of all seeds together,
those of compiling, and those that the cores worked (less where other programs take turns). Teachers that need more than returns and
successes are left out, unless --set gives them another score. A perfect teacher has mastered all after 76 episodes a cell (7,600 in
two dimensions). With --batch n, a teacher proposes n tasks before it sees their returns. Each teacher runs with its default parameters,
but for --set. The reference is Portelas et al.'s own code at its defaults, measured over 3 to 10 seeds in the default setting of this
command: mean and standard deviation between seeds; "z" is how many standard errors of the difference lie between the two means.

With --record, each row is a line of FILE as soon as it is done, and one that stands there is not run again. --table runs the settings of
`TABLE` one after another, on seeds that nothing was tuned on (`COUNTED`): choices were made on seeds below 10,000.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from autorl.engine.devices import start

DEVICES = start()

import jax  # noqa: E402  # after `start`, so that every core is a device
from jax import Array  # noqa: E402
from jax.sharding import Mesh, PartitionSpec  # noqa: E402

from autorl.curricula.protocol import Feedback, Teacher  # noqa: E402
from autorl.curricula.teachers import TEACHERS, make_teacher  # noqa: E402
from autorl.curricula.toy_grid import ToyGrid  # noqa: E402
from autorl.inner.threefry import unrolled  # noqa: E402

REFERENCE = {"uniform": (4.6, 0.8, 10), "alp_gmm": (36.4, 2.2, 5), "riac": (46.0, 2.6, 3), "covar_gmm": (68.6, 2.7, 5)}
"""Mean, standard deviation between seeds, seeds."""
MEASURED = {"returns", "successes"}
"""Channels of feedback that the grid has: the return is also the share of the goal that is reached."""
CUTS = 10
"""Points of a curve."""
COUNTED = {"arms": 20_000}
"""First seed of the table by teacher, 10,000 where none is named. Arms was counted from 10,000 on before: the row with noise, 80.6 % with
one seed of 0, showed that flat tasks became parents of new ones; that was mended on seeds below 10,000, and counted afresh."""
TABLE: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    ({}, ("arms",)),
    ({"batch": 32}, ("arms",)),
    ({"irrelevant": 2}, ("arms",)),
    ({"noise": 0.05}, ("arms",)),
    ({"forgetting": 0.001}, ("arms",)),
    ({}, ("uniform", "covar_gmm", "riac", "alp_gmm")),
    ({"dimensions": 3, "episodes": 200_000}, ("arms",)),
    ({"batch": 32}, ("uniform", "covar_gmm", "riac", "alp_gmm")),
    ({"forgetting": 0.001}, ("uniform", "covar_gmm", "riac", "alp_gmm")),
    ({"noise": 0.05}, ("covar_gmm",)),
    ({"irrelevant": 2}, ("covar_gmm",)),
)
"""Settings beside the default one, and the teachers in each; what is asked of our own comes first."""
SETTING = (
    "seeds",
    "first_seed",
    "episodes",
    "batch",
    "dimensions",
    "irrelevant",
    "cells",
    "noise",
    "forgetting",
    "set",
)


class Lesson:
    """A teacher and its students, one for each seed, in one program.

    Attributes:
        compile_seconds: Seconds of tracing and compiling.
    """

    def __init__(self, teacher: Teacher[Any], params: Any, grid: ToyGrid, batch: int, seeds: np.ndarray) -> None:
        self.teacher, self.params, self.grid, self.batch = teacher, params, grid, batch
        self.count = len(seeds)
        # two lanes on each device at least, so that a seed's bits do not depend on their number
        lanes = max(2 * len(DEVICES), -(-self.count // len(DEVICES)) * len(DEVICES))
        padded = np.resize(seeds, lanes).astype(np.uint32)
        started = time.perf_counter()
        self.keys = jax.jit(jax.vmap(jax.random.key))(padded)
        shapes = jax.eval_shape(jax.vmap(self._first), self.keys)
        self._advance = self._mapped(self._play).lower(self.keys, shapes, *2 * (self._steps(0, lanes),)).compile()
        self._lanes, self._state = lanes, self._mapped(self._first)(self.keys)
        self.compile_seconds = time.perf_counter() - started

    def play(self, first: int, last: int) -> np.ndarray:
        """Play the batches from number ``first`` to before ``last``; return the per cent mastered of each seed."""
        bounds = self._steps(first, self._lanes), self._steps(last, self._lanes)
        self._state = self._advance(self.keys, self._state, *bounds)
        return np.asarray(self.grid.mastered(self._state[1]))[: self.count]

    def _first(self, key: Array) -> tuple[Any, Array]:
        return self.teacher.init(jax.random.fold_in(key, 0), self.params), self.grid.init()

    def _play(self, key: Array, state: tuple[Any, Array], first: Array, last: Array) -> tuple[Any, Array]:
        lesson = unrolled(jax.random.fold_in(key, 1))  # the same draws from quicker code

        def step(number: Array, state: tuple[Any, Array]) -> tuple[Any, Array]:
            knowledge, competence = state
            proposing, playing = jax.random.split(jax.random.fold_in(lesson, number))
            tasks = self.teacher.propose(self.params, knowledge, proposing, self.batch).tasks
            competence, returns = self.grid.play(competence, tasks, playing)
            known = dict.fromkeys(self.teacher.needs(self.params), returns)
            return self.teacher.update(self.params, knowledge, tasks, Feedback(**known)), competence

        return jax.lax.fori_loop(first, last, step, state)

    def _mapped(self, function: Any) -> Any:
        spec = PartitionSpec("lanes")
        mapped = partial(jax.lax.map, lambda lane: function(*lane))
        mesh = Mesh(np.asarray(DEVICES), ("lanes",))
        over = jax.shard_map(lambda *lanes: mapped(lanes), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
        return jax.jit(over)

    @staticmethod
    def _steps(number: int, lanes: int) -> np.ndarray:
        return np.full(lanes, number, np.int32)


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of --set."""
    return {key: json.loads(value) for key, value in (item.split("=", 1) for item in options.set)}


def measure(teacher: Teacher[Any], params: Any, grid: ToyGrid, options: argparse.Namespace) -> dict[str, Any]:
    """Return a row of the table."""
    name = teacher.name
    seeds = np.arange(options.first_seed, options.first_seed + options.seeds)
    say(options, f"{name}: compiling")
    lesson = Lesson(teacher, params, grid, options.batch, seeds)
    steps, curve, began, worked = options.episodes // options.batch, [], time.perf_counter(), time.process_time()
    for cut in range(CUTS):
        scores = lesson.play(steps * cut // CUTS, steps * (cut + 1) // CUTS)
        curve.append(float(scores.mean()))
        say(options, f"{name}: {10 * (cut + 1)} % of the episodes, {curve[-1]:.1f} % mastered")
    say(options, "")
    deviation = statistics.stdev(map(float, scores)) if len(scores) > 1 else None
    return {
        "teacher": name,
        "mastered": curve[-1],
        "interval": interval(curve[-1], deviation, len(scores)),
        "deviation": deviation,
        "least": float(scores.min()),
        "scores": [float(score) for score in scores],
        "curve": curve,
        "seconds": time.perf_counter() - began,
        "compile_seconds": lesson.compile_seconds,
        "cpu_seconds": time.process_time() - worked,
    }


def interval(mean: float, deviation: float | None, count: int) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean, None for one seed."""
    if deviation is None:
        return None
    from scipy.stats import t

    half = float(t.ppf(0.975, count - 1)) * deviation / count**0.5
    return mean - half, mean + half


def distance(row: dict[str, Any], reference: tuple[float, float, int] | None, seeds: int) -> float | None:
    """Return the difference of the means in its standard errors."""
    if reference is None or row["deviation"] is None:
        return None
    mean, deviation, count = reference
    error = (deviation**2 / count + row["deviation"] ** 2 / seeds) ** 0.5
    return float((row["mastered"] - mean) / error) if error else None


def comparable(options: argparse.Namespace) -> bool:
    """Return whether the setting is that of the reference's figures."""
    names = ("episodes", "batch", "dimensions", "irrelevant", "cells", "noise", "forgetting")
    return [getattr(options, name) for name in names] == [20_000, 1, 2, 0, 10, 0, 0] and not options.set


def recorded(options: argparse.Namespace, name: str) -> dict[str, Any] | None:
    """Return the row of the teacher ``name`` in this setting from the record, None if it is not there."""
    key = {"teacher": name, "setting": setting(options)}
    lines = options.record.read_text().splitlines() if options.record and options.record.exists() else []
    return next((row for row in map(json.loads, lines) if key.items() <= row.items()), None)


def setting(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in SETTING}


def say(options: argparse.Namespace, text: str) -> None:
    """Show how far it is, on a terminal."""
    if not options.json and sys.stderr.isatty():
        print(f"\r{text:<78}" if text else f"\r{'':<78}\r", end="", file=sys.stderr, flush=True)


def line(row: dict[str, Any]) -> str:
    """Return a row as text."""
    low, high = row["interval"] or (float("nan"), float("nan"))
    score = f"{row['mastered']:.1f} [{low:.1f}, {high:.1f}]" if row["interval"] else f"{row['mastered']:.1f}"
    deviation = "-" if row["deviation"] is None else f"{row['deviation']:.1f}"
    known = "{:.1f} ± {:.1f} ({} seeds)".format(*row["reference"]) if row["reference"] else "-"
    z = "-" if row["z"] is None else f"{row['z']:+.1f}"
    seconds = f"{row['seconds']:.1f} + {row['compile_seconds']:.0f} ({row['cpu_seconds']:.1f})"
    return f"{row['teacher']:<20} {score:<20} {deviation:>9} {row['least']:6.1f} {seconds:>18}  {known:<21} {z:>5}"


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=1, help="tasks proposed at once")
    parser.add_argument("--only", nargs="*", choices=list(TEACHERS), help="some of the teachers")
    parser.add_argument("--set", nargs="*", default=[], metavar="PARAMETER=VALUE", help="of the teachers; JSON")
    parser.add_argument("--dimensions", type=int, default=2)
    parser.add_argument("--irrelevant", type=int, default=0, help="dimensions that change nothing")
    parser.add_argument("--cells", type=int, default=10, help="cells along each dimension")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of noise on returns")
    parser.add_argument(
        "--record", type=Path, help="file of rows, a line each; those that stand there are not run again"
    )
    parser.add_argument("--table", action="store_true", help="all settings of the table, on the counted seeds")
    parser.add_argument(
        "--forgetting", type=float, default=0.0, help="probability that a cell loses a point, an episode"
    )
    return parser


def rows_of(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the teachers of one setting, or read their rows from the record; print each."""
    grid = ToyGrid(options.dimensions, options.irrelevant, options.cells, options.noise, options.forgetting)
    rows = []
    for name in options.only or TEACHERS:
        teacher = make_teacher(name, grid.space)
        params = teacher.parameters(given(options))
        missing = sorted(teacher.needs(params) - MEASURED)
        if missing:
            rows.append({"teacher": name, "missing": missing})
            if not options.json:
                print(f"{name:<20} left out: it needs {' and '.join(missing)}, which the grid has not", flush=True)
            continue
        row = recorded(options, name)
        if row is None:
            row = {"setting": setting(options), **measure(teacher, params, grid, options)}
            if options.record:
                with options.record.open("a") as file:
                    file.write(json.dumps(row) + "\n")
        row["reference"] = REFERENCE.get(name) if comparable(options) else None
        row["z"] = distance(row, row["reference"], options.seeds)
        rows.append(row)
        if not options.json:
            print(line(row), flush=True)
    return rows


def main() -> None:
    options = arguments().parse_args()
    table: tuple[tuple[dict[str, Any], tuple[str, ...] | None], ...] = TABLE if options.table else (({}, options.only),)
    rows = []
    if not options.json:
        print(
            f"{'teacher':<20} {'mastered, %':<20} {'deviation':>9} {'least':>6} {'s + compile (cpu)':>18}  {'reference':<21} {'z':>5}"
        )
    for changes, names in table:
        if options.table and not options.json:
            print(", ".join(f"{name} {value:g}" for name, value in changes.items()) or "reference setting", flush=True)
        for name in names if options.table and names else (names,):
            one = (
                {"first_seed": COUNTED.get(name, 10_000), "only": (name,)} if isinstance(name, str) else {"only": names}
            )
            rows += rows_of(argparse.Namespace(**{**vars(options), **one, **changes}))
    if options.json:
        print(json.dumps({"setting": vars(options) | {"record": None}, "rows": rows}))


if __name__ == "__main__":
    main()
