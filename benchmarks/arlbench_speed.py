"""How long does a sweep take with ARLBench's own code, and how long with ours? Side by side, compilation included.

    python benchmarks/arlbench_speed.py --python OTHER/bin/python --task mountain_car_continuous_ppo
    python benchmarks/arlbench_speed.py --python OTHER/bin/python --task cartpole_dqn --sampled 96 --json

The sweep is a random search at ARLBench's budget (Becktepe et al., 2024): 32 configurations of its space on three seeds, its
fixed settings, ten evaluations of 128 episodes. OTHER is an environment with arlbench 0.1.3 (CPython 3.11):

    pip install arlbench==0.1.3 "numpy<2" "scipy<1.13" "pandas<2.3" "gymnasium<1" tensorflow-probability==0.23.0
        mujoco==3.1.6 mujoco-mjx==3.1.6 "setuptools<80"

Both sides run in a process of their own, one after the other, in turns: a part of ARLBench's trainings, then our sweep, then the
next part ... ARLBench compiles and trains one configuration and one seed at a time, in one process here (its own runs start one
for each, which would count its imports 96 times). Its trainings differ little in time, so ``--sampled`` of the 96, spread over
the configurations, stand for all: the ratio is extrapolated from them, and the sampled number is part of the result. Ours trains all 96,
compiled from nothing (no cache of programs). Both train as many steps: ARLBench's ten parts, each rounded up to whole iterations.
ARLBench ran Pendulum and MountainCarContinuous in 64 bits; here both sides have 32. Wall seconds are what counts; on a machine
that others use, the ratio of processor seconds beside them is the steadier one. Both include the imports once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _parity_tasks import DQN_FIXED, EPISODES, POINTS, PPO_FIXED, points_of

from autorl.errors import AutoRLError, UsageError
from autorl.keys import derive
from autorl.spaces import load_space

WORKER = Path(__file__).with_name("_arlbench_worker.py")
CONFIGURATIONS, SEEDS = 32, 3
TRAININGS = CONFIGURATIONS * SEEDS
ENVIRONMENTS = 8
"""Side by side in a training."""


@dataclass(frozen=True)
class SpeedTask:
    """One sweep.

    Attributes:
        environment: Id of gymnax, without its prefix.
        algorithm: Name, the same on both sides.
        space: Of ours; its dimensions have ARLBench's names.
        env_steps: Of one training, nominally.
        fixed: Hyperparameters that are not searched, under the names that both sides have.
        ours: Those that only our learner has.
    """

    environment: str
    algorithm: str
    space: str
    env_steps: int
    fixed: Mapping[str, Any]
    ours: Mapping[str, Any]

    @property
    def points(self) -> tuple[int, ...]:
        """Env steps at which a training is evaluated, on both sides: ARLBench rounds each of ten parts up to whole iterations."""
        return points_of(self.env_steps, ENVIRONMENTS * self.fixed.get("n_steps", self.fixed.get("train_freq")))


SPEED_TASKS = {
    "mountain_car_continuous_ppo": SpeedTask(
        "MountainCarContinuous-v0",
        "ppo",
        "ppo_arlbench",
        20_000,
        {"n_steps": 1, "update_epochs": 10, "normalize_observations": True},
        PPO_FIXED,
    ),
    "pendulum_ppo": SpeedTask(
        "Pendulum-v1", "ppo", "ppo_arlbench", 100_000, {"n_steps": 512, "update_epochs": 10}, PPO_FIXED
    ),
    "cartpole_ppo": SpeedTask(
        "CartPole-v1", "ppo", "ppo_arlbench", 100_000, {"n_steps": 32, "update_epochs": 20}, PPO_FIXED
    ),
    "cartpole_dqn": SpeedTask(
        "CartPole-v1", "dqn", "dqn_arlbench", 50_000, {"train_freq": 32, "gradient_steps": 128}, DQN_FIXED
    ),
}


def configurations(task: SpeedTask) -> list[dict[str, Any]]:
    """Return the configurations of the sweep, the same for both sides."""
    space = load_space(task.space)
    return [dict(space.sample(derive(0, "speed", number))) for number in range(CONFIGURATIONS)]


def sweep(task: SpeedTask) -> float:
    """Train the whole sweep with our code, in this process; return the best configuration's mean over its seeds."""
    from autorl.engine.devices import start
    from autorl.engine.lanes import Job
    from autorl.engine.trainer import Trainer
    from autorl.environments.registry import make_environment
    from autorl.inner.algorithms import ALGORITHMS
    from autorl.studies.trial import Stage

    devices = start()
    environment = make_environment(f"gymnax:{task.environment}")
    trainer = Trainer(
        learners=[ALGORITHMS.load(task.algorithm)(environment)],
        tasks=[environment.default_task()],
        horizons=[task.env_steps],
        episodes=EPISODES,
        upper_bounds=load_space(task.space).upper_bounds(),
        devices=devices,
    )
    points = task.points
    jobs = [
        Job(
            number,
            0,
            seed,
            (Stage(points[-1], {**task.ours, "n_envs": ENVIRONMENTS, **task.fixed, **values}),),
            points,
        )
        for number, values in enumerate(configurations(task))
        for seed in range(SEEDS)
    ]
    scores = [outcome.score for outcome in trainer.run(jobs)]
    means = [
        statistics.fmean(x) for i in range(CONFIGURATIONS) if None not in (x := scores[i * SEEDS : (i + 1) * SEEDS])
    ]
    return max(means)


def measure_ours(name: str) -> dict[str, float]:
    """Run our sweep in a fresh process without a cache of compiled programs; return wall and processor seconds, and the best mean."""
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(
        [sys.executable, __file__, "--sweep", name], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": time.perf_counter() - began, "cpu_seconds": used, "score": json.loads(done.stdout)["score"]}


class Rival:
    """A process with ARLBench's code."""

    def __init__(self, python: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "XLA_FLAGS")}
        # isolated: benchmarks/arlbench.py must not be taken for the package
        self._process = subprocess.Popen(
            [python, "-I", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.imports = self._answer()

    def train(self, task: SpeedTask, values: Mapping[str, Any], seed: int) -> dict[str, float]:
        """Train one configuration with one seed; return wall and processor seconds and the score."""
        setting = {
            "algorithm": task.algorithm,
            "env_framework": "gymnax",
            "env_name": task.environment,
            "n_envs": ENVIRONMENTS,
            "n_steps": 1,
            "n_total_timesteps": task.env_steps,
            "n_eval_steps": POINTS,
            "n_eval_episodes": EPISODES,
        }
        asked = {"setting": setting, "hyperparameters": {**task.fixed, **values}, "seed": seed}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise UsageError(
                f"--python: its process ended (exit code {self._process.wait()}). Remedy: see the error above."
            )
        answer: dict[str, float] = json.loads(line)
        return answer


def measure(name: str, python: Path, sampled: int, rounds: int) -> dict[str, Any]:
    """Return both sides' seconds and their ratios.

    ARLBench's are those of ``sampled`` trainings, scaled to the sweep; ours are medians over ``rounds`` sweeps.
    """
    task, mine = SPEED_TASKS[name], []
    chosen = configurations(task)
    order = [divmod(i * TRAININGS // sampled, SEEDS) for i in range(sampled)]
    rival = Rival(python)
    theirs = []
    for turn in range(rounds):
        for number, seed in order[turn * sampled // rounds : (turn + 1) * sampled // rounds]:
            theirs.append(rival.train(task, chosen[number], seed + 1))  # arlbench takes seed 0 for none
        mine.append(measure_ours(name))
    rival.close()
    found: dict[str, Any] = {"task": name, "trainings": TRAININGS, "sampled": sampled, "rounds": rounds}
    found["env_steps"] = task.points[-1]
    for key in ("seconds", "cpu_seconds"):
        their_whole = rival.imports[key] + statistics.fmean(t[key] for t in theirs) * TRAININGS
        our_whole = statistics.median(m[key] for m in mine)
        found |= {f"arlbench_{key}": their_whole, f"autorl_{key}": our_whole, f"ratio_{key}": their_whole / our_whole}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, help="a Python that has arlbench")
    parser.add_argument("--task", choices=SPEED_TASKS, default="mountain_car_continuous_ppo")
    parser.add_argument("--sampled", type=int, default=8, help=f"trainings of ARLBench's, of {TRAININGS}")
    parser.add_argument("--rounds", type=int, default=2, help="turns of both sides")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sweep", choices=SPEED_TASKS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sweep:
        print(json.dumps({"score": sweep(SPEED_TASKS[arguments.sweep])}))
        return
    try:
        if arguments.python is None or not arguments.python.exists():
            raise UsageError(
                f"--python {arguments.python}: no such file. Remedy: give a Python that has arlbench (see --help)."
            )
        if not 1 <= arguments.rounds <= arguments.sampled <= TRAININGS:
            raise UsageError(f"--sampled {arguments.sampled}: expected {max(arguments.rounds, 1)} to {TRAININGS}.")
        found = measure(arguments.task, arguments.python, arguments.sampled, arguments.rounds)
    except AutoRLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if arguments.json:
        print(json.dumps(found))
        return
    print(
        f"{found['task']}: {TRAININGS} trainings of {found['env_steps']} env steps on both sides, ARLBench's from "
        f"{found['sampled']} of them, {found['rounds']} rounds"
    )
    for key, title in (("seconds", "wall"), ("cpu_seconds", "processor")):
        print(
            f"  {title:9s} ARLBench {found[f'arlbench_{key}']:8.1f} s   AutoRL {found[f'autorl_{key}']:8.1f} s   "
            f"{found[f'ratio_{key}']:.1f} times faster"
        )


if __name__ == "__main__":
    main()
