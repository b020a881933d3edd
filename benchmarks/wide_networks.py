"""What it is worth to compile the training of wide networks without splitting operations among threads (`autorl.engine.devices.unsplit`).

    python benchmarks/wide_networks.py [--json] [--repeats 5] [NAME ...]

Populations of four trainings with two layers of 256 units, two on each of two host devices, as the engine trains them: once compiled as XLA
does by itself, once unsplit. The two take turns; medians over the turns, and whether both gave the same returns. DQN has an update of
batch 32 on every env step; target networks are as the learner's defaults have them (soft), or copied every 100 steps as Co-Reyes et al.
(2021) have them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import Any

os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # both have the same key there

import jax
import numpy as np

from autorl.engine import population
from autorl.engine.devices import start
from autorl.engine.lanes import Job
from autorl.engine.trainer import Trainer
from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task
from autorl.inner.algorithms import ALGORITHMS
from autorl.studies.trial import Stage

TRAININGS = 4
EVERY_STEP = {"hidden_size": 256, "buffer_batch_size": 32, "train_freq": 1, "gradient_steps": 1, "buffer_size": 10_000}
HARD_COPIES = {**EVERY_STEP, "target_update_interval": 100, "tau": 1.0}
PROBLEMS: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "dqn_cartpole": ("dqn", "gymnax:CartPole-v1", 3_000, EVERY_STEP),
    "dqn_cartpole_hard_copies": ("dqn", "gymnax:CartPole-v1", 3_000, HARD_COPIES),
    "dqn_minigrid_hard_copies": ("dqn", "minigrid:Empty-6x6", 3_000, HARD_COPIES),
    "ppo_cartpole": ("ppo", "gymnax:CartPole-v1", 8_192, {"hidden_size": 256}),
    "sac_pendulum": ("sac", "gymnax:Pendulum-v1", 2_000, {"hidden_size": 256, "buffer_size": 10_000}),
}


def measured(name: str, repeats: int) -> dict[str, Any]:
    """Return env steps a second of both, their ratio, what compiling took, and whether the returns are the same."""
    wide = population.WIDE
    try:
        contestants = {"split": _contestant(name, 1 << 40), "unsplit": _contestant(name, wide)}
    finally:
        population.WIDE = wide
    turns: dict[str, list[float]] = {contestant: [] for contestant in contestants}
    returns: dict[str, list[Any]] = {contestant: [] for contestant in contestants}
    env_steps = TRAININGS * PROBLEMS[name][2]
    for _ in range(repeats):
        for contestant, (trainer, jobs) in contestants.items():
            began = time.perf_counter()
            outcomes = trainer.run(jobs)
            turns[contestant].append(env_steps / (time.perf_counter() - began))
            returns[contestant].append([outcome.returns for outcome in outcomes])
    speed = {contestant: statistics.median(values) for contestant, values in turns.items()}
    ratios = [b / a for a, b in zip(turns["split"], turns["unsplit"], strict=True)]
    return {
        "problem": name,
        "env_steps_per_second": speed,
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "compile_seconds": {contestant: trainer.compile_seconds for contestant, (trainer, _) in contestants.items()},
        "same_returns": returns["split"] == returns["unsplit"],
    }


def _contestant(name: str, wide: int) -> tuple[Trainer, list[Job]]:
    """Return a trainer that has compiled its program, and what it is to train."""
    algorithm, id, horizon, values = PROBLEMS[name]
    environment = make_environment(id)
    task = jax.tree.map(np.asarray, make_task(environment, {}))
    trainer = Trainer([ALGORITHMS.load(algorithm)(environment)], [task], [horizon], 4, {}, start(2))
    jobs = [Job(n, 0, n, (Stage(horizon, values),), (horizon,), horizon=horizon) for n in range(TRAININGS)]
    population.WIDE = wide
    trainer.run(jobs)
    return trainer, jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROBLEMS)}; by default all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in PROBLEMS]:
        parser.error(f"unknown problem {unknown[0]!r}. Remedy: choose from {', '.join(PROBLEMS)}")
    if options.repeats < 1:
        parser.error(f"--repeats {options.repeats} is below 1. Remedy: leave it out for 5")
    rows = [measured(name, options.repeats) for name in options.names or PROBLEMS]
    if options.json:
        print(json.dumps({"repeats": options.repeats, "problems": rows}))
        return
    print("problem                    split  unsplit  env steps/s   ratio [least, most]   compiling, s   same returns")
    for row in rows:
        speed, seconds = row["env_steps_per_second"], row["compile_seconds"]
        print(
            f"{row['problem']:24} {speed['split']:7,.0f}  {speed['unsplit']:7,.0f}                "
            f"{row['ratio']:5.2f} [{row['low']:.2f}, {row['high']:.2f}]"
            f"       {seconds['split']:4.1f}, {seconds['unsplit']:4.1f}     {'yes' if row['same_returns'] else 'NO'}"
        )


if __name__ == "__main__":
    main()
