"""The ladder of losses on random decision processes: what the judge of loss discovery says of losses that are known.

    python benchmarks/mdp_ladder.py [--json] [--lanes 8] [--first-seed 10000] [--iterations 600] [--only NAME ...]

Each loss trains the learner ``tabular`` with its default settings in ``mdp:lottery``. A lane is one seed, and its 12 processes are
independent draws, so the 95 % intervals are over all processes. Small seeds were seen while the distribution was chosen (how, is
said in `autorl.environments.tabular_mdp`); the default ones were not. Milliseconds are of processor time, for one candidate (one lane).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from autorl.engine.devices import start

DEVICES = start()  # one for each core, before jax is imported

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import Array  # noqa: E402

from autorl.engine.population import PopulationProgram, lanes_for  # noqa: E402
from autorl.environments.registry import make_environment  # noqa: E402
from autorl.inner.tabular import TabularQ  # noqa: E402

ITERATIONS = 600
NEEDS = ("q", "q_action", "q_next", "q_target", "q_target_next", "action", "reward", "discount", "progress")
Registers = Mapping[str, Any]


def squared(target: Callable[[Registers], Array]) -> Callable[[Registers], Array]:
    """Return the loss (Q(s, a) - target)^2."""
    return lambda x: jnp.square(x["q_action"] - target(x))


def best(x: Registers) -> Array:
    """Return the target table's max_a Q(s', a)."""
    return jnp.max(x["q_target_next"], axis=0)


def delta(x: Registers) -> Array:
    """Return the TD error."""
    return x["q_action"] - x["reward"] - x["discount"] * best(x)


def double(x: Registers) -> Array:
    """Return the target of Double DQN."""
    chosen = jax.nn.one_hot(jnp.argmax(x["q_next"], axis=0), x["q_next"].shape[0], axis=0)
    return x["reward"] + x["discount"] * jnp.sum(x["q_target_next"] * chosen, axis=0)


LOSSES: dict[str, Callable[[Registers], Array]] = {
    # the same policy as TD
    "TD": lambda x: jnp.square(delta(x)),
    "double DQN": squared(double),
    "DQNReg": lambda x: 0.1 * x["q_action"] + jnp.square(delta(x)),
    "(Qa - g max)^2 / 2 - r Qa": lambda x: (
        0.5 * jnp.square(x["q_action"] - x["discount"] * best(x)) - x["reward"] * x["q_action"]
    ),
    # nearly: one part is bent
    "g^2 for g": squared(lambda x: x["reward"] + jnp.square(x["discount"]) * best(x)),
    "g (r + max)": squared(lambda x: x["discount"] * (x["reward"] + best(x))),
    "g delta^2": lambda x: x["discount"] * jnp.square(delta(x)),
    "delta^4": lambda x: jnp.square(jnp.square(delta(x))),
    "log cosh delta": lambda x: jnp.logaddexp(delta(x), -delta(x)),
    "|delta|": lambda x: jnp.abs(delta(x)),
    "residual gradient": squared(lambda x: x["reward"] + x["discount"] * jnp.max(x["q_next"], axis=0)),
    # one part is wrong
    "mean for max": squared(lambda x: x["reward"] + x["discount"] * jnp.mean(x["q_target_next"], axis=0)),
    "min for max": squared(lambda x: x["reward"] + x["discount"] * jnp.min(x["q_target_next"], axis=0)),
    "Q(s) for Q(s')": squared(lambda x: x["reward"] + x["discount"] * jnp.max(x["q_target"], axis=0)),
    "g / 2 for g": squared(lambda x: x["reward"] + 0.5 * x["discount"] * best(x)),
    "0.9 for g": squared(lambda x: x["reward"] + 0.9 * best(x)),
    "1 for g": squared(lambda x: x["reward"] + best(x)),
    "1 for r": squared(lambda x: 1.0 + x["discount"] * best(x)),
    "0 for r": squared(lambda x: x["discount"] * best(x)),
    # false summits of earlier distributions
    "g (Qa - r - max)^2": lambda x: x["discount"] * jnp.square(x["q_action"] - x["reward"] - best(x)),
    "(r + max - Qa - mean Q)^2": squared(lambda x: x["reward"] + best(x) - jnp.mean(x["q"], axis=0)),
    "(r + g max - Qa - mean Q)^2": squared(lambda x: x["reward"] + x["discount"] * best(x) - jnp.mean(x["q"], axis=0)),
    "r + g": squared(lambda x: x["reward"] + x["discount"]),
    "r - g": squared(lambda x: x["reward"] - x["discount"]),
    "r g": squared(lambda x: x["reward"] * x["discount"]),
    "r + [g > 0] max": squared(lambda x: x["reward"] + (x["discount"] > 0.0) * best(x)),
    # the first rungs
    "r": squared(lambda x: x["reward"]),
    "nothing": lambda x: jnp.square(x["q_action"]),
}


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["name"])
@dataclass(frozen=True)
class ZooLoss:
    """One of `LOSSES` as an objective; it is handed every register, and XLA drops what it does not read."""

    name: str = field(metadata={"static": True})

    @property
    def family(self) -> str:
        """Register family."""
        return "value"

    @property
    def needs(self) -> tuple[str, ...]:
        """All registers."""
        return NEEDS

    def per_sample(self, registers: Registers) -> Array:
        """Return the loss of each sample."""
        return LOSSES[self.name](registers)


def judge(name: str, lanes: int, first_seed: int, env_steps: int) -> dict[str, Any]:
    """Return mean score and 95 % interval of one loss over ``lanes`` seeds, and the milliseconds of a candidate."""
    learner = TabularQ(make_environment("mdp:lottery"))
    count = lanes_for(lanes, len(DEVICES))
    hp = learner.prepare({"objective": ZooLoss(name)}, env_steps, {})
    stacked = jax.tree.map(lambda leaf: np.stack([leaf] * count), (hp, learner.environment.default_task()))
    program = PopulationProgram(learner, count, DEVICES, episodes=1, vectorise="map")
    seeds, until = np.arange(first_seed, first_seed + count, dtype=np.uint32), np.full(count, env_steps, np.int32)

    def train() -> Any:
        states = program.init(seeds, *stacked)
        return jax.block_until_ready(program.train(states, *stacked, until, until))

    train()
    started = time.process_time()
    states = train()
    seconds = time.process_time() - started
    scores = np.asarray(jax.jit(lambda s: jax.lax.map(lambda one: learner.scores(one, hp), s))(states))[:lanes]
    diverged = np.asarray(states.progress.diverged)[:lanes]
    margin = 1.96 * statistics.stdev(scores.ravel().tolist()) / scores.size**0.5
    return {
        "loss": name,
        "score": float(scores.mean()),
        "interval": [float(scores.mean() - margin), float(scores.mean() + margin)],
        "solved": float((scores > 0.9).mean()),
        "between_lanes": float(scores.mean(axis=1).std(ddof=1)),
        "diverged": int(diverged.sum()),
        "milliseconds": 1e3 * seconds / count,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--lanes", type=int, default=8, help="seeds; each draws 12 processes (at least 2)")
    parser.add_argument("--first-seed", type=int, default=10_000)
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="updates; 96 env steps each")
    parser.add_argument("--only", nargs="*", choices=LOSSES, help="some of the losses")
    options = parser.parse_args()
    rows = []
    if not options.json:
        print(f"{'loss':<30} {'score':>6}  {'95 % interval':<15} {'> .9':>5} {'ms':>6}")
    for name in options.only or LOSSES:
        row = judge(name, options.lanes, options.first_seed, 96 * options.iterations)
        rows.append(row)
        if not options.json:
            low, high = row["interval"]
            print(
                f"{name:<30} {row['score']:6.3f}  [{low:.3f}, {high:.3f}]  {row['solved']:5.2f} {row['milliseconds']:6.1f}"
                + (f"  {row['diverged']} diverged" if row["diverged"] else ""),
                flush=True,
            )
    if options.json:
        print(json.dumps({"iterations": options.iterations, "lanes": options.lanes, "losses": rows}))


if __name__ == "__main__":
    main()
