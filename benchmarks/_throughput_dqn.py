"""DQN: env steps/s of a population here, of a fused DQN written by hand for nothing else, and of Stable-Baselines3.

CartPole, one environment, an update of batch 32 on every fourth step, two layers of 64, ReLU, hard target updates. Every
contestant runs in processes of its own that stay ready, and they take turns, so that a busy machine is busy for all:

* ``autorl``: 32 candidates with different learning rates, as the engine trains them, one host device for each core;
* ``fused``: the same algorithm with every setting a constant, uniform replay only, and nothing that a search needs;
* ``sb3``: Stable-Baselines3's DQN, one process for each core, one torch thread in each (its loss is Huber's; it is what it has).

Stepping starts before learning and learning starts after 1,000 steps, for all. Run it alone with
``python benchmarks/_throughput_dqn.py``; ``throughput.py`` prints it beside PPO.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

CORES = 2
CANDIDATES = 32
ENV_STEPS = 20_000
BATCH, HIDDEN, TRAIN_FREQ, LEARNING_STARTS, TARGET_INTERVAL, RING = 32, 64, 4, 1000, 500, 20_000
GAMMA, LEARNING_RATE, FRACTION, LAST_EPSILON, MAX_NORM = 0.99, 1e-3, 0.1, 0.05, 10.0


def run(repeats: int) -> dict[str, Any]:
    """Measure ``repeats`` turns of every contestant; return medians and their ratios."""
    contestants = {"autorl": 1, "fused": 1, "sb3": CORES}
    processes = {name: [_start(name) for _ in range(count)] for name, count in contestants.items()}
    try:
        ready = {name: [_answer(p) for p in group] for name, group in processes.items()}
        turns: dict[str, list[float]] = {name: [] for name in processes}
        for _ in range(repeats):
            for name, group in processes.items():
                turns[name].append(_turn(group))
    finally:
        for process in (p for group in processes.values() for p in group):
            process.kill()
            process.wait()
    speed = {name: statistics.median(values) for name, values in turns.items()}
    return {
        "ratio_to_sb3": speed["autorl"] / speed["sb3"],
        "ratio_to_fused": speed["autorl"] / speed["fused"],
        "compile_seconds": ready["autorl"][0]["compile_seconds"],
        "peak_memory_mb": ready["autorl"][0]["peak_memory_mb"],
        "env_steps_per_second": {name: speed[name] for name in ("autorl", "fused", "sb3")},
        "candidates": CANDIDATES,
    }


def _start(name: str) -> subprocess.Popen[str]:
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} if name == "sb3" else {}
    platform = {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "false"}  # or compiling would cost nothing
    return subprocess.Popen(
        [sys.executable, __file__, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **platform, **threads},
    )


def _answer(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a benchmark process ended early with code {process.wait()}; its error is above")
    answer: dict[str, float] = json.loads(line)
    return answer


def _turn(group: list[subprocess.Popen[str]]) -> float:
    """Let all processes of one contestant train at once; return the env steps/s of all together."""
    for process in group:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [_answer(process) for process in group]
    return sum(a["env_steps"] for a in answers) / max(a["seconds"] for a in answers)


def _serve(train: Callable[[], int], **ready: float) -> None:
    """Report readiness, then time ``train`` (which returns its env steps) once for each line on standard input."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(json.dumps({**ready, "peak_memory_mb": memory}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        env_steps = train()
        print(json.dumps({"env_steps": env_steps, "seconds": time.perf_counter() - started}), flush=True)


def serve_autorl() -> None:
    from autorl.engine.devices import start

    devices = start(CORES)
    import jax
    import numpy as np

    from autorl.engine.population import PopulationProgram
    from autorl.environments.registry import make_environment
    from autorl.inner.dqn import DQN

    values = {
        "buffer_batch_size": BATCH,
        "hidden_size": HIDDEN,
        "activation": "relu",
        "train_freq": TRAIN_FREQ,
        "gradient_steps": 1,
        "learning_starts": LEARNING_STARTS,
        "target_update_interval": TARGET_INTERVAL,
        "tau": 1.0,
        "gamma": GAMMA,
        "exploration_fraction": FRACTION,
        "target_epsilon": LAST_EPSILON,
        "buffer_size": RING,
        "max_grad_norm": MAX_NORM,
    }
    rates = LEARNING_RATE * np.geomspace(0.5, 2.0, CANDIDATES)
    many = [DQN.prepare({**values, "learning_rate": float(rate)}, ENV_STEPS, {}) for rate in rates]
    hps = jax.tree.map(lambda *leaves: np.stack(leaves), *many)
    learner = DQN(make_environment("gymnax:CartPole-v1"))
    tasks = jax.tree.map(lambda x: np.stack([np.asarray(x)] * CANDIDATES), learner.environment.default_task())
    program = PopulationProgram(learner, CANDIDATES, devices, 1, "map")
    seeds, until = np.arange(CANDIDATES, dtype=np.uint32), np.full(CANDIDATES, ENV_STEPS, np.int32)

    def train() -> int:
        states = program.train(program.init(seeds, hps, tasks), hps, tasks, until, until)
        return int(np.asarray(states.progress.env_steps).sum())

    train()
    _serve(train, compile_seconds=program.compile_seconds)


def serve_sb3() -> None:
    import gymnasium
    import torch
    from stable_baselines3 import DQN

    torch.set_num_threads(1)

    def train(env_steps: int = ENV_STEPS) -> int:
        model = DQN(
            "MlpPolicy",
            gymnasium.make("CartPole-v1"),
            learning_rate=LEARNING_RATE,
            buffer_size=RING,
            learning_starts=LEARNING_STARTS,
            batch_size=BATCH,
            tau=1.0,
            gamma=GAMMA,
            train_freq=TRAIN_FREQ,
            gradient_steps=1,
            target_update_interval=TARGET_INTERVAL,
            exploration_fraction=FRACTION,
            exploration_final_eps=LAST_EPSILON,
            max_grad_norm=MAX_NORM,
            policy_kwargs={"net_arch": [HIDDEN, HIDDEN]},
            device="cpu",
        )
        model.learn(env_steps)
        return int(model.num_timesteps)

    train(1500)
    _serve(train)


class Fused(NamedTuple):
    """State of the hand-written one: x = (position, velocity, angle, angular velocity), everything else flat vectors."""

    x: Any
    time: Any
    parameters: Any
    target: Any
    first: Any
    second: Any
    rows: Any


def serve_fused() -> None:
    from autorl.engine.devices import start

    devices = start(CORES)
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.sharding import Mesh, PartitionSpec

    shapes = ((4, HIDDEN), (HIDDEN,), (HIDDEN, HIDDEN), (HIDDEN,), (HIDDEN, 2), (2,))
    chunk = 100  # iterations for each draw of random numbers
    draws = 3 * TRAIN_FREQ + 4 + BATCH

    def unpack(flat: Any) -> list[Any]:
        ends = np.cumsum([int(np.prod(s)) for s in shapes])
        return [flat[end - int(np.prod(s)) : end].reshape(s) for s, end in zip(shapes, ends, strict=True)]

    def q(tree: list[Any], x: Any) -> Any:
        hidden = jax.nn.relu(jax.nn.relu(x @ tree[0] + tree[1]) @ tree[2] + tree[3])
        return hidden @ tree[4] + tree[5]

    def cartpole(x: Any, action: Any) -> Any:
        force = jnp.where(action == 1, 10.0, -10.0)
        cos, sin = jnp.cos(x[2]), jnp.sin(x[2])
        push = (force + 0.05 * x[3] ** 2 * sin) / 1.1
        turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
        return x + 0.02 * jnp.stack([x[1], push - 0.05 * turn * cos / 1.1, x[3], turn])

    def act(state: Fused, step: Any, u: Any, start: Any) -> Fused:
        epsilon = 1.0 - jnp.minimum(step / (FRACTION * ENV_STEPS), 1.0) * (1.0 - LAST_EPSILON)
        greedy = jnp.argmax(q(unpack(state.parameters), state.x[None])[0])
        action = jnp.where(u[0] < epsilon, (u[1] * 2).astype(jnp.int32), greedy)
        x = cartpole(state.x, action)
        terminated = (jnp.abs(x[0]) > 2.4) | (jnp.abs(x[2]) > 12 * 2 * np.pi / 360)
        done = terminated | (state.time + 1 >= 500)
        row = jnp.concatenate(
            [state.x, x, jnp.stack([action.astype(jnp.float32), 1.0, terminated.astype(jnp.float32)])]
        )
        rows = jax.lax.dynamic_update_slice(state.rows, row[None], (step % RING, 0))
        fresh = start * 0.1 - 0.05
        return state._replace(x=jnp.where(done, fresh, x), time=jnp.where(done, 0, state.time + 1), rows=rows)

    def learn(state: Fused, step: Any, u: Any) -> Fused:
        rows = state.rows[(u * jnp.minimum(step, RING)).astype(jnp.int32)]
        goal = rows[:, 9] + GAMMA * (1.0 - rows[:, 10]) * jnp.max(q(unpack(state.target), rows[:, 4:8]), axis=1)

        def loss(tree: list[Any]) -> Any:
            values = q(tree, rows[:, :4])
            return 0.5 * jnp.mean((jnp.where(rows[:, 8] == 1, values[:, 1], values[:, 0]) - goal) ** 2)

        tree = jax.grad(loss)(unpack(state.parameters))
        gradient = jnp.concatenate([leaf.reshape(-1) for leaf in tree])
        gradient *= jnp.minimum(1.0, MAX_NORM / (jnp.sqrt(gradient @ gradient) + 1e-6))
        count = (step - LEARNING_STARTS) / TRAIN_FREQ
        first = 0.9 * state.first + 0.1 * gradient
        second = 0.999 * state.second + 0.001 * gradient**2
        scale = LEARNING_RATE / (1.0 - 0.9**count)
        parameters = state.parameters - scale * first / (jnp.sqrt(second / (1.0 - 0.999**count)) + 1e-8)
        return state._replace(parameters=parameters, first=first, second=second)

    def iterate(state: Fused, numbered: tuple[Any, Any], learning: bool) -> tuple[Fused, None]:
        iteration, u = numbered
        step = iteration * TRAIN_FREQ
        for i in range(TRAIN_FREQ):
            state = act(state, step + i, u[3 * i : 3 * i + 3], u[-4:])
        after = step + TRAIN_FREQ
        if not learning:
            return state, None
        due = after // TARGET_INTERVAL > step // TARGET_INTERVAL
        target = jax.lax.cond(due, lambda: state.parameters, lambda: state.target)
        return learn(state._replace(target=target), after, u[3 * TRAIN_FREQ : 3 * TRAIN_FREQ + BATCH]), None

    def member(seed: Any) -> Any:
        key = jax.random.key(seed)
        leaves = [jax.nn.initializers.orthogonal()(key, s) if len(s) == 2 else jnp.zeros(s) for s in shapes]
        flat = jnp.concatenate([leaf.reshape(-1) for leaf in leaves])
        state = Fused(jnp.zeros(4), jnp.int32(0), flat, flat, flat * 0, flat * 0, jnp.zeros((RING, 11)))

        def block(learning: bool, state: Fused, number: Any) -> tuple[Fused, None]:
            u = jax.random.uniform(jax.random.fold_in(key, number), (chunk, draws))
            iterations = number * chunk + jnp.arange(chunk)
            return jax.lax.scan(lambda s, n: iterate(s, n, learning), state, (iterations, u))

        blocks, early = ENV_STEPS // (chunk * TRAIN_FREQ), -(-LEARNING_STARTS // (chunk * TRAIN_FREQ))
        state, _ = jax.lax.scan(lambda s, n: block(False, s, n), state, jnp.arange(early))
        state, _ = jax.lax.scan(lambda s, n: block(True, s, n), state, jnp.arange(early, blocks))
        return jnp.sum(state.parameters) + jnp.sum(state.x)

    mesh = Mesh(np.asarray(devices), ("lanes",))
    spec = PartitionSpec("lanes")
    program = jax.jit(
        jax.shard_map(lambda s: jax.lax.map(member, s), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    )

    def train() -> int:
        result = np.asarray(program(np.arange(CANDIDATES)))
        if not np.isfinite(result).all():
            raise RuntimeError("the fused DQN diverged")
        return CANDIDATES * ENV_STEPS

    train()
    _serve(train)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"autorl": serve_autorl, "fused": serve_fused, "sb3": serve_sb3}[sys.argv[1]]()
    else:
        print(json.dumps(run(3), indent=2))
