"""How fast the environments with tasks run: env steps a second, 256 of them in one vmap, each with its own task.

    python benchmarks/environment_speed.py [--json] [--steps 400] [NAME ...]

Random actions, episodes started anew where they end, the best of three runs after the first one has compiled.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import jax
import jax.numpy as jnp

from autorl.environments.autoreset import batched_reset, batched_step_or_reset
from autorl.environments.protocol import Discrete, Environment
from autorl.environments.registry import environment_names, make_environment

ENVIRONMENTS = 256
OWNED = ("contextual:", "point_mass:", "maze:", "lpg:")


def rollout(environment: Environment, steps: int) -> Any:
    """Return a compiled function of a key and 256 tasks that plays ``steps`` steps in each and returns the sum of all that it saw."""
    space = environment.action_space

    @jax.jit
    def play(key: jax.Array, tasks: Any) -> jax.Array:
        for_reset, for_steps, for_actions = jax.random.split(key, 3)
        shape = (steps, ENVIRONMENTS)
        if isinstance(space, Discrete):
            actions = jax.random.randint(for_actions, shape, 0, space.n)
        else:
            actions = jax.random.uniform(for_actions, (*shape, *space.shape), minval=space.low, maxval=space.high)
        observations, states = batched_reset(environment, jax.random.split(for_reset, ENVIRONMENTS), tasks, task_axis=0)

        def one(carry: Any, inputs: Any) -> Any:
            states, total = carry
            step, seen, states = batched_step_or_reset(environment, inputs[0], states, inputs[1], tasks, task_axis=0)
            return (states, total + step.reward.sum() + seen.sum()), None

        start = (states, observations.sum())
        return jax.lax.scan(one, start, (jax.random.split(for_steps, shape), actions))[0][1]

    return play


def measured(name: str, steps: int) -> dict[str, Any]:
    """Return the speed of one environment."""
    environment = make_environment(name)
    task = environment.default_task()
    tasks = jax.tree.map(lambda x: jnp.broadcast_to(x, (ENVIRONMENTS, *x.shape)), task)
    play, times = rollout(environment, steps), []
    for run in range(4):
        start = time.perf_counter()
        play(jax.random.key(run), tasks).block_until_ready()
        times.append(time.perf_counter() - start)
    best = min(times[1:])
    return {
        "environment": name,
        "steps_per_second": ENVIRONMENTS * steps / best,
        "compile_seconds": max(times[0] - best, 0.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="environments; by default all with tasks that are written here")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = options.names or [name for name in environment_names() if name.startswith(OWNED)]
    for name in names:
        row = measured(name, options.steps)
        if options.json:
            print(json.dumps(row), flush=True)
        else:
            print(
                f"{name:32} {row['steps_per_second'] / 1e6:8.2f} M env steps/s, compiled in {row['compile_seconds']:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
