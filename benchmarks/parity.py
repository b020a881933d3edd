"""Do our learners reproduce ARLBench's published landscapes? Trains the same configurations with the same settings.

    python benchmarks/parity.py --data FOLDER --tasks cc_cartpole_dqn
    python benchmarks/parity.py --data FOLDER --tasks cc_cartpole_dqn --variant ours
    python benchmarks/parity.py --data FOLDER --only-compare [--json]

FOLDER holds one TASK.csv.gz a task (Becktepe et al., 2024), as for ``landscapes.py``. Of each landscape the first 64
configurations of its Sobol sequence are trained on five seeds (SAC: 32 on three), with ARLBench's env steps, parallel
environments, fixed hyperparameters and evaluations (128 episodes, ten points). Each configuration that is done is a line of
``benchmarks/parity.results.jsonl``: stop at any time, run the same command again, and it goes on.

What is printed for each task: the Spearman correlation of our means over seeds with the published ones (all ten seeds), the
ceiling that seed noise sets (square root of the product of both sides' reliabilities), and the share of it that is reached
(the gate: at least 0.9, by both estimates of reliability), with 95 % bootstrap intervals over configurations; beside it the correlation
of as many published seeds with the other published ones, which is what the very same code shows, and how often such a choice of
published seeds would pass the gate; median and mean of the best tenth beside the spread of the published seeds (seed by seed, which the
gate asks for; and of the means over seeds); and the configurations that differ most.

Variants: ``reference`` does what ARLBench's code does differently (time limits end the task; SAC's critics learn actions on the
environment's scale and judge the policy's on [-1, 1]); ``ours`` is AutoRL as it is. A training that diverged counts as the
worst published return of its task where actions are discrete (a network of nan always takes the first action). In Pendulum-SAC
it is left out on both sides: returns above -20 are impossible there, they are ARLBench's failed trainings, recorded as 2e-308.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _landscape import Landscape
from _landscape_files import SUFFIX, load_landscape
from _parity_statistics import (
    Scores,
    agreement,
    disagreement,
    gate_of_published,
    intervals,
    level,
    level_of_means,
    self_agreement,
)
from _parity_tasks import TASKS, VARIANTS, ParityTask
from _parity_training import Trained, Trainings, append, chunks, read

from autorl.errors import AutoRLError, UsageError

RESULTS = Path(__file__).with_suffix(".results.jsonl")
GATE = 0.9
"""Share of the ceiling to be reached."""
WORST = 6
"""Configurations printed that differ most."""


def published(task: ParityTask, path: Path) -> tuple[Landscape, Scores]:
    """Return a task's landscape and the final scores of the configurations trained [C, 10], nan where a training failed.

    The landscape itself has a failed training as its worst return; here it is not known.
    """
    landscape = load_landscape(path)
    scores = landscape.returns[: task.configurations, :, -1].copy()
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            last = int(row["env_steps"]) == landscape.env_steps
            if not last or int(row["configuration"]) >= task.configurations:
                continue
            value = float(row["mean_return"] or "nan")
            if not np.isfinite(value) or (task.failed_above is not None and value > task.failed_above):
                scores[int(row["configuration"]), int(row["seed"])] = np.nan
    return landscape, scores


def ours(task: ParityTask, trained: Mapping[int, Trained], worst: float) -> Scores:
    """Return our final scores of the configurations ``trained`` [C, S], in order."""
    failed = worst if task.algorithm != "sac" else np.nan
    rows = []
    for number in sorted(trained):
        one = trained[number]
        whole = [
            curve[-1] if status == "completed" else None
            for curve, status in zip(one.returns, one.statuses, strict=True)
        ]
        rows.append([failed if value is None else value for value in whole])
    return np.array(rows, np.float64)


def train(task: ParityTask, variant: str, landscape: Landscape, path: Path, most: int | None) -> None:
    """Train what is missing, chunk by chunk, at most ``most`` configurations."""
    have = read(path, task.name, variant)
    due = {i: dict(landscape.configurations[i]) for i in range(task.configurations) if i not in have}
    due = dict(list(due.items())[:most])
    if not due:
        return
    trainings = Trainings(task, variant, landscape.space.upper_bounds())
    done = len(have)
    for chunk in chunks(task, due):
        found = trainings.train({i: due[i] for i in chunk})
        append(path, task.name, variant, found)
        done += len(found)
        cpu = sum(one.cpu_seconds for one in found)
        print(f"{task.name} {variant}: {done} of {task.configurations}, {cpu:.0f} CPU s", file=sys.stderr, flush=True)


def compare(task: ParityTask, landscape: Landscape, scores: Scores, trained: Mapping[int, Trained]) -> dict[str, Any]:
    """Return how alike our landscape and the published one are."""
    numbers = sorted(trained)
    mine = ours(task, trained, float(np.nanmin(scores)))
    theirs = scores[numbers]
    found = agreement(mine, theirs)
    levels = level(mine, theirs)
    shares = (found["share"], found["share_anova"])
    whole = len(numbers) == task.configurations
    seeds = min(mine.shape[1], theirs.shape[1] - 1)
    return {
        "whole": whole,
        **found,
        "intervals": intervals(mine, theirs),
        "published_with_itself": self_agreement(theirs, seeds),
        "gate_of_published": gate_of_published(theirs, seeds, GATE),
        **levels,
        **level_of_means(mine, theirs),
        "difference": disagreement(mine, theirs),
        "passed": bool(whole and min(shares) >= GATE and all(one["within"] for one in levels.values())),
        "failed_ours": sum(status != "completed" for one in trained.values() for status in one.statuses),
        "failed_published": int(np.isnan(theirs).sum()),
        "trainings": int(mine.size),
        "cpu_seconds": round(sum(one.cpu_seconds for one in trained.values()), 1),
        "differ_most": differences(landscape, numbers, mine, theirs),
    }


def differences(landscape: Landscape, numbers: Sequence[int], mine: Scores, theirs: Scores) -> list[dict[str, Any]]:
    """Return the configurations whose means differ most, in standard errors of the difference."""
    found = []
    for row, number in enumerate(numbers):
        a, b = (x[row][~np.isnan(x[row])] for x in (mine, theirs))
        if min(len(a), len(b)) < 2:
            continue
        error = float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
        gap = float(a.mean() - b.mean())
        entry = {"configuration": number, "ours": float(a.mean()), "published": float(b.mean())}
        found.append({**entry, "errors": gap / max(error, 1e-9), "values": dict(landscape.configurations[number])})
    return sorted(found, key=lambda one: -abs(one["ours"] - one["published"]))[:WORST]


def text(name: str, variant: str, found: Mapping[str, Any]) -> str:
    """Return the lines for people."""
    low, high = found["intervals"]["share"]
    verdict = "passed" if found["passed"] else "not passed" if found["whole"] else "not all trained"
    lines = [
        f"{name}, {variant}: {found['configurations']:.0f} configurations, {found['trainings']} trainings, {verdict}",
        f"  Spearman {found['spearman']:.3f} of a ceiling of {found['ceiling']:.3f} (by variances "
        f"{found['ceiling_anova']:.3f}): share {found['share']:.3f} [{low:.3f}, {high:.3f}] "
        f"(by variances {found['share_anova']:.3f})",
        f"  reliability ours {found['reliability_ours']:.3f}, published {found['reliability_published']:.3f}; "
        f"failed: ours {found['failed_ours']}, published {found['failed_published']}; {found['cpu_seconds']:.0f} CPU s",
    ]
    own, least, most = found["published_with_itself"]
    lines.append(f"  as many published seeds against the other ones: Spearman {own:.3f} [{least:.3f}, {most:.3f}]")
    gate = found["gate_of_published"]
    lines.append(
        f"    they would pass the gate in {gate['passed']:.1%} of {gate['choices']:.0f} such choices (the share alone: by ranks "
        f"{gate['by_ranks']:.1%}, by variances {gate['by_variances']:.1%}): share {gate['share']:.3f} "
        f"[{gate['share_low']:.3f}, {gate['share_high']:.3f}] (by variances {gate['share_anova']:.3f})"
    )
    for key, title in (("median", "median"), ("top_tenth", "best tenth")):
        one = found[key]
        inside = "within" if one["within"] else "outside"
        lines.append(
            f"  {title:10s} ours {one['ours']:9.2f} [{one['ours_low']:.2f}, {one['ours_high']:.2f}]   published "
            f"{one['published']:9.2f} [{one['low']:.2f}, {one['high']:.2f}]   {inside}"
        )
    for key, title in (("median_of_means", "median of means"), ("top_tenth_of_means", "best tenth of means")):
        one = found[key]
        lines.append(
            f"  {title}: ours {one['ours']:.2f}, published {one['published']:.2f}, over its subsets of as many seeds "
            f"[{one['low']:.2f}, {one['high']:.2f}]   {'within' if one['within'] else 'outside'}"
        )
    gap = found["difference"]
    lines.append(
        f"  difference of means: {gap['bias']:+.2f} on average, {gap['spread']:.2f} beyond noise (noise {gap['noise']:.2f})"
    )
    for one in found["differ_most"]:
        values = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in one["values"].items())
        lines.append(
            f"  configuration {one['configuration']:3d}: ours {one['ours']:.1f}, published {one['published']:.1f} "
            f"({one['errors']:+.1f} standard errors): {values}"
        )
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing and compare."""
    found: dict[str, Any] = {}
    for name in arguments.tasks:
        task, path = TASKS[name], arguments.data / f"{name}{SUFFIX}"
        if not path.exists():
            print(f"{name}: no landscape in {arguments.data}; left out", file=sys.stderr)
            continue
        landscape, scores = published(task, path)
        if not arguments.only_compare:
            train(task, arguments.variant, landscape, arguments.results, arguments.configurations)
        trained = read(arguments.results, name, arguments.variant)
        if len(trained) < 3:
            print(f"{name}, {arguments.variant}: {len(trained)} configurations trained, too few", file=sys.stderr)
            continue
        found[name] = compare(task, landscape, scores, trained)
    return found


def main() -> None:
    """Train, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with one TASK.csv.gz a task")
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS), metavar="TASK", help="all by default")
    parser.add_argument("--variant", choices=VARIANTS, default="reference", help="; ".join(VARIANTS.values()))
    parser.add_argument("--results", type=Path, default=RESULTS, help="where configurations that are done are kept")
    parser.add_argument("--configurations", type=int, help="train no more than these now")
    parser.add_argument("--only-compare", action="store_true", help="train nothing")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        if not arguments.data.is_dir():
            raise UsageError(
                f"--data {arguments.data}: no such folder. Remedy: give the folder with ARLBench's landscapes."
            )
        found = run(arguments)
    except AutoRLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if arguments.json:
        print(json.dumps({"variant": arguments.variant, "tasks": found}))
        return
    for name, values in found.items():
        print(text(name, arguments.variant, values))


if __name__ == "__main__":
    main()
