"""How many environment steps a second does a population train, against peers on the same machine in the same run?

    python benchmarks/throughput.py [--json] [--only ppo|dqn] [--repeats 5] [--candidates 128]

PPO on CartPole, two 64x64 tanh networks, 16 environments, rollouts of 128 steps, 4 epochs of 4 minibatches, three ways:

* AutoRL: 128 candidates (lanes) in one program over two devices, hyperparameters traced. 128 lanes in one program; a search on
  a CPU uses 32 lanes at a time, which trains as fast.
* Stable-Baselines3 in two processes of one torch thread each.
* A PPO written by hand in this file for this one task: constants for hyperparameters, CartPole inlined, nothing measured,
  no tasks, time limit as an end, no check of anything. It uses the same kernels (random numbers, shuffle, weight gradient).

Each contender has its own process; they take turns, and the ratios are medians over the rounds. DQN: `_throughput_dqn`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _workers import Contender, Run, serve

ENVS, STEPS, EPOCHS, MINIBATCHES, WIDTH = 16, 128, 4, 4, 64
ROLLOUT = ENVS * STEPS
ITERATIONS = 10
SB3_ROLLOUTS = 20
GAMMA, LAMBDA, CLIP, VF_COEF, MAX_NORM, RATE = 0.99, 0.95, 0.2, 0.5, 0.5, 2.5e-4


def setup_autorl() -> tuple[Run, dict[str, Any]]:
    """Train all candidates for ten rollouts a run, through the engine's population program."""
    from autorl.engine.devices import start

    devices = start(2)
    import jax
    import numpy as np

    from autorl.engine.population import PopulationProgram
    from autorl.environments.registry import make_environment
    from autorl.inner.ppo import PPO

    lanes = int(os.environ["THROUGHPUT_CANDIDATES"])
    environment = make_environment("gymnax:CartPole-v1")
    program = PopulationProgram(PPO(environment), lanes, devices, 1, "map")
    fixed = {"n_envs": ENVS, "n_steps": STEPS, "update_epochs": EPOCHS, "minibatch_size": ROLLOUT // MINIBATCHES}
    rates = np.geomspace(1e-4, 1e-3, lanes)
    hps = [PPO.prepare({**fixed, "learning_rate": float(rate)}, 10**9, {}) for rate in rates]
    hp = jax.tree.map(lambda *leaves: np.stack(leaves), *hps)
    tasks = jax.tree.map(lambda x: np.stack([np.asarray(x)] * lanes), environment.default_task())
    horizon = np.full(lanes, 10**9, np.int32)
    state = program.init(np.arange(lanes, dtype=np.uint32), hp, tasks)
    until = ROLLOUT
    state = jax.block_until_ready(program.train(state, hp, tasks, np.full(lanes, until, np.int32), horizon))

    def run() -> tuple[int, float]:
        nonlocal state, until
        until += ITERATIONS * ROLLOUT
        started = time.perf_counter()
        state = jax.block_until_ready(program.train(state, hp, tasks, np.full(lanes, until, np.int32), horizon))
        seconds = time.perf_counter() - started
        assert np.all(np.asarray(state.progress.env_steps) == until), "a candidate diverged: it did not do its share"
        return lanes * ITERATIONS * ROLLOUT, seconds

    return run, {"compile_seconds": program.compile_seconds}


def setup_fused() -> tuple[Run, dict[str, Any]]:
    """Train as many agents as there are candidates with the hand-written program."""
    from autorl.engine.devices import start

    devices = start(2)
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    lanes = int(os.environ["THROUGHPUT_CANDIDATES"])
    spec, mesh = PartitionSpec("lanes"), Mesh(np.asarray(devices), ("lanes",))
    iteration, init = fused_ppo()

    def train(states: Any, rounds: Any) -> Any:
        def one(state: Any) -> Any:
            return jax.lax.fori_loop(0, rounds[0], lambda _, s: iteration(s), state)

        return jax.lax.map(one, states)

    mapped = jax.shard_map(train, mesh=mesh, in_specs=(spec, PartitionSpec()), out_specs=spec, check_vma=False)
    sharding = NamedSharding(mesh, spec)
    # one after another: XLA (0.10.2) deadlocks in a large batch of QR decompositions with two devices on two cores
    fresh = jax.jit(lambda seeds: jax.lax.map(init, seeds))(jnp.arange(lanes))
    state = jax.device_put(fresh, sharding)
    jitted = jax.jit(mapped, donate_argnums=0, out_shardings=sharding)
    started = time.perf_counter()
    compiled = jitted.lower(state, np.ones(1, np.int32)).compile()
    seconds = time.perf_counter() - started
    state = jax.block_until_ready(compiled(state, np.ones(1, np.int32)))

    def run() -> tuple[int, float]:
        nonlocal state
        started = time.perf_counter()
        state = jax.block_until_ready(compiled(state, np.full(1, ITERATIONS, np.int32)))
        return lanes * ITERATIONS * ROLLOUT, time.perf_counter() - started

    return run, {"compile_seconds": seconds}


def fused_ppo() -> tuple[Any, Any]:
    """Return (iteration: state -> state, init: seed -> state) of a PPO for CartPole and nothing else."""
    import jax
    import jax.numpy as jnp
    from jax import lax
    from jax.flatten_util import ravel_pytree

    from autorl.inner.networks import matmul
    from autorl.inner.shuffle import permutation
    from autorl.inner.threefry import unrolled

    def new_network(key: Any, outputs: int, gain: float) -> Any:
        sizes = [(4, WIDTH, 2**0.5), (WIDTH, WIDTH, 2**0.5), (WIDTH, outputs, gain)]
        keys = jax.random.split(key, 3)
        return [
            (jax.nn.initializers.orthogonal(g)(k, (i, o)), jnp.zeros(o))
            for k, (i, o, g) in zip(keys, sizes, strict=True)
        ]

    def forward(network: Any, x: Any) -> Any:
        for kernel, bias in network[:-1]:
            x = jnp.tanh(matmul(x, kernel) + bias)
        return matmul(x, network[-1][0]) + network[-1][1]

    def networks(key: Any) -> Any:
        return new_network(key, 2, 0.01), new_network(jax.random.fold_in(key, 1), 1, 1.0)

    _, unravel = ravel_pytree(networks(jax.random.key(0)))

    def fresh(key: Any) -> Any:
        return jax.random.uniform(key, (ENVS, 4), minval=-0.05, maxval=0.05)

    def init(seed: Any) -> Any:
        key = jax.random.key(seed)
        flat, _ = ravel_pytree(networks(key))
        zeros = jnp.zeros_like(flat)
        return flat, zeros, zeros, jnp.int32(0), fresh(key), jnp.zeros(ENVS, jnp.int32), key

    def cartpole(x: Any, action: Any) -> Any:
        position, speed, angle, spin = x[:, 0], x[:, 1], x[:, 2], x[:, 3]
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        push = (jnp.where(action, 10.0, -10.0) + 0.05 * spin**2 * sin) / 1.1
        turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
        shift = push - 0.05 * turn * cos / 1.1
        return jnp.stack(
            [position + 0.02 * speed, speed + 0.02 * shift, angle + 0.02 * spin, spin + 0.02 * turn], axis=1
        )

    def iteration(state: Any) -> Any:
        flat, first, second, count, x, age, key = state
        actor, critic = unravel(flat)
        noise_key, reset_key, shuffle_key = jax.random.split(unrolled(jax.random.fold_in(key, count)), 3)
        noise = jax.random.logistic(noise_key, (STEPS, ENVS))

        def step(carry: Any, drawn: Any) -> Any:
            x, age = carry
            noise, t = drawn
            logits = forward(actor, x)
            action = logits[:, 1] - logits[:, 0] + noise > 0
            new, age = cartpole(x, action), age + 1
            done = (jnp.abs(new[:, 0]) > 2.4) | (jnp.abs(new[:, 2]) > 0.2094395) | (age >= 500)

            def reset() -> Any:
                return jnp.where(done[:, None], fresh(jax.random.fold_in(reset_key, t)), new)

            return (lax.cond(jnp.any(done), reset, lambda: new), jnp.where(done, 0, age)), (x, action, logits, done)

        (x, age), (seen, action, logits, done) = lax.scan(step, (x, age), (noise, jnp.arange(STEPS)))
        values = forward(critic, jnp.concatenate([seen, x[None]]).reshape(-1, 4)).reshape(STEPS + 1, ENVS)
        going = jnp.where(done, 0.0, GAMMA)
        deltas = 1.0 + going * values[1:] - values[:-1]

        def back(total: Any, now: Any) -> Any:
            total = now[0] + now[1] * total
            return total, total

        advantage = lax.scan(back, jnp.zeros(ENVS), (deltas, going * LAMBDA), reverse=True, unroll=8)[1]

        def log_softmax(logits: Any, action: Any) -> Any:
            gap = jnp.where(action > 0, 1.0, -1.0) * (logits[..., 1] - logits[..., 0])
            return -jax.nn.softplus(-gap)

        old = log_softmax(logits, action)
        columns = [action.astype(jnp.float32), old, advantage, advantage + values[:-1]]
        batch = jnp.concatenate([seen.reshape(-1, 4), jnp.stack(columns, -1).reshape(-1, 4)], axis=1)

        def loss(tree: Any, rows: Any) -> Any:
            x, action, old, advantage, target = rows[:, :4], rows[:, 4], rows[:, 5], rows[:, 6], rows[:, 7]
            logits, value = forward(tree[0], x), forward(tree[1], x)[:, 0]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            ratio = jnp.exp(log_softmax(logits, action) - old)
            policy = -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage).mean()
            return policy + VF_COEF * 0.5 * jnp.square(value - target).mean()

        def update(carry: Any, rows: Any) -> Any:
            flat, first, second, count = carry
            gradient, _ = ravel_pytree(jax.grad(loss)(unravel(flat), batch[rows]))
            gradient *= jnp.minimum(1.0, MAX_NORM / (jnp.sqrt(jnp.vdot(gradient, gradient)) + 1e-6))
            count += 1
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            rate = RATE / (1 - 0.9 ** count.astype(jnp.float32))
            scale = jnp.sqrt(second / (1 - 0.999 ** count.astype(jnp.float32))) + 1e-5
            return (flat - rate * first / scale, first, second, count), None

        def epoch(i: Any, carry: Any) -> Any:
            order = permutation(jax.random.fold_in(shuffle_key, i), ROLLOUT).reshape(MINIBATCHES, -1)
            return lax.scan(update, carry, order)[0]

        return (*lax.fori_loop(0, EPOCHS, epoch, (flat, first, second, count)), x, age, key)

    return iteration, init


def setup_sb3() -> tuple[Run, dict[str, Any]]:
    """Train one Stable-Baselines3 agent, in one torch thread, for twenty rollouts a run."""
    import gymnasium
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    torch.set_num_threads(1)
    environments = DummyVecEnv([lambda: gymnasium.make("CartPole-v1") for _ in range(ENVS)])
    agent = PPO(
        "MlpPolicy",
        environments,
        learning_rate=RATE,
        n_steps=STEPS,
        batch_size=ROLLOUT // MINIBATCHES,
        n_epochs=EPOCHS,
        gamma=GAMMA,
        gae_lambda=LAMBDA,
        clip_range=CLIP,
        vf_coef=VF_COEF,
        max_grad_norm=MAX_NORM,
        device="cpu",
    )
    agent.learn(ROLLOUT)

    def run() -> tuple[int, float]:
        started = time.perf_counter()
        agent.learn(SB3_ROLLOUTS * ROLLOUT, reset_num_timesteps=False)
        return SB3_ROLLOUTS * ROLLOUT, time.perf_counter() - started

    return run, {}


SETUPS = {"autorl": setup_autorl, "fused": setup_fused, "sb3": setup_sb3}


def run_ppo(repeats: int, candidates: int) -> dict[str, Any]:
    """Return the ratios, compile seconds, peak memory, and the median env steps/s of each contender."""
    environment = {**os.environ, "THROUGHPUT_CANDIDATES": str(candidates), "JAX_ENABLE_COMPILATION_CACHE": "false"}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    contenders = {
        name: Contender([__file__, "--worker", name], 2 if name == "sb3" else 1, environment) for name in SETUPS
    }
    rounds: list[dict[str, float]] = []
    for _ in range(repeats):
        rounds.append({name: contender.steps_per_second() for name, contender in contenders.items()})
    for contender in contenders.values():
        contender.close()
    return {
        "ratio_to_sb3": statistics.median(r["autorl"] / r["sb3"] for r in rounds),
        "ratio_to_fused": statistics.median(r["autorl"] / r["fused"] for r in rounds),
        "compile_seconds": contenders["autorl"].details["compile_seconds"],
        "peak_memory_mb": contenders["autorl"].peak_memory_mb,
        "env_steps_per_second": {name: statistics.median(r[name] for r in rounds) for name in SETUPS},
        "candidates": candidates,
        "repeats": repeats,
    }


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """Print what a person wants to see."""
    for algorithm, result in results.items():
        print(f"\n{algorithm.upper()}, CartPole, {result.get('candidates', '?')} candidates")
        for name, speed in result.get("env_steps_per_second", {}).items():
            print(f"  {name:<10} {speed:>12,.0f} env steps/s")
        for name in ("ratio_to_sb3", "ratio_to_fused", "compile_seconds", "peak_memory_mb"):
            if name in result:
                print(f"  {name:<16} {result[name]:>10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", choices=("ppo", "dqn"), help="one half of the benchmark")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; ratios are medians over them")
    parser.add_argument("--candidates", type=int, default=None, help="of PPO, default 128")
    parser.add_argument("--worker", choices=SETUPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(SETUPS[options.worker])
        return
    results: dict[str, dict[str, Any]] = {}
    if options.only != "dqn":
        results["ppo"] = run_ppo(options.repeats, options.candidates or 128)
    if options.only != "ppo":
        import _throughput_dqn

        results["dqn"] = _throughput_dqn.run(options.repeats)
    print(json.dumps(results)) if options.json else print_table(results)


if __name__ == "__main__":
    main()
