"""How many loss graphs does the machine train a minute: interpreted, fused into one program, or compiled one by one?

    python benchmarks/loss_graphs.py [--json] [--repeats 5]

DQN on CartPole, two hidden layers of 64, an update of batch 32 on every env step. The graphs are random ones of 5 to 12 live nodes that
teach something: a search trains no others, and of a loss without slopes a compiler would leave out most of the training.

* ``hand``: the TD loss written by hand, 16 lanes (two for each core, if that is more) on all cores. What an update costs at best.
* ``interpreter``: as many lanes of different graphs, run as data. Compiled once for a search. Its graphs may read `REGISTERS`: neither the
  next state's values nor the target network's of this one, each of which costs another pass through a network.
* ``all_registers``: the same graphs, interpreted for a search in which they may read every register.
* ``coreyes2021``: the same with random programs of Co-Reyes et al.'s language and 20 nodes, which apply the networks themselves.
* ``fused``: lanes of different graphs in one program, which is compiled for each batch.
* ``alone``: one compilation for each of the graphs that ``fused`` has, dealt out to as many pinned processes as cores, none of which waits
  for another; initialisation is not counted.

Speeds are measured, each contender in processes of its own that take turns; candidates a minute follow from them and from the compile
seconds: `CANDIDATES` share the interpreter's compilation, `BATCH` graphs a fused program. ``memory`` trains 5,000 different graphs in
one process. The constants of `autorl.objectives.graphs.back_end` come from the line ``back end``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _workers import WORKER, Contender, Run, serve

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
LANES = max(16, 2 << (CORES.bit_length() - 1))
STEPS, BATCH, CANDIDATES = 2000, 32, 1000
BUDGETS = (2_000, 10_000, 100_000, 1_000_000, 10_000_000)
REGISTERS = ("q", "q_action", "q_target_next", "action", "reward", "discount", "progress")
NODES = (5, 12)
TRAINING = {"train_freq": 1, "gradient_steps": 1, "buffer_batch_size": 32, "hidden_size": 64, "learning_starts": 0}
TRAINING |= {"learning_rate": 1e-4, "buffer_size": 20_000, "tau": 1.0, "target_update_interval": 100}
HORIZON = 20_000


def graphs(count: int, first: int = 0) -> list[Any]:
    """Return distinct random graphs of `NODES` live nodes that have slopes."""
    from autorl.objectives.graphs.fingerprint import fingerprints
    from autorl.objectives.graphs.sampling import Grammar, random_graph

    grammar = Grammar(registers=REGISTERS, nodes=NODES[1], reads=("reward",))
    found: dict[Any, None] = {}
    while len(found) < count:
        drawn = [random_graph(seed, grammar) for seed in range(first, first + 64)]
        large = [graph for graph in drawn if len(graph.live) >= NODES[0]]
        found |= {graph: None for graph, what in zip(large, fingerprints(large), strict=True) if what.kind == "slope"}
        first += 64
    return list(found)[:count]


def signature(registers: tuple[str, ...] = REGISTERS) -> Any:
    """Return what the interpreter of a search over all such graphs must run."""
    from autorl.objectives.graphs.language_autorl import OPERATORS
    from autorl.objectives.graphs.program import Signature

    return Signature("autorl", "value", registers, tuple(operator.name for operator in OPERATORS), NODES[1])


def all_registers() -> tuple[str, ...]:
    """Return every register that losses of this family may read."""
    from autorl.objectives.graphs.language import load_language

    return tuple(register.name for register in load_language("autorl").registers("value"))


def objectives(name: str, count: int, first: int = 0) -> list[Any]:
    """Return what the lanes of a contender minimise."""
    from autorl.engine.devices import start

    start(CORES)  # before anything starts jax with a single device

    from autorl.objectives.graphs.compiled import FusedLoss
    from autorl.objectives.graphs.interpreter import InterpretedLoss
    from autorl.objectives.handwritten import HandWrittenLoss

    if name == "hand":
        return [HandWrittenLoss("dqn")] * count
    if name == "fused":
        return list(FusedLoss.batch(graphs(count, first)))
    if name == "coreyes2021":
        return network_losses(count, first)
    kind = signature(all_registers()) if name == "all_registers" else signature()
    return [InterpretedLoss.of(graph, kind) for graph in graphs(count, first)]


def network_losses(count: int, first: int) -> list[Any]:
    """Return random programs as the released search starts with them, for one interpreter of all 33 operators."""
    import numpy as np

    from autorl.objectives.graphs.interpreter_coreyes import InterpretedNetworkLoss
    from autorl.objectives.graphs.program_coreyes import NetworkSignature
    from autorl.objectives.graphs.programs_coreyes import random_program
    from autorl.objectives.graphs.starts_coreyes import STARTS

    rng, kind = np.random.default_rng(first), NetworkSignature.of(20)
    programs = [random_program(rng, STARTS["pre_graph_8_scratch"]) for _ in range(count)]
    return [InterpretedNetworkLoss.of(program, kind) for program in programs]


def stacked(losses: list[Any]) -> Any:
    """Return the hyperparameters of a lane for each of ``losses``."""
    import jax
    import numpy as np

    from autorl.inner.dqn import DQN

    hps = [DQN.prepare({**TRAINING, "objective": loss}, HORIZON, {}) for loss in losses]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *hps)


class Population:
    """Lanes under training."""

    def __init__(self, losses: list[Any]) -> None:
        from autorl.engine.devices import start

        devices = start(CORES)[: len(losses) // 2]  # at least two lanes on each
        import jax
        import numpy as np

        from autorl.engine.population import PopulationProgram
        from autorl.environments.registry import make_environment
        from autorl.inner.dqn import DQN

        environment = make_environment("gymnax:CartPole-v1")
        self.lanes, self.until, self.done = len(losses), 0, False
        self.program = PopulationProgram(DQN(environment), self.lanes, devices, 1, "map")
        self.tasks = jax.tree.map(lambda x: np.stack([np.asarray(x)] * self.lanes), environment.default_task())
        self.horizon = np.full(self.lanes, HORIZON, np.int32)
        self.fill(losses)
        self.program.compile_seconds = 0.0
        self.train(50)
        self.compile_seconds = self.program.compile_seconds

    def fill(self, losses: list[Any]) -> None:
        """Put fresh agents with other losses on the lanes."""
        import numpy as np

        self.hp, self.until = stacked(losses), 0
        self.state = self.program.init(np.arange(self.lanes, dtype=np.uint32), self.hp, self.tasks)

    def train(self, steps: int) -> float:
        """Train every lane for ``steps`` more env steps; return the seconds."""
        import jax
        import numpy as np

        self.until += steps
        started = time.perf_counter()
        until = np.full(self.lanes, self.until, np.int32)
        self.state = jax.block_until_ready(self.program.train(self.state, self.hp, self.tasks, until, self.horizon))
        seconds = time.perf_counter() - started
        self.done = bool(np.all(np.asarray(self.state.progress.env_steps) == self.until))
        return seconds


def setup_population(name: str) -> tuple[Run, dict[str, Any]]:
    """Train all lanes for `STEPS` a run."""
    population = Population(objectives(name, LANES))

    def run() -> tuple[int, float]:
        seconds = population.train(STEPS)
        assert population.done, "a candidate diverged: it did not do its share"
        return LANES * STEPS, seconds

    return run, {"compile_seconds": population.compile_seconds}


def own_graphs(worker: int) -> list[Any]:
    """Return the graphs of a process of ``alone``: its share of those that the lanes of other contenders train."""
    return graphs(LANES)[worker::CORES]


def setup_alone() -> tuple[Run, dict[str, Any]]:
    """Train some candidates one after the other, on one core; say what compiling the training of one took."""
    from autorl.engine.devices import xla_flags

    os.environ["XLA_FLAGS"] = " ".join(xla_flags())
    import jax
    import numpy as np

    from autorl.environments.registry import make_environment
    from autorl.inner.dqn import DQN
    from autorl.objectives.graphs.compiled import CompiledLoss

    environment = make_environment("gymnax:CartPole-v1")
    learner, task, seconds = DQN(environment), environment.default_task(), []
    init = jax.jit(learner.init)
    trained: list[tuple[Any, Any, Any]] = []
    for graph in own_graphs(int(os.environ[WORKER])):
        hp = DQN.prepare({**TRAINING, "objective": CompiledLoss.of(graph)}, HORIZON, {})
        state = init(jax.random.key(0), hp, task)
        arguments = (hp, task, np.int32(50), np.int32(HORIZON))
        started = time.perf_counter()
        train = jax.jit(learner.train, donate_argnums=0).lower(state, *arguments).compile()
        seconds.append(time.perf_counter() - started)
        trained.append((train, hp, jax.block_until_ready(train(state, *arguments))))
    until = 50

    def run() -> tuple[int, float]:
        nonlocal until
        until += STEPS
        started = time.perf_counter()
        for i, (train, hp, state) in enumerate(trained):
            trained[i] = train, hp, train(state, hp, task, np.int32(until), np.int32(HORIZON))
        jax.block_until_ready([state for _, _, state in trained])
        spent = time.perf_counter() - started
        done = [int(state.progress.env_steps) == until for _, _, state in trained]
        assert all(done), "a candidate diverged: it did not do its share"
        return len(trained) * STEPS, spent

    return run, {"compile_seconds": statistics.median(seconds[1:])}  # the first one also warms jax up


def setup_compile() -> tuple[Run, dict[str, Any]]:
    """Compile fused programs of two sizes."""
    seconds = {count: Population(objectives("fused", count)).compile_seconds for count in (8, BATCH)}
    return (lambda: (1, 1.0)), {"compile_seconds": seconds[BATCH], "compile_seconds_of_8": seconds[8]}


def setup_memory() -> tuple[Run, dict[str, Any]]:
    """Train 5,000 different graphs, a few steps each, in one program."""
    total = 5000 // BATCH * BATCH + BATCH
    losses, sizes = objectives("interpreter", total), []
    population = Population(losses[:BATCH])
    for start in range(0, total, BATCH):
        population.fill(losses[start : start + BATCH])
        population.train(40)
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20)
    tenth = len(sizes) // 10
    details = {"graphs": total, "traces": population.program.traces["train"], "resident_mb_after_a_tenth": sizes[tenth]}
    return (lambda: (1, 1.0)), {**details, "resident_mb": sizes[-1]}


SETUPS: dict[str, Any] = {
    "hand": lambda: setup_population("hand"),
    "interpreter": lambda: setup_population("interpreter"),
    "all_registers": lambda: setup_population("all_registers"),
    "coreyes2021": lambda: setup_population("coreyes2021"),
    "fused": lambda: setup_population("fused"),
    "alone": setup_alone,
    "compile": setup_compile,
    "memory": setup_memory,
}
SPEEDS = ("hand", "interpreter", "all_registers", "coreyes2021", "fused", "alone")


def start_contender(name: str) -> Contender:
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    alone = name == "alone"
    return Contender([__file__, "--worker", name], CORES if alone else 1, environment, pinned=alone, waiting=not alone)


def measure(repeats: int) -> dict[str, Any]:
    """Return speeds, compile seconds, candidates a minute and what follows from them."""
    contenders = {name: start_contender(name) for name in SPEEDS}  # one after another: compiling is timed too
    rounds = [{name: c.steps_per_second() for name, c in contenders.items()} for _ in range(repeats)]
    for contender in contenders.values():
        contender.close()
    compile_seconds = {name: c.details["compile_seconds"] for name, c in contenders.items()}
    speed = {name: statistics.median(r[name] for r in rounds) for name in SPEEDS}
    sizes = details_of("compile")
    graph = (sizes["compile_seconds"] - sizes["compile_seconds_of_8"]) / (BATCH - 8)
    back_end = {
        "graph_compile_seconds": graph,
        "loop_compile_seconds": sizes["compile_seconds"] - BATCH * graph,
        "interpreter_seconds_per_step": 1 / speed["interpreter"] - 1 / speed["fused"],
    }
    return {
        "interpreter_cost_over_hand": statistics.median(r["hand"] / r["interpreter"] for r in rounds),
        "all_registers_cost_over_hand": statistics.median(r["hand"] / r["all_registers"] for r in rounds),
        "coreyes2021_cost_over_hand": statistics.median(r["hand"] / r["coreyes2021"] for r in rounds),
        "fused_cost_over_hand": statistics.median(r["hand"] / r["fused"] for r in rounds),
        "fused_speed_over_alone": sorted(r["fused"] / r["alone"] for r in rounds),
        "env_steps_per_second": speed,
        "compile_seconds": {**compile_seconds, f"fused_{BATCH}": sizes["compile_seconds"]},
        "back_end": back_end,
        "budgets": [at_budget(steps, speed, compile_seconds, sizes["compile_seconds"]) for steps in BUDGETS],
        "memory": details_of("memory"),
        "repeats": repeats,
        "cores": CORES,
        "lanes": LANES,
    }


def details_of(name: str) -> dict[str, Any]:
    contender = start_contender(name)
    contender.close()
    return contender.details


def at_budget(steps: int, speed: dict[str, float], compiling: dict[str, float], fused: float) -> dict[str, Any]:
    """Return candidates a minute at ``steps`` env steps a candidate, and ratios to one compilation for each."""
    from autorl.objectives.graphs.back_end import preferred_back_end

    seconds = {
        "interpreter": steps / speed["interpreter"] + compiling["interpreter"] / CANDIDATES,
        "fused": steps / speed["fused"] + fused / BATCH,
        "alone": steps / speed["alone"] + compiling["alone"] / CORES,
    }
    chosen = preferred_back_end(steps, BATCH)
    return {
        "env_steps": steps,
        "candidates_per_minute": {name: 60 / value for name, value in seconds.items()},
        "ratio": {name: seconds["alone"] / seconds[name] for name in ("interpreter", "fused")},
        "chosen": chosen,
        "chosen_ratio": seconds["alone"] / seconds[chosen],
    }


def print_table(result: dict[str, Any]) -> None:
    """Print what a person wants to see."""
    print("DQN on CartPole, an update on every env step, hidden 64\n")
    for name, speed in result["env_steps_per_second"].items():
        print(f"  {name:<13} {speed:>9,.0f} env steps/s, compiled in {result['compile_seconds'][name]:.1f} s")
    print(f"\n  interpreted update / by hand {result['interpreter_cost_over_hand']:.2f}")
    print(f"  with all registers / by hand {result['all_registers_cost_over_hand']:.2f}")
    print(f"  of coreyes2021 / by hand     {result['coreyes2021_cost_over_hand']:.2f}")
    print(f"  fused update / by hand       {result['fused_cost_over_hand']:.2f}")
    ratios = result["fused_speed_over_alone"]
    print(f"  speed, fused / alone         {statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]\n")
    print("  candidates a minute   interpreter     fused     alone   chosen is faster by")
    for row in result["budgets"]:
        rates = "".join(f"{row['candidates_per_minute'][name]:>10,.1f}" for name in ("interpreter", "fused", "alone"))
        print(f"  {row['env_steps']:>10,} env steps   {rates}   {row['chosen_ratio']:.1f} ({row['chosen']})")
    print("\n  back end: " + ", ".join(f"{name} {value:.2g}" for name, value in result["back_end"].items()))
    print("  memory: " + ", ".join(f"{name} {value:.0f}" for name, value in result["memory"].items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; ratios are medians over them")
    parser.add_argument("--worker", choices=SETUPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(SETUPS[options.worker])
        return
    result = measure(options.repeats)
    print(json.dumps(result)) if options.json else print_table(result)


if __name__ == "__main__":
    main()
