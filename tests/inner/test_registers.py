"""What an objective is told, the loss of one batch against numpy, and which objectives a learner takes."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.errors import IncompatibleError, UnknownNameError, UsageError
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.dqn import DQN
from autorl.inner.dqn_hyperparameters import DQNHyperparameters
from autorl.inner.dqn_loss import objective_slope, td_slope
from autorl.inner.objective_choice import learners_of
from autorl.inner.own_code import with_own_code
from autorl.inner.ppo import PPO
from autorl.inner.protocol import make_hyperparameters, problems
from autorl.inner.registers import FAMILIES, mean_loss, part_done, policy_registers, value_registers
from autorl.inner.replay import Sample, Transitions
from autorl.objectives.graphs.compiled import CompiledLoss, FusedLoss
from autorl.objectives.graphs.interpreter import InterpretedLoss
from autorl.objectives.graphs.program import Signature
from autorl.objectives.handwritten import HandWrittenLoss
from autorl.objectives.loader import load_objective

N, A, D = 6, 3, 4
GAMMA, PROGRESS = jnp.float32(0.9), jnp.float32(0.25)


@partial(jax.tree_util.register_dataclass, data_fields=["scale"], meta_fields=["needs", "family"])
@dataclass(frozen=True)
class Residual:
    """Bellman residual: slopes flow through Q(s', .) as well. Or, with other needs, nothing but a name."""

    scale: Any = 1.0
    needs: tuple[str, ...] = ("q_action", "q_next", "reward", "discount")
    family: str = "value"

    def per_sample(self, registers):
        target = registers["reward"] + registers["discount"] * jnp.max(registers["q_next"], axis=0)
        return self.scale * jnp.square(target - registers["q_action"])


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)

    def floats(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    batch = Transitions(
        floats(N, D),
        floats(N, D),
        jnp.asarray(rng.integers(A, size=N), jnp.int32),
        floats(N),
        jnp.array([0.0, 1, 0, 0, 1, 0]),
    )
    weights = jnp.asarray(rng.uniform(0.2, 1.0, N), jnp.float32)
    return Sample(jnp.arange(N), batch, weights), floats(D, A), floats(D, A)


def linear(tree):
    return lambda observation: observation @ tree


def numbers(drawn):
    """The batch as float64 numpy: Q(s, .), Q(s', .), both of the target network, one-hot actions [N, A], rewards, discounts."""
    sample, online, target = drawn
    s, n, a, r, end = (np.asarray(x, np.float64) for x in sample.transitions)
    w, v = np.asarray(online, np.float64), np.asarray(target, np.float64)
    return s @ w, n @ w, s @ v, n @ v, np.eye(A)[a.astype(int)], r, 0.9 * (1 - end)


# --- registers ---------------------------------------------------------------------------------------------------------


def test_value_registers(drawn):
    sample, online, target = drawn
    found = value_registers(FAMILIES["value"], sample.transitions, linear(online), linear(target), A, GAMMA, PROGRESS)
    q, q_next, q_target, q_target_next, action, reward, discount = numbers(drawn)
    expected = {
        "q": q.T,
        "q_action": (q * action).sum(1),
        "q_next": q_next.T,
        "q_target": q_target.T,
        "q_target_next": q_target_next.T,
        "action": action.T,
        "reward": reward,
        "discount": discount,
        "progress": np.full(N, 0.25),
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == jnp.float32
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("needs", "calls"),
    [
        (("reward", "action"), []),
        (("q",), [("online", N)]),
        (("q_action", "q_next"), [("online", 2 * N)]),
        (("q_target",), [("target", N)]),
        (("q_next", "q_target_next", "q_target"), [("online", N), ("target", 2 * N)]),
    ],
)
def test_no_network_runs_in_vain_nor_twice(drawn, needs, calls):
    sample, seen = drawn[0], []

    def named(name):
        def values(observation):
            seen.append((name, observation.shape[0]))
            return jnp.zeros((observation.shape[0], A))

        return values

    found = value_registers(needs, sample.transitions, named("online"), named("target"), A, GAMMA, PROGRESS)
    assert (tuple(found), seen) == (needs, calls)


def test_policy_registers():
    numbers = {"log_prob": -1.0, "old_log_prob": -1.5, "advantage": 2.0, "value": 3.0}
    numbers |= {"old_value": 4.0, "target": 6.0, "entropy": 0.5}
    given = {name: jnp.full(N, number, jnp.float32) for name, number in numbers.items()}
    found = policy_registers(FAMILIES["policy_gradient"], **given, progress=PROGRESS)
    expected = {"log_prob": -1.0, "old_log_prob": -1.5, "ratio": np.exp(0.5), "advantage": 2.0, "value": 3.0}
    expected |= {"old_value": 4.0, "return": 6.0, "entropy": 0.5, "progress": 0.25}
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], np.full(N, value), rtol=1e-6)
    assert set(policy_registers(("ratio",), **given, progress=PROGRESS)) == {"ratio"}


def test_progress_lies_within_0_and_1():
    steps = [float(part_done(jnp.int32(step), jnp.int32(1000))) for step in (0, 250, 1000, 1200)]
    assert steps == [0.0, 0.25, 1.0, 1.0]


@dataclass(frozen=True)
class Given:
    """The losses themselves."""

    losses: Any
    family: str = "value"
    needs: tuple[str, ...] = ()

    def per_sample(self, registers):
        return self.losses


def test_a_loss_is_lost_only_where_every_sample_saturates():
    half = Given(jnp.array([1e10, 2.0]))
    assert float(mean_loss(half, {}, jnp.array([0.0, 1.0]))) == 1.0
    assert float(mean_loss(half, {})) == pytest.approx(5e9)
    assert np.isnan(float(mean_loss(Given(jnp.array([1e10, -1e10])), {})))
    assert np.isnan(float(mean_loss(Given(jnp.array([np.nan, 0.0])), {})))


# --- one batch ---------------------------------------------------------------------------------------------------------


def slope(objective, drawn, prioritised=True):
    sample, online, target = drawn
    flag = jnp.asarray(prioritised)
    return objective_slope(objective, linear, online, linear(target), sample, A, GAMMA, PROGRESS, flag)


def test_slopes_flow_through_the_next_state_too(drawn):
    q, q_next, _, q_target_next, action, reward, discount = numbers(drawn)
    sample = drawn[0]
    weights, s, n = (np.asarray(x, np.float64) for x in (sample.weights, *sample.transitions[:2]))
    residual = reward + discount * q_next.max(1) - (q * action).sum(1)
    by_residual = 2 * 3.0 * weights * residual / N
    best = np.eye(A)[q_next.argmax(1)]
    gradient = n.T @ (best * (by_residual * discount)[:, None]) - s.T @ (action * by_residual[:, None])
    found = slope(Residual(jnp.float32(3.0)), drawn)
    np.testing.assert_allclose(found.loss, (weights * 3 * residual**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.value, (q * action).sum(1), atol=1e-5)
    # priorities are TD errors, whatever is minimised
    np.testing.assert_allclose(found.error, reward + discount * q_target_next.max(1) - found.value, atol=1e-5)
    np.testing.assert_array_equal(slope(Residual(jnp.float32(3.0)), drawn, prioritised=False).error, 0.0)


@pytest.mark.parametrize("make", [lambda name: HandWrittenLoss(name), lambda name: graph_of(name, CompiledLoss.of)])
def test_the_td_loss_as_an_objective_is_the_learners_own(drawn, make):
    sample, online, target = drawn
    own = td_slope(linear, online, linear(target), sample, A, GAMMA)
    found = slope(make("dqn"), drawn, prioritised=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), own, found)


def graph_of(name, make):
    return make(load_objective(name).graph)


EVERYTHING = ("q", "q_action", "q_next", "q_target", "q_target_next", "action", "reward", "discount", "progress")
GRAPHS = ("dqn", "double_dqn", "cql", "munchausen", "dqnreg_paper", "dqn_clipped")


@pytest.mark.parametrize("prioritised", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_network_that_a_graph_does_not_read_is_not_run_for_it(drawn, name, prioritised):
    graphs = [load_objective(other).graph for other in GRAPHS]
    graph, covering = load_objective(name).graph, Signature.covering(graphs)
    room = replace(covering, registers=EVERYTHING)
    expected = slope(CompiledLoss.of(graph), drawn, prioritised)
    other, fused = InterpretedLoss.of(graph, room), FusedLoss.batch(graphs)[GRAPHS.index(name)]
    own_code = with_own_code(fused, lambda loss: slope(loss, drawn, prioritised))
    for found in (slope(other, drawn, prioritised), slope(fused, drawn, prioritised), own_code):
        for one, two in zip(expected[::2], found[::2], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(expected.gradient, found.gradient, rtol=1e-5, atol=1e-6)
        if prioritised:
            np.testing.assert_allclose(expected.error, found.error, rtol=1e-5, atol=1e-6)
    passes = {n for n, read in other.reads().items() if read} & {"q_next", "q_target", "q_target_next"}
    assert passes == set(graph.needs) & {"q_next", "q_target", "q_target_next"}
    which, members = fused.members()
    assert members[int(which)].needs == CompiledLoss.of(graph).needs, "and so with code of its own"


def test_what_is_not_read_costs_no_pass_and_is_zero(drawn):
    sample, online, target = drawn
    passes = []

    def counted(tree):
        def values(observation):
            jax.debug.callback(lambda n: passes.append(int(n)), observation.shape[0])
            return observation @ tree

        return values

    def registers(**reads):
        passes.clear()
        given = {n: jnp.asarray(reads.get(n, False)) for n in EVERYTHING}
        held = value_registers(
            EVERYTHING, sample.transitions, counted(online), counted(target), A, GAMMA, PROGRESS, given
        )
        jax.effects_barrier()
        return {n: np.asarray(x) for n, x in held.items()}, sorted(passes)

    whole, rows = registers(**dict.fromkeys(EVERYTHING, True))
    assert rows == [2 * N, 2 * N], "one pass of each network, over both states"
    for names, expected in (((), [N]), (("q_target_next",), [N, N]), (("q_next",), [2 * N]), (("q_target",), [N, N])):
        found, rows = registers(**dict.fromkeys(names, True))
        assert rows == expected
        for n in ("q_next", "q_target", "q_target_next"):
            np.testing.assert_allclose(found[n], whole[n] if n in names else 0.0, rtol=1e-6)
        np.testing.assert_allclose(found["q"], whole["q"], rtol=1e-6)


# --- which objectives a learner takes ----------------------------------------------------------------------------------


def test_an_objective_is_given_by_name_or_as_one():
    assert make_hyperparameters(DQNHyperparameters, {}).objective is None
    assert make_hyperparameters(DQNHyperparameters, {"objective": None}).objective is None
    by_name = make_hyperparameters(DQNHyperparameters, {"objective": "double_dqn"}).objective
    given = graph_of("double_dqn", CompiledLoss.of)
    assert jax.tree.structure(by_name) == jax.tree.structure(given)
    np.testing.assert_array_equal(by_name.constants, given.constants)
    found = make_hyperparameters(DQNHyperparameters, {"objective": Residual(0.5)}).objective
    assert isinstance(found.scale, np.ndarray)
    assert found.scale.dtype == np.float32


def test_leaves_stack_and_structures_are_static():
    names = ("dqn", "double_dqn", "cql")
    graphs = [load_objective(name).graph for name in names]
    signature = Signature.covering(graphs)
    hps = [DQN.prepare({"objective": InterpretedLoss.of(graph, signature)}, 5000, {}) for graph in graphs]
    assert len({jax.tree.structure(hp) for hp in hps}) == 1
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *hps)
    assert stacked.objective.program.op.shape == (3, signature.nodes)
    assert stacked.learning_rate.shape == (3,)
    assert len({jax.tree.structure(DQN.prepare({"objective": name}, 5000, {})) for name in (None, *names)}) == 4


@pytest.mark.parametrize(
    ("learner", "value", "kind", "message"),
    [
        (DQN, "ppo_clip", IncompatibleError, r"'ppo_clip' reads registers of family 'policy_gradient'.*fit: 'ppo'"),
        (PPO, HandWrittenLoss("cql"), IncompatibleError, r"'cql' reads .*'value', this learner .*fit: .*'dqn'"),
        (DQN, "duble_dqn", UnknownNameError, r"'duble_dqn'\. Did you mean 'double_dqn'\?"),
        (DQN, 3, UsageError, r"expected an objective .* got 3; see them with: autorl list objectives"),
        (DQN, HandWrittenLoss, UsageError, "expected an objective"),
        (
            DQN,
            Residual(needs=("q", "advantage")),
            UsageError,
            r"Residual needs \['advantage'\], but family 'value' has q,",
        ),
        (DQN, Residual("big"), UsageError, "Residual holds 'big'; its leaves must be arrays of numbers"),
    ],
)
def test_wrong_objectives_are_refused(learner, value, kind, message):
    with pytest.raises(kind, match=message):
        learner.prepare({"objective": value}, 5000, {})
    ((name, found),) = problems(learner.Hyperparameters, {"objective": value})
    assert name == "objective"
    assert found.startswith("objective: ")
    with pytest.raises(UsageError, match=r"gamma: expected a value .*; objective: "):
        learner.prepare({"gamma": 7.0, "objective": value}, 5000, {})


def test_learners_by_family():
    assert set(learners_of("value")) >= {"dqn"}
    assert set(learners_of("policy_gradient")) == {"ppo", "paired_ppo"}
    assert set(ALGORITHMS) >= {*learners_of("value"), *learners_of("policy_gradient")}
