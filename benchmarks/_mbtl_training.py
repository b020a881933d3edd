"""``benchmarks/mbtl.py --train``: methods that choose training tasks on policies that are trained, not on a formula."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from autorl.engine.devices import start
from autorl.engine.task_study import Chosen, Policies, evolve, opened, select
from autorl.engine.task_training import Training, Transfer
from autorl.environments.registry import make_environment
from autorl.environments.task_box import task_space
from autorl.keys import training_seeds
from autorl.outer.tasks.methods import TASK_METHODS
from autorl.outer.tasks.rolling_horizon import RollingHorizon

DEVICES = start()  # before jax makes an array
EVOLVED = "rolling_horizon"
HORIZON = {"horizon": 2, "population": 3, "generations": 1}
"""So small that there are two commitments in 12 trainings."""
CONSTANT = {"anneal_learning_rate": False}
"""Policies go on from task to task, and a learning rate that has fallen teaches nothing."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Return for each method scores, one for each seed, and its ledger."""
    box = task_space(make_environment(options.train)).only(options.vary)
    low, high = options.scales
    transfer = Transfer(
        environment=options.train,
        ranges={one.name: (low * one.default, high * one.default) for one in box.dimensions},
        side=options.side,
        env_steps=options.budget,
        score_range=tuple(options.scores),
        longest=options.policies,
        hyperparameters=CONSTANT,
    )
    names = list(dict.fromkeys(["random", *(options.only or [*TASK_METHODS, EVOLVED])]))
    training = Training(transfer, DEVICES)
    with TemporaryDirectory() as folder:
        path = options.record or Path(folder) / "policies.jsonl"
        with opened(path, transfer.key, training) as kept:
            return {name: _arm(_played(name, transfer, kept, options)) for name in names}


def _played(name: str, transfer: Transfer, kept: Policies, options: argparse.Namespace) -> list[Chosen]:
    trials = range(options.first_trial, options.first_trial + options.trials)
    # a trial's seeds are the same in every arm, so that two arms that train on one task have the same policy
    seeds = training_seeds(0, "test", options.trials, start=options.first_trial)
    if name == EVOLVED:
        tasks = len(transfer.cells)
        pairs = zip(trials, seeds, strict=True)
        found = [evolve(RollingHorizon(tasks, **HORIZON, seed=n), seed, options.policies, kept) for n, seed in pairs]
    else:
        methods = [TASK_METHODS.load(name)(transfer.cells, n) for n in trials]
        found = select(methods, seeds, options.policies, kept)
    if not options.json:
        print(f"{name}: {np.mean([one.served for one in found]):.3f}", file=sys.stderr, flush=True)
    return found


def _arm(found: Sequence[Chosen]) -> dict[str, Any]:
    return {
        "served": [one.served for one in found],
        "alone": [one.alone for one in found],
        "trainings": [len(one.sources) for one in found],
        "env_steps": {what: [one.env_steps[what] for one in found] for what in ("train", "evaluation")},
        "tasks": [[list(source.tasks) for source in one.sources] for one in found],
        "failed": sum(line["status"] != "completed" for one in found for line in one.lines),
    }


def show(rows: dict[str, Any], options: argparse.Namespace) -> None:
    from scipy.stats import t

    def cell(values: Sequence[float]) -> str:
        count = len(values)
        half = t.ppf(0.975, count - 1) * np.std(values, ddof=1) / count**0.5 if count > 1 else float("nan")
        return f"{np.mean(values):.3f} ± {half:.3f}"

    print(f"{'method':<17}{'all policies':>16}{'one policy':>16}{'less random':>18}{'trainings':>11}{'env steps':>22}")
    for name, row in rows.items():
        gain = cell(np.subtract(row["served"], rows["random"]["served"]).tolist())
        steps = " + ".join(f"{np.mean(row['env_steps'][what]):,.0f}" for what in ("train", "evaluation"))
        count = f"{np.mean(row['trainings']):.0f}"
        print(f"{name:<17}{cell(row['served']):>16}{cell(row['alone']):>16}{gain:>18}{count:>11}{steps:>22}")
    tasks = options.side ** len(options.vary)
    print(
        f"{options.train}, {' x '.join(options.vary)}: {tasks} tasks; {options.trials} seeds, {options.budget:,} env steps a training; "
        "95 % intervals (Student's t), paired by seed in 'less random'; env steps: training + evaluation"
    )
