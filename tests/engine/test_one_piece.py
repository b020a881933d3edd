"""Loops over narrow networks are compiled in one piece, and compute what they did."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.engine import devices, population
from autorl.engine.devices import in_one_piece, start
from autorl.engine.lanes import Job
from autorl.engine.trainer import Trainer
from autorl.environments.registry import make_environment
from autorl.environments.tasks import make_task
from autorl.inner.algorithms import ALGORITHMS
from autorl.objectives.graphs.compiled import FusedLoss
from autorl.objectives.loader import load_objective
from autorl.studies.trial import Stage

HORIZON = 256
FUNCTION = 'xla_cpu_small_call="true"'
known = pytest.mark.skipif(not devices.xla_flags()[2:], reason="measured with jaxlib 0.10 alone")
ACROBOT = make_environment("gymnax:Acrobot-v1")


def options(algorithm, values, functions=("init", "train", "evaluate"), vectorise="map"):
    """Return what a program of two lanes is compiled with, function by function."""
    program = population.PopulationProgram(ALGORITHMS.load(algorithm)(ACROBOT), 2, start()[:2], 1, vectorise)
    hp = program.learner.prepare({"n_steps": 16} | values if algorithm == "ppo" else values, 10_000, {})
    state = jax.eval_shape(program.learner.init, jax.random.key(0), hp, make_task(ACROBOT, {}))
    states = jax.tree.map(lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype), state)
    given = {"init": (np.zeros(2, np.uint32), hp), "train": (states, hp), "evaluate": (states, hp)}
    return [program._options(name, given[name]) for name in functions]


@known
def test_what_is_compiled_in_one_piece():
    start()
    one = in_one_piece()
    assert one
    assert options("ppo", {"minibatch_size": 8}) == [population.QUICK, one, one]
    assert options("ppo", {"minibatch_size": 64})[1:] == [one, one]
    assert options("ppo", {"minibatch_size": 65}) == [population.QUICK, {}, one]
    assert options("ppo", {"minibatch_size": 8, "hidden_size": 256}) == [population.QUICK, {}, {}]
    assert options("ppo", {"minibatch_size": 8}, vectorise="vmap") == [population.QUICK, {}, {}]
    assert options("dqn", {"buffer_batch_size": 16}) == [population.QUICK, {}, one]
    fused = FusedLoss.batch([load_objective("ppo_clip").graph])[0]
    assert options("ppo", {"minibatch_size": 8, "objective": fused})[1:] == [{}, one]


@known
def test_without_its_flag_or_with_another_xla_nothing_is_asked_of_the_compiler(monkeypatch):
    start()
    assert in_one_piece()
    with monkeypatch.context() as other:
        other.setattr(devices, "version", lambda name: "0.11.1")
        assert devices.LOOPS_FLAG not in devices.xla_flags()
    ours = devices.xla_flags()
    for flags in (
        ours[:2],
        ("--xla_cpu_multi_thread_eigen=true", devices.LOOPS_FLAG),
        (*ours, "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"),
    ):
        monkeypatch.setenv("XLA_FLAGS", " ".join(flags))
        assert in_one_piece() == {}
    monkeypatch.setenv("XLA_FLAGS", " ".join(ours))
    assert in_one_piece() == {devices.NO_LIBRARY: "", devices.LEVEL: "1"}
    monkeypatch.setenv("XLA_FLAGS", " ".join((*ours, "--xla_backend_optimization_level=0")))  # what the user set stands
    assert in_one_piece() == {devices.NO_LIBRARY: ""}


@pytest.mark.parametrize("count", ["", "jax.config.update('jax_num_cpu_devices', max(2, os.cpu_count())); "])
def test_flags_that_come_after_jax_has_started_are_not_counted_on(count):
    code = (
        f"import os; os.environ.pop('XLA_FLAGS', None); import jax; {count}jax.devices()\n"
        "from autorl.engine.devices import in_one_piece, start\n"
        "start(); assert in_one_piece() == {}, in_one_piece(); assert 'extra' not in os.environ.get('XLA_FLAGS', '')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def trained(monkeypatch, one_piece):
    """Return the outcome of a short training of PPO, of one that learns nothing, and the texts of train and evaluate."""
    with monkeypatch.context() as chosen:
        if not one_piece:
            chosen.setattr(population, "in_one_piece", dict)
        trainer = Trainer([ALGORITHMS.load("ppo")(ACROBOT)], [make_task(ACROBOT, {})], [HORIZON], 2, {}, start()[:2])
        values = {"n_envs": 4, "n_steps": 16, "minibatch_size": 8, "update_epochs": 2}
        jobs = [
            Job(trial, 0, 3, (Stage(HORIZON, values | {"learning_rate": rate}),), (HORIZON,), horizon=HORIZON)
            for trial, rate in enumerate((3e-4, 1e-30))  # the second stays as it began
        ]
        outcomes = trainer.run(jobs, keep_states=True)
    (program,) = trainer.programs.values()
    return outcomes, [program._compiled[name].as_text() for name in ("train", "evaluate")]


@known
def test_a_training_in_one_piece_is_the_same_training(monkeypatch):
    (one, _), texts = trained(monkeypatch, one_piece=True)
    (apart, begun), others = trained(monkeypatch, one_piece=False)
    for text, other in zip(texts, others, strict=True):
        assert text.count(FUNCTION) > other.count(FUNCTION)  # of loops that hold products, too
        assert "__ynn_fusion" not in text
        assert "__ynn_fusion" in other  # if a library made no products, there would be nothing to choose
    assert one.updates == apart.updates == HORIZON * 2 // 8
    got, expected = one.state.adam.parameters, apart.state.adam.parameters
    np.testing.assert_allclose(got, expected, atol=2e-4)
    assert np.abs(expected - begun.state.adam.parameters).max() > 3e-3
    assert one.returns == pytest.approx(apart.returns, abs=25.0)  # sums in another order: an action here and there


@pytest.mark.bits
@known
def test_it_is_compiled_by_the_first_level_of_llvm(monkeypatch):
    asked, whole = [], jax.stages.Lowered.compile
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda self, *o: asked.append(o[0]) or whole(self, *o))
    trained(monkeypatch, one_piece=True)
    assert asked.count({devices.NO_LIBRARY: "", devices.LEVEL: "1"}) == 2  # train and evaluate
    assert len(asked) == 3


@pytest.mark.parametrize(("samples", "whole"), [(64, False), (65, True)])
def test_learner_and_engine_go_by_the_same_sizes(samples, whole):
    learner = ALGORITHMS.load("ppo")(ACROBOT)
    hp = learner.prepare({"n_steps": 16, "minibatch_size": samples}, 10_000, {})
    state = jax.eval_shape(learner.init, jax.random.key(0), hp, make_task(ACROBOT, {}))
    program = population.PopulationProgram(learner, 2, start()[:2], 1, "map")
    states = jax.tree.map(lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype), state)
    size = learner.layout(hp).size
    assert program._network_size("train", (states, hp)) == size
    steps = jax.ShapeDtypeStruct((), jnp.int32)
    text = jax.jit(learner.train).lower(state, hp, make_task(ACROBOT, {}), steps, steps).as_text()
    assert (f"(tensor<{size}xf32>, tensor<{size}xf32>) -> tensor<f32>" in text) is whole  # the norm as one product


@known
def test_evaluations_that_sort_are_left_to_the_library():
    assert not population._has_library_calls(jax.jit(jnp.tanh).lower(jnp.ones(4)).as_text())
    for function in (jnp.sort, lambda x: x.at[x.astype(int)].add(1.0), lambda x: jax.lax.top_k(x, 2)):
        assert population._has_library_calls(jax.jit(function).lower(jnp.ones(4)).as_text())


@pytest.mark.parametrize("n", [1, 2, 8, 200])
def test_few_words_are_ordered_as_a_stable_sort_orders_them(n):
    from autorl.inner.shuffle import _order

    words = np.random.default_rng(n).integers(0, max(2, n // 3), n).astype(np.uint32)
    np.testing.assert_array_equal(_order(jnp.asarray(words)), np.argsort(words, kind="stable"))
