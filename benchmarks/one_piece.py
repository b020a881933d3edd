"""What it is worth to compile loops over narrow networks in one piece (`autorl.engine.devices.in_one_piece`).

    python benchmarks/one_piece.py [--json] [--repeats 5] [NAME ...]

Four trainings on two host devices and the evaluation of the same agents, compiled once with matrix products by XLA's library, by which
loops that hold them run operation by operation, once in one piece; both with the flags of `autorl.engine.devices.start`, so loops without
products are functions of their own in both. What PPO computes otherwise for the sake of one piece (`autorl.inner.one_piece`: the norm of
its gradient) it does there alone. The two take turns; medians over the turns. Compiling is that of training and evaluating, each
contestant after one of its kind that is thrown away. The engine's own choice is the last column: not every program is compiled so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # compiling is timed, too

import jax
import numpy as np

from autorl.engine import population
from autorl.engine.devices import in_one_piece, start
from autorl.environments.registry import make_environment
from autorl.inner import ppo
from autorl.inner.algorithms import ALGORITHMS

LANES = 4
FUNCTIONS = ("train", "evaluate")
CONTESTANTS = ("apart", "one_piece")


@dataclass(frozen=True)
class Problem:
    """One population.

    Attributes:
        algorithm: Learner.
        environment: Id of gymnax, without its prefix.
        env_steps: Of each training.
        episodes: Of an evaluation.
        values: Hyperparameters other than the learner's defaults.
    """

    algorithm: str
    environment: str
    env_steps: int
    episodes: int
    values: Mapping[str, Any]


def _ppo(n_steps: int, minibatch_size: int, **others: Any) -> dict[str, Any]:
    return {"n_envs": 8, "n_steps": n_steps, "minibatch_size": minibatch_size, "update_epochs": 10, **others}


PROBLEMS = {
    "ppo_8_samples": Problem("ppo", "MountainCarContinuous-v0", 10_240, 128, _ppo(1, 8)),
    "ppo_16_samples": Problem("ppo", "CartPole-v1", 20_480, 128, _ppo(8, 16)),
    "ppo_32_samples": Problem("ppo", "CartPole-v1", 20_480, 128, _ppo(32, 32)),
    "ppo_64_samples": Problem("ppo", "CartPole-v1", 20_480, 128, _ppo(32, 64)),
    "ppo_128_samples": Problem("ppo", "CartPole-v1", 20_480, 8, _ppo(32, 128)),
    "ppo_256_samples": Problem("ppo", "CartPole-v1", 20_480, 8, _ppo(32, 256)),
    "ppo_64_samples_256_units": Problem("ppo", "CartPole-v1", 5_120, 8, _ppo(32, 64, hidden_size=256)),
    "sac_64_units": Problem("sac", "Pendulum-v1", 2_048, 16, {"buffer_size": 10_000, "hidden_size": 64}),
    "dqn_64_samples": Problem("dqn", "CartPole-v1", 10_240, 128, {"buffer_size": 10_000, "buffer_batch_size": 64}),
}


class _Forced(population.PopulationProgram):
    """A program compiled one way, whatever the engine would choose."""

    options: Mapping[str, str]

    def _options(self, name: str, arguments: tuple[Any, ...]) -> dict[str, str]:
        return dict(self.options) if name in FUNCTIONS else super()._options(name, arguments)


class Contestant:
    """A population, compiled one way."""

    def __init__(self, problem: Problem, options: Mapping[str, str]) -> None:
        environment = make_environment(f"gymnax:{problem.environment}")
        learner = ALGORITHMS.load(problem.algorithm)(environment)
        self.program = _Forced(learner, LANES, start(2)[:2], problem.episodes, "map")
        self.program.options = options
        hp = learner.prepare(problem.values, problem.env_steps, {})
        self._hp, self._tasks = (self._stacked(tree) for tree in (hp, environment.default_task()))
        self._until = np.full(LANES, problem.env_steps, np.int32)
        self._begin()
        before = self.program.compile_seconds
        with mock.patch.object(ppo, "one_piece_pays", return_value=bool(options)):  # asked while training is traced
            self.agents = self.train()[1]
        self.evaluate(self.agents)
        self.compile_seconds = self.program.compile_seconds - before

    @staticmethod
    def _stacked(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * LANES), tree)

    def _begin(self) -> Any:
        return jax.block_until_ready(self.program.init(np.arange(LANES, dtype=np.uint32), self._hp, self._tasks))

    def train(self) -> tuple[float, Any]:
        """Train anew; return the seconds, and the agents."""
        states = self._begin()
        began = time.perf_counter()
        states = jax.block_until_ready(self.program.train(states, self._hp, self._tasks, self._until, self._until))
        return time.perf_counter() - began, states

    def evaluate(self, states: Any) -> float:
        """Evaluate agents; return the seconds."""
        seeds, active = np.arange(LANES, dtype=np.uint32), np.ones(LANES, np.bool_)
        began = time.perf_counter()
        jax.block_until_ready(self.program.evaluate(states, self._hp, self._tasks, seeds, active))
        return time.perf_counter() - began

    def chosen(self) -> list[str]:
        """Return the functions that the engine itself would compile in one piece."""
        states = jax.eval_shape(jax.vmap(self.program._init), np.arange(LANES, dtype=np.uint32), self._hp, self._tasks)
        own = super(_Forced, self.program)._options
        return [name for name in FUNCTIONS if own(name, (states, self._hp)) == in_one_piece()]


def measured(name: str, repeats: int) -> dict[str, Any]:
    """Return by how much one piece is faster in training, evaluating and compiling, and what the engine chooses."""
    kinds = dict(zip(CONTESTANTS, ({}, in_one_piece()), strict=True))
    for options in kinds.values():
        Contestant(PROBLEMS[name], options)  # what is compiled first takes longer
    contestants = {kind: Contestant(PROBLEMS[name], options) for kind, options in kinds.items()}
    agents = contestants["apart"].agents
    turns: dict[str, list[float]] = {function: [] for function in FUNCTIONS}
    for _ in range(repeats):
        trained = {kind: contestant.train()[0] for kind, contestant in contestants.items()}
        evaluated = {kind: contestant.evaluate(agents) for kind, contestant in contestants.items()}
        for function, seconds in zip(FUNCTIONS, (trained, evaluated), strict=True):
            turns[function].append(seconds["apart"] / seconds["one_piece"])
    ratios = {
        function: {"ratio": statistics.median(values), "low": min(values), "high": max(values)}
        for function, values in turns.items()
    }
    compiling = {kind: contestant.compile_seconds for kind, contestant in contestants.items()}
    return {"problem": name, **ratios, "compile_seconds": compiling, "chosen": contestants["one_piece"].chosen()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROBLEMS)}; by default all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in PROBLEMS]:
        parser.error(f"unknown problem {unknown[0]!r}. Remedy: choose from {', '.join(PROBLEMS)}")
    if arguments.repeats < 1:
        parser.error(f"--repeats {arguments.repeats} is below 1. Remedy: leave it out for 5")
    start(2)
    if not in_one_piece():
        parser.error(
            "this jaxlib, or XLA_FLAGS, leaves loops as they are. Remedy: install constraints.txt and unset XLA_FLAGS"
        )
    rows = [measured(name, arguments.repeats) for name in arguments.names or PROBLEMS]
    if arguments.json:
        print(json.dumps({"repeats": arguments.repeats, "problems": rows}))
        return
    print(f"{'one piece is faster by':26}{'training':>20}{'evaluating':>22}    compiling, s   chosen for")
    for row in rows:
        shown = [f"{x['ratio']:.2f} [{x['low']:.2f}, {x['high']:.2f}]" for x in (row["train"], row["evaluate"])]
        seconds = row["compile_seconds"]
        print(
            f"{row['problem']:26}{shown[0]:>20}{shown[1]:>22}{seconds['apart']:10.1f}, {seconds['one_piece']:.1f}"
            f"   {', '.join(row['chosen']) or 'neither'}"
        )


if __name__ == "__main__":
    main()
