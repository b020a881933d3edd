"""Teachers on the toy grid: how much of it a simulated student masters.

    python benchmarks/teachers.py [--json] [--seeds 20] [--episodes 20000] [--batch 1] [--only NAME ...]
        [--dimensions 2] [--irrelevant 0] [--cells 10] [--noise 0] [--forgetting 0] [--first-seed 0]

Per cent of the cells that are mastered at the end, mean and standard error over seeds, and seconds a seed on one core. A perfect
teacher has mastered all after 76 episodes a cell (7,600 in two dimensions). With --batch n, a teacher proposes n tasks before it sees their
returns. Each teacher runs with its default settings. The reference is Portelas et al.'s own code at its defaults, measured over 3 to 10
seeds in the default setting of this command (its spread is the standard deviation between seeds).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from autorl.curricula.protocol import Feedback
from autorl.curricula.teachers import TEACHERS, make_teacher
from autorl.curricula.toy_grid import ToyGrid
from autorl.keys import derive

REFERENCE = {"uniform": (4.6, 0.8), "alp_gmm": (36.4, 2.2), "riac": (46.0, 2.6), "covar_gmm": (68.6, 2.7)}


def play(name: str, grid: ToyGrid, seed: int, episodes: int, batch: int) -> tuple[float, list[float]]:
    """Return the per cent mastered after ``episodes``, and that after each tenth of them."""
    teacher = make_teacher(name, grid.space)
    state, student = teacher.init(derive(seed, "init")), grid.init()
    curve, done = [], 0
    while done < episodes:
        n = min(batch, episodes - done)
        tasks = teacher.propose(state, derive(seed, "propose", done), n).tasks
        student, returns = grid.play(student, tasks[None], derive(seed, "grid", done))
        state = teacher.update(state, tasks, Feedback(returns[0]))
        done += n
        if 10 * done // episodes > len(curve):
            curve.append(float(grid.mastered(student)[0]))
    return curve[-1], curve


def measure(name: str, grid: ToyGrid, options: argparse.Namespace) -> dict[str, Any]:
    """Return a row of the table."""
    start = time.perf_counter()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    runs = [play(name, grid, seed, options.episodes, options.batch) for seed in seeds]
    scores = [score for score, _ in runs]
    return {
        "teacher": name,
        "mastered": statistics.fmean(scores),
        "standard_error": statistics.stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else None,
        "deviation": statistics.stdev(scores) if len(scores) > 1 else None,
        "least": min(scores),
        "curve": [statistics.fmean(points) for points in zip(*(curve for _, curve in runs), strict=True)],
        "seconds": (time.perf_counter() - start) / len(scores),
    }


def comparable(options: argparse.Namespace) -> bool:
    """Return whether the setting is that of the reference's figures."""
    standard = {
        "episodes": 20_000,
        "batch": 1,
        "dimensions": 2,
        "irrelevant": 0,
        "cells": 10,
        "noise": 0,
        "forgetting": 0,
    }
    return all(getattr(options, name) == value for name, value in standard.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=1, help="tasks proposed at once")
    parser.add_argument("--only", nargs="*", choices=list(TEACHERS), help="some of the teachers")
    parser.add_argument("--dimensions", type=int, default=2)
    parser.add_argument("--irrelevant", type=int, default=0, help="dimensions that change nothing")
    parser.add_argument("--cells", type=int, default=10, help="cells along each dimension")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of noise on returns")
    parser.add_argument(
        "--forgetting", type=float, default=0.0, help="probability that a cell loses a point, an episode"
    )
    options = parser.parse_args()
    grid = ToyGrid(options.dimensions, options.irrelevant, options.cells, options.noise, options.forgetting)
    rows = []
    if not options.json:
        print(f"{'teacher':<12} {'mastered, %':<14} {'deviation':>9} {'least':>6} {'s a seed':>9}  reference")
    for name in options.only or TEACHERS:
        row = measure(name, grid, options)
        reference = REFERENCE.get(name) if comparable(options) else None
        rows.append({**row, "reference": reference})
        if not options.json:
            error, deviation = (f"{row[k]:.1f}" if row[k] is not None else "-" for k in ("standard_error", "deviation"))
            known = f"{reference[0]} ± {reference[1]}" if reference else "-"
            score = f"{row['mastered']:.1f} ± {error}"
            print(
                f"{name:<12} {score:<14} {deviation:>9} {row['least']:6.1f} {row['seconds']:9.2f}  {known}", flush=True
            )
    if options.json:
        print(json.dumps({"setting": vars(options), "rows": rows}))


if __name__ == "__main__":
    main()
