"""POET on CartPole with poles of 0.05 to 10 in length and mass: tasks and PPO agents evolve together, against agents that do not.

    python benchmarks/poet.py [--json] [--seeds 5] [--rounds 40] [--pairs 6] [--steps 8192] [--mutation 0.5] [--record FILE]

With --record each seed is a line of FILE, and what stands there with the same settings is not run again.

Three arms at equal env steps, POET's evaluations included: `poet`, pairs of a task and an agent that begin with the usual CartPole;
`fixed`, --pairs agents, each on a random task of its own; `uniform`, one agent on random tasks all over the box. What counts is the
10 x 10 grid of tasks: each is served by the agent that did best in it in one set of episodes, and scored in others, as return / 500;
reported are the mean and the worst tenth (CVaR), with 95 % bootstrap intervals over seeds. Thresholds are on this scale: children from a
score of 0.5; a child's parent scores from 0.1 to 0.9 in it. Mutations go half a side far, for the agent of the usual CartPole masters all
that is near it: with 0.15 of a side next to no child is hard enough to join. An agent that moves to another task goes on in it in the
midst of its episodes.

Measured, with --seeds 10 --rounds 24 (experiments/poet.seeds.jsonl): POET loses. Mean .601 [.528, .695] against .904 [.878, .926] of fixed
and .879 [.856, .901] of uniform; CVaR .123 [.053, .245], .490 [.311, .658] and .483 [.406, .558]. CartPole needs no stepping
stones, and POET spends its first rounds on one task. The mutation was set to 0.5 after a look at 0.15, which was worse still (.434, when
POET was also charged for tasks that only filled up a batch).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import jax.numpy as jnp
import numpy as np

from autorl.analysis.held_out import cvar_ranked_apart
from autorl.analysis.statistics import stratified_bootstrap_interval
from autorl.curricula.course import make_course
from autorl.environments.registry import make_environment
from autorl.environments.task_points import grid_points, task_points, tasks_at
from autorl.inner.evaluation import TaskSet
from autorl.inner.ppo import PPO
from autorl.outer.tasks.poet import Poet
from autorl.studies.json_lines import append, locked, mend, read

ENVIRONMENT = make_environment("contextual:CartPole-wide")
POINTS = task_points(ENVIRONMENT, {"length": None, "masspole": None})
FIRST = (0.43, 0.13)
"""The usual CartPole: a length of 0.5 and a mass of 0.1, in sides of the box."""
SIDE, EPISODES, CHILDREN, LONGEST = 10, 2, 8, 500.0
HORIZON = 2**30
ARMS = ("poet", "fixed", "uniform")
SETTING = ("rounds", "pairs", "steps", "mutation")
"""What a seed's outcome depends on, besides the seed."""


class Agents:
    """So many agents, of which some are active. Programs are compiled once; all agents have one lane each."""

    def __init__(self, count: int, teacher: str | None = None) -> None:
        self.count, self.learner = count, PPO(ENVIRONMENT)
        course = None if teacher is None else make_course({"name": teacher}, ENVIRONMENT, POINTS, (0.0, LONGEST))
        self.hp = PPO.prepare({"anneal_learning_rate": False, "teacher": course}, HORIZON, {})
        self._train, self._scores = jax.jit(self._trained), jax.jit(self._scored)

    def init(self, seed: int) -> Any:
        """Return fresh agents."""
        task = ENVIRONMENT.default_task()
        keys = jax.random.split(jax.random.key(seed), self.count)
        return jax.jit(lambda keys: jax.lax.map(lambda key: self.learner.init(key, self.hp, task), keys))(keys)

    def train(self, states: Any, points: np.ndarray, active: int, steps: int) -> Any:
        """Return the agents after the ``active`` first ones trained for ``steps``, each on its task of ``points`` [count, 2]."""
        here = np.arange(self.count) < active
        until = np.asarray(states.progress.env_steps) + np.where(here, steps, 0)
        return self._train(states, tasks_at(POINTS, ENVIRONMENT.default_task(), points), until.astype(np.int32))

    def scores(self, states: Any, points: np.ndarray, active: int, seed: int, size: int = 0) -> tuple[np.ndarray, int]:
        """Return scores [active, N] in the tasks at ``points`` [N, 2], and env steps; ``size`` tasks at least share a program.

        What fills up to ``size`` is not work of the method. A step pays 1, so returns are steps.
        """
        tasks = tasks_at(POINTS, ENVIRONMENT.default_task(), padded(points, max(size, len(points))))
        returns = np.asarray(self._scores(states, tasks, jnp.arange(self.count) < active, seed))[:active, : len(points)]
        return returns / LONGEST, round(float(returns.sum()) * EPISODES)

    def _trained(self, states: Any, tasks: Any, until: Any) -> Any:
        one = lambda x: self.learner.train(x[0], self.hp, x[1], x[2], jnp.int32(HORIZON))  # noqa: E731
        return jax.lax.map(one, (states, tasks, until))

    def _scored(self, states: Any, tasks: Any, here: Any, seed: Any) -> Any:
        count = len(jax.tree.leaves(tasks)[0])

        def one(given: tuple[Any, Any]) -> Any:
            state, active = given

            def run() -> Any:
                key = jax.random.key(seed)
                found = self.learner.evaluate(state, self.hp, TaskSet(tasks), key, count * EPISODES)
                return found.returns.reshape(EPISODES, count).mean(axis=0)

            return jax.lax.cond(active, run, lambda: jnp.zeros(count))

        return jax.lax.map(one, (states, here))


def padded(points: Any, count: int) -> np.ndarray:
    """Return ``points`` [n, 2], the last one repeated up to ``count``."""
    known = np.asarray(points, np.float32).reshape(-1, 2)
    return np.concatenate([known, np.repeat(known[-1:], count - len(known), axis=0)])


def coevolved(agents: Agents, seed: int, options: argparse.Namespace) -> tuple[Any, int, dict[str, int]]:
    """Return POET's agents, env steps, and what became of its tasks."""
    thresholds = {"reproduce_at": 0.5, "least": 0.1, "most": 0.9}
    poet = Poet(FIRST, **thresholds, pairs=agents.count, children=CHILDREN, mutation=options.mutation, seed=seed)
    pairs, states, work, joined = poet.init(), agents.init(seed), 0, 0
    size = agents.count + CHILDREN

    def moved(sources: tuple[int, ...]) -> Any:
        rows = np.array([*sources, *[0] * (agents.count - len(sources))])
        found = jax.tree.map(lambda leaf: leaf[rows], states)
        # agents of one origin must not draw the same noise
        return found._replace(key=jax.vmap(jax.random.fold_in)(found.key, jnp.arange(agents.count)))

    def score(points: Any, active: int, event: int) -> tuple[np.ndarray, int]:
        return agents.scores(
            states, np.asarray(points, np.float32).reshape(-1, 2), active, 3 * pairs.rounds + event, size
        )

    for _ in range(options.rounds):
        active = len(pairs.tasks)
        states = agents.train(states, padded(pairs.tasks, agents.count), active, options.steps)
        pairs, work = poet.trained(pairs), work + active * options.steps
        scores, steps = score(pairs.tasks, active, 0)
        work += steps
        tried = poet.children_of(pairs, np.diag(scores))
        if tried.tasks:
            found, steps = score(tried.tasks, active, 1)
            change = poet.admit(pairs, tried, found)
            work, joined = work + steps, joined + len(change.pairs.archive) - len(pairs.archive)
            pairs, states = change.pairs, moved(change.sources)
            scores, steps = score(pairs.tasks, len(pairs.tasks), 2)
            work += steps
        change = poet.transfer(pairs, scores)
        pairs, states = change.pairs, moved(change.sources)
    return states, work, {"tasks": joined + 1, "moves": pairs.moves, "pairs": len(pairs.tasks)}


def judged(agents: Agents, states: Any, active: int) -> dict[str, float]:
    """Return mean and CVaR over the grid, each task served by the agent that did best in other episodes, and the worst ranked by others."""
    grid = grid_points(POINTS, SIDE)
    chosen = agents.scores(states, grid, active, 10**6)[0].argmax(axis=0)
    halves = [agents.scores(states, grid, active, 10**6 + i)[0][chosen, np.arange(len(grid))] for i in (1, 2)]
    return {"mean": float(np.mean(halves)), "cvar": cvar_ranked_apart(*halves)}


def one_seed(seed: int, options: argparse.Namespace, many: Agents, one: Agents) -> dict[str, Any]:
    states, work, told = coevolved(many, seed, options)
    found: dict[str, Any] = {"poet": judged(many, states, told["pairs"]) | told, "env_steps": work}
    places = np.random.default_rng(seed).random((many.count, 2), np.float32)
    states = many.train(many.init(seed), places, many.count, work // many.count)
    found["fixed"] = judged(many, states, many.count) | {"env_steps": _trained_for(states, many.count)}
    # two lanes, of which one learns: with one alone the program would be another one
    states = one.train(one.init(seed), padded([FIRST], one.count), 1, work)
    found["uniform"] = judged(one, states, 1) | {"env_steps": _trained_for(states, 1)}
    return found


def _trained_for(states: Any, active: int) -> int:
    """Return the env steps of the ``active`` first agents together."""
    return int(np.asarray(states.progress.env_steps)[:active].sum())


def seeds_of(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what `one_seed` does of every seed, from the record or anew."""
    agents: dict[str, Agents] = {}
    setting = {name: getattr(options, name) for name in SETTING}
    lines = [] if options.record is None else read(options.record, {"seed": int, **dict.fromkeys(ARMS, dict)})
    rows = []
    for seed in range(options.seeds):
        key = setting | {"seed": seed}
        row = next((line for line in lines if key.items() <= line.items()), None)
        if row is None:
            agents = agents or {"many": Agents(options.pairs), "one": Agents(2, "uniform")}
            row = key | one_seed(seed, options, agents["many"], agents["one"])
            if options.record is not None:
                mend(options.record)
                append(options.record, row)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for name, default in {"seeds": 5, "rounds": 40, "pairs": 6, "steps": 8192}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--mutation", type=float, default=0.5, help="greatest change of a task, in sides of the box")
    parser.add_argument("--record", type=Path, help="file of seeds, a line for each")
    options = parser.parse_args()
    began = time.process_time()
    with contextlib.nullcontext() if options.record is None else locked(options.record, "training POET"):
        rows = seeds_of(options)
    mean = partial(np.mean, axis=-1)
    summary = {
        arm: {
            what: [float(np.mean(values)), *stratified_bootstrap_interval(values, mean)]
            for what in ("mean", "cvar")
            if (values := [row[arm][what] for row in rows])
        }
        for arm in ARMS
    }
    if options.json:
        print(json.dumps({"setting": vars(options) | {"record": None}, "seeds": rows, "summary": summary}))
        return
    for arm, own in summary.items():
        shown = "  ".join(f"{what} {v[0]:.3f} [{v[1]:.3f}, {v[2]:.3f}]" for what, v in own.items())
        print(f"{arm:<8} {shown}")
    evolved = ", ".join(f"{row['poet']['tasks']} tasks and {row['poet']['moves']} moves" for row in rows)
    print(f"{options.seeds} seeds, {rows[0]['env_steps']:,} env steps an arm of seed 0; poet: {evolved}")
    print(f"{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
