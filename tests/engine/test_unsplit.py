"""Wide networks are compiled without splitting operations among threads, and nothing but their speed changes."""

import contextlib
import os
import re
import threading
from pathlib import Path

import jax
import numpy as np
import pytest

from autorl.engine import population
from autorl.engine.devices import cores, start, unsplit
from autorl.engine.lanes import Job
from autorl.engine.trainer import Trainer
from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task
from autorl.inner.dqn import DQN
from autorl.inner.protocol import make_hyperparameters
from autorl.objectives.graphs.compiled import CompiledLoss, FusedLoss
from autorl.objectives.loader import load_objective
from autorl.studies.trial import Stage

HORIZON = 256
linux = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux tells a process's threads")


def cores_of_threads():
    return {int(t): os.sched_getaffinity(int(t)) for t in os.listdir("/proc/self/task")}


@linux
def test_all_threads_share_one_core_and_get_theirs_back():
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        before = cores_of_threads()
        with contextlib.suppress(ZeroDivisionError), unsplit():
            within = cores_of_threads()
            threading.Thread(target=ended.wait).start()
            raise ZeroDivisionError
        after = cores_of_threads()
    finally:
        ended.set()
    assert len(before) >= 2
    assert len({tuple(own) for own in within.values()}) == 1
    assert all(len(own) == 1 for own in within.values())
    assert all(after[t] == own for t, own in before.items() if t in after)
    assert all(own == before[os.getpid()] for t, own in after.items() if t not in before)


def train_program(width):
    """Return the numbers of a short training, and into how many parts XLA split operations of its program."""
    environment = make_environment("gymnax:CartPole-v1")
    trainer = Trainer([DQN(environment)], [make_task(environment, {})], [HORIZON], 2, {}, start()[:2])
    values = {"hidden_size": width, "buffer_size": 256, "learning_starts": 32, "buffer_batch_size": 32}
    job = Job(0, 0, 3, (Stage(HORIZON, values),), (HORIZON,), horizon=HORIZON)
    outcome = trainer.run([job], keep_states=True)[0]
    (program,) = trainer.programs.values()
    parts = re.findall(r'outer_dimension_partitions":\["(\d+)"', program._compiled["train"].as_text())
    return outcome, {int(n) for n in parts}


@linux
@pytest.mark.bits
@pytest.mark.slow
@pytest.mark.skipif(cores() < 2, reason="XLA splits nothing on one core")
def test_a_wide_network_is_not_split_and_its_bits_are_those_of_the_split_one(monkeypatch):
    # in one process the programs are told apart by nothing that a cache of compiled programs would see
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        unsplit_outcome, unsplit_parts = train_program(256)
        monkeypatch.setattr(population, "WIDE", 1 << 40)
        split_outcome, split_parts = train_program(256)
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert not unsplit_parts
    assert split_parts
    assert min(split_parts) > 1
    assert unsplit_outcome.returns == split_outcome.returns
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(unsplit_outcome.state), jax.tree.leaves(split_outcome.state), strict=True
    ):
        np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("together", [True, False])
def test_the_training_of_fused_losses_is_compiled_unsplit_whatever_the_network(together):
    graph = load_objective("dqn").graph
    objective = FusedLoss.batch([graph])[0] if together else CompiledLoss.of(graph)
    hp = make_hyperparameters(DQN.Hyperparameters, {"objective": objective})
    environment = make_environment("gymnax:CartPole-v1")
    program = population.PopulationProgram(DQN(environment), 2, start()[:2], 1, "map")
    state = jax.eval_shape(program.learner.init, jax.random.key(0), hp, make_task(environment, {}))
    narrow = jax.tree.map(lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype), state)
    assert program._needs_one_core("train", (narrow, hp)) is together
    assert not program._needs_one_core("evaluate", (narrow, hp))
