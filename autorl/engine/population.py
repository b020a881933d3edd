"""One compiled program for a whole population: lanes, sharded over devices, mapped inside each.

A lane is one training: one candidate with one seed in one environment. On a CPU the lanes of a device run one after another
(``lax.map``), as fast there as a vmap; so the bits of a lane depend on nothing but its own inputs, a branch is a real branch, and an
empty lane costs nothing. On an accelerator the same function is vmapped, in chunks that fit into its memory.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from autorl.engine.devices import LEVEL, in_one_piece, mended_cache, unsplit
from autorl.inner.acting import ActingLearner
from autorl.inner.one_piece import FEW, WIDE, one_piece_pays
from autorl.inner.protocol import Evaluation, Learner, LearnerState
from autorl.objectives.protocol import Fused

Tree = Any
Call = tuple[Callable[..., Tree], tuple[Tree, ...], tuple[int, ...]]
"""A function of one lane, its arguments (or their shapes) for all lanes, and which of them are donated."""
Vectorise = Literal["map", "vmap"]
MEMORY_SHARE = 0.8
"""Part of an accelerator's memory that one chunk of lanes may take."""
QUICK = {LEVEL: "0"}
"""LLVM's level 0: to compile soon what runs seldom (``init`` on a CPU)."""


def lanes_for(need: int, devices: int) -> int:
    """Return the power of two of lanes that holds ``need`` with at least two on each device.

    One lane on a device would let XLA drop the loop over lanes and fuse differently: a lane's bits would depend on their number.
    """
    return max(2 * devices, 1 << max(0, need - 1).bit_length())


@dataclass
class PopulationProgram:
    """The compiled ``init``, ``train`` and ``evaluate`` of one static signature at one number of lanes.

    Attributes:
        learner: One algorithm in one environment.
        lanes: Number of lanes, a multiple of the number of devices.
        devices: Devices the lanes are sharded over.
        episodes: Episodes of an evaluation.
        vectorise: ``map`` runs the lanes of a device one by one, ``vmap`` together.
        static: The static hyperparameters, by name.
        traces: How often each function was traced; the retrace guard holds it at one.
        compile_seconds: Wall seconds spent tracing and compiling so far.
        speed: Env steps a second of the last call to `train`, beyond what a call costs; 0 before any. For choosing the length of calls.
        call_seconds: What a call to `train` costs that trains nothing (states of gigabytes are copied); None before it was measured.
    """

    learner: Learner
    lanes: int
    devices: Sequence[Any]
    episodes: int
    vectorise: Vectorise
    static: Mapping[str, Any] = field(default_factory=dict)
    traces: dict[str, int] = field(default_factory=dict)
    compile_seconds: float = 0.0
    speed: float = 0.0
    call_seconds: float | None = None
    _compiled: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._mesh = Mesh(np.asarray(self.devices), ("lanes",))
        self.sharding = NamedSharding(self._mesh, PartitionSpec("lanes"))

    def prepare(self, hp: Tree, tasks: Tree, exams: Tree, *, refilled: bool) -> None:
        """Compile at once all that a training calls, each function in a thread of its own, if nothing was compiled yet.

        Only on a CPU, and not where one of them is compiled within `unsplit`, which holds for the whole process: what is not compiled
        here is when it is first called. What was compiled before another function failed is kept. It takes more memory than one after
        the other: some 120 MB for agents of 64 units.

        Args:
            hp: Hyperparameters with a leading lane axis, as all that follows.
            tasks: Tasks of training.
            exams: Tasks of evaluations.
            refilled: Whether lanes may be given to others as they become free (`replace`).
        """
        started = time.perf_counter()
        if self._compiled or self.vectorise != "map" or self.devices[0].platform != "cpu":
            return
        calls = self._calls(hp, tasks, exams)
        if any(self._needs_one_core(name, arguments) for name, (_, arguments, _) in calls.items()):
            return
        if not refilled:
            del calls["replace"]
        chunk, compiling = self.lanes // len(self.devices), {}
        try:
            with mended_cache(), ThreadPoolExecutor(len(calls)) as pool:
                for name, call in calls.items():  # tracing is Python, which one thread runs at a time: here
                    lowered, options = self._lowered(name, call, chunk)
                    compiling[name] = pool.submit(lowered.compile, options)
        finally:
            self._compiled |= {name: future.result() for name, future in compiling.items() if not future.exception()}
            self.compile_seconds += time.perf_counter() - started
        for future in compiling.values():
            future.result()

    def _calls(self, hp: Tree, tasks: Tree, exams: Tree) -> dict[str, Call]:
        """Return all that a training calls, by name, with shapes for arguments; what takes longest to compile first."""
        numbers, marks = np.zeros(self.lanes, np.int32), np.zeros(self.lanes, np.bool_)
        seeds = numbers.astype(np.uint32)
        states = jax.eval_shape(jax.vmap(self._init), seeds, hp, tasks)
        return {
            "train": (self.learner.train, (states, hp, tasks, numbers, numbers), (0,)),
            "evaluate": (self._evaluate, (states, hp, exams, seeds, marks), ()),
            "init": (self._init, (seeds, hp, tasks), ()),
            "replace": (_chosen, (states, states, marks), (0,)),
        }

    def init(self, seeds: np.ndarray, hp: Tree, tasks: Tree) -> LearnerState:
        """Return fresh states. ``seeds`` is uint32 [lanes]; every leaf of ``hp`` and ``tasks`` has a leading lane axis."""
        return self._call("init", self._init, (seeds, hp, tasks))

    def train(self, states: Tree, hp: Tree, tasks: Tree, until: np.ndarray, horizon: np.ndarray) -> LearnerState:
        """Train each lane until its own ``until`` env steps (int32 [lanes]); lanes already there do nothing. Donates ``states``."""
        return self._call("train", self.learner.train, (states, hp, tasks, until, horizon), donate=(0,))

    def evaluate(self, states: Tree, hp: Tree, tasks: Tree, seeds: np.ndarray, active: np.ndarray) -> Evaluation:
        """Evaluate the lanes where ``active`` (bool [lanes]); the others return zeros and cost nothing on a CPU."""
        result: Evaluation = self._call("evaluate", self._evaluate, (states, hp, tasks, seeds, active))
        return result

    def replace(self, states: LearnerState, fresh: LearnerState, new: np.ndarray) -> LearnerState:
        """Return ``states`` with those of ``fresh`` in the lanes where ``new`` (bool [lanes]). Donates ``states``."""
        return self._call("replace", _chosen, (states, fresh, new), donate=(0,))

    def to_host(self, states: LearnerState) -> LearnerState:
        """Return ``states`` as numpy arrays with the lane axis first; random keys become their raw data."""
        return jax.tree.map(lambda x: np.asarray(jax.random.key_data(x) if _is_key(x) else x), states)

    def from_host(self, states: LearnerState, hp: Tree, tasks: Tree) -> LearnerState:
        """Undo `to_host`, on this program's devices."""
        seeds = np.zeros(self.lanes, np.uint32)
        template = jax.eval_shape(jax.vmap(self._init), seeds, hp, tasks)
        return jax.tree.map(self._from_host, template, states)

    def _from_host(self, template: Any, value: np.ndarray) -> jax.Array:
        if _is_key(template):
            keys = jax.random.wrap_key_data(jnp.asarray(value), impl=_key_implementation(template))
            return jax.device_put(keys, self.sharding)
        return jax.device_put(value, self.sharding)

    def _init(self, seed: Any, hp: Tree, task: Tree) -> LearnerState:
        return self.learner.init(jax.random.key(seed), hp, task)

    def _evaluate(self, state: Tree, hp: Tree, task: Tree, seed: Any, active: Any) -> Evaluation:
        run = partial(self.learner.evaluate, state, hp, task, jax.random.key(seed), self.episodes)
        shapes = jax.eval_shape(run)

        def skip() -> Evaluation:
            skipped: Evaluation = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
            return skipped

        result: Evaluation = jax.lax.cond(active, run, skip)
        return result

    def _call(
        self, name: str, function: Callable[..., Tree], arguments: tuple[Tree, ...], donate: tuple[int, ...] = ()
    ) -> Tree:
        if name not in self._compiled:
            started = time.perf_counter()
            self._compiled[name] = self._compile(name, (function, arguments, donate))
            self.compile_seconds += time.perf_counter() - started
        return self._compiled[name](*arguments)

    def _compile(self, name: str, call: Call) -> Any:
        """Compile ahead of time: a compiled program never retraces, it refuses arguments of another shape."""
        chunk = self.lanes // len(self.devices)
        while True:
            alone = unsplit() if self._needs_one_core(name, call[1]) else contextlib.nullcontext()
            with mended_cache(), alone:
                lowered, options = self._lowered(name, call, chunk)
                compiled = lowered.compile(options)
            if self.vectorise == "map" or chunk == 1 or _fits(compiled, self.devices[0]):
                return compiled
            chunk //= 2  # the lane count is a power of two, so every chunk divides it

    def _lowered(self, name: str, call: Call, chunk: int) -> tuple[Any, dict[str, str]]:
        """Return what XLA compiles for a call, and the options to compile it with."""
        function, arguments, donate = call
        lowered, options = self._jit(name, function, chunk, donate).lower(*arguments), self._options(name, arguments)
        self.traces[name] = self.traces.get(name, 0) + 1
        if name == "evaluate" and options and _has_library_calls(lowered.as_text()):
            options = {}
        return lowered, options

    def _options(self, name: str, arguments: tuple[Tree, ...]) -> dict[str, str]:
        """Return the options a function is compiled with on a CPU.

        Narrow networks are evaluated, and by PPO trained on few samples at a time, by loops in one piece. Not the updates of DQN, measured
        slower so, even with the scatters of its replay replaced. Networks are drawn and environments reset once for each training, so
        that is compiled in half the time rather than well, unless a teacher has more to do then.
        """
        if name == "init":
            plain = isinstance(self.learner, ActingLearner) and getattr(arguments[1], "teacher", None) is None
            return QUICK if plain and self.devices[0].platform == "cpu" else {}
        size = self._network_size(name, arguments)
        if self.vectorise != "map" or size is None or size >= WIDE:
            return {}
        samples, objective = getattr(arguments[1], "minibatch_size", FEW + 1), getattr(arguments[1], "objective", None)
        return in_one_piece() if name == "evaluate" or one_piece_pays(samples, size, objective) else {}

    def _needs_one_core(self, name: str, arguments: tuple[Tree, ...]) -> bool:
        """Return whether a function is compiled within `unsplit`: on a CPU, the training of wide networks is not split among threads.

        Nor is that of fused losses, which are chosen where trainings are long: it is some 5 % faster, whatever the network.
        """
        size = self._network_size(name, arguments)
        if name != "train" or size is None:
            return False
        return size >= WIDE or isinstance(getattr(arguments[1], "objective", None), Fused)

    def _network_size(self, name: str, arguments: tuple[Tree, ...]) -> int | None:
        """Return the parameters of a lane's networks, where a function trains or evaluates them on a CPU."""
        learner = self.learner
        if (
            name not in ("train", "evaluate")
            or self.devices[0].platform != "cpu"
            or not isinstance(learner, ActingLearner)
        ):
            return None
        parameters = jax.eval_shape(lambda states: learner.acting(states).parameters, arguments[0])
        size: int = parameters.size // self.lanes
        return size

    def _jit(self, name: str, function: Callable[..., Tree], chunk: int, donate: tuple[int, ...]) -> Any:
        def over_lanes(*arguments: Tree) -> Tree:
            # batched QR (orthogonal initialisation) can deadlock on host devices, so there `init` is never vmapped
            alone = self.vectorise == "map" or (name == "init" and self.devices[0].platform == "cpu")
            batch = None if alone else chunk
            return jax.lax.map(lambda lane: function(*lane), arguments, batch_size=batch)

        spec = PartitionSpec("lanes")
        sharded = jax.shard_map(over_lanes, mesh=self._mesh, in_specs=spec, out_specs=spec, check_vma=False)
        return jax.jit(sharded, in_shardings=self.sharding, out_shardings=self.sharding, donate_argnums=donate)


def _chosen(state: Tree, fresh: Tree, new: Any) -> Tree:
    """Return one lane's state: ``fresh`` where ``new``."""
    return jax.tree.map(lambda old, made: jnp.where(new, made, old), state, fresh)


def _has_library_calls(text: str) -> bool:
    """Return whether a program holds what cannot be part of one function: then its loops might stay as they are, with slower products."""
    return any(operation in text for operation in ("stablehlo.sort", "stablehlo.scatter", "top_k"))


def _is_key(x: Any) -> bool:
    return bool(jnp.issubdtype(x.dtype, jax.dtypes.prng_key))


def _key_implementation(template: Any) -> Any:
    """Return the generator of a key that exists only as a shape (jax tells it of values and of tracers alone)."""
    found: list[Any] = []
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), template)
    return found[0]


def _fits(compiled: Any, device: Any) -> bool:
    statistics = device.memory_stats()
    if not statistics or "bytes_limit" not in statistics:
        return True
    needed: int = compiled.memory_analysis().temp_size_in_bytes
    return needed <= MEMORY_SHARE * statistics["bytes_limit"]
