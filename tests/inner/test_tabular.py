"""The tabular learner: it learns, scores exactly, tells objectives the right registers, and stops when it diverges."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments import tabular as exact
from autorl.environments.registry import make_environment
from autorl.errors import IncompatibleError, UsageError
from autorl.inner import tabular_batch
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.tabular import TabularHyperparameters, TabularQ, TabularState, exploration
from autorl.objectives.graphs.compiled import CompiledLoss
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.interpreter import InterpretedLoss

LEARNER = TabularQ(make_environment("mdp:lottery"))
STATES, ACTIONS = 10, 3
SMALL = {"mdps": 3, "n_envs": 2, "batch_size": 4}
SPAN = 6
"""Env steps of an iteration of `SMALL`."""
ALL = ("q", "q_action", "q_next", "q_target", "q_target_next", "action", "reward", "discount", "progress")


@partial(jax.tree_util.register_dataclass, data_fields=["reward", "constant", "next"], meta_fields=["kind"])
@dataclasses.dataclass(frozen=True)
class Known:
    """Losses by hand. ``td``: the squared distance of Q(s, a) from reward * r + constant + next * g max Q(s', .); see `FORMS`."""

    kind: str
    reward: Any = 1.0
    constant: Any = 0.0
    next: Any = 1.0
    family = "value"

    @property
    def needs(self) -> tuple[str, ...]:
        return ALL if self.kind == "all" else ("q_action", "q_target_next", "reward", "discount", "progress")

    def per_sample(self, x: Any) -> Any:
        if self.kind == "all":
            one = jnp.sum(jnp.square(x["q"]) * x["action"], 0) + x["q_action"] * jnp.max(x["q_next"], axis=0)
            return one - self.next * jnp.sum(x["q_target"] * x["q"], axis=0) + x["reward"] * jnp.sum(x["q"], axis=0)
        target = self.reward * x["reward"] + self.constant + self.next * x["discount"] * jnp.max(x["q_target_next"], 0)
        broken = jnp.nan if self.kind == "nan_late" else 0.0
        return jnp.square(x["q_action"] - target) + jnp.where(x["progress"] > 0.5, broken, 0.0)


TD, REWARD, ONE = Known("td"), Known("td", next=0.0), Known("td", reward=0.0, constant=1.0)
"""The same program, and the same loss with its parts missing."""


def prepared(iterations: int, **values: Any) -> TabularHyperparameters:
    span = values.get("mdps", 12) * values.get("n_envs", 8)
    return TabularQ.prepare(values, iterations * span, {})


# nearly all the time goes into compiling: at the lowest level, and no more programs than needed
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@quick_jit
def begun(seeds: Any, hp: Any) -> TabularState:
    return jax.lax.map(lambda seed: LEARNER.init(jax.random.key(seed), hp, None), seeds)


@quick_jit
def further(states: TabularState, hp: Any, until: Any, horizon: Any) -> TabularState:
    return jax.lax.map(lambda state: LEARNER.train(state, hp, None, until, horizon), states)


def started(seeds: Any, hp: Any) -> TabularState:
    return begun(seeds, dataclasses.replace(hp, objective=None))  # which plays no part in it: one program for all


def trained(seeds: Any, hp: Any, iterations: int) -> TabularState:
    steps = jnp.int32(iterations * hp.mdps * hp.n_envs)
    return further(started(seeds, hp), hp, steps, steps)


def scores(states: TabularState, hp: TabularHyperparameters) -> np.ndarray:
    return np.asarray(quick_jit(lambda s: jax.lax.map(lambda one: LEARNER.scores(one, hp), s))(states))


def seeds(count: int, first: int = 0) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.uint32)


def equal_bits(a: Any, b: Any) -> None:
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def first(states: Any) -> Any:
    return jax.tree.map(lambda x: x[0], states)


def test_td_learns_and_wrong_losses_do_not() -> None:
    """With the defaults, on 24 processes; how far apart losses are is measured by benchmarks/mdp_ladder.py."""
    found = {}
    for name, objective in {"td": TD, "reward": REWARD, "one": ONE}.items():
        hp = prepared(600, objective=objective)
        states = trained(seeds(2, 50), hp, 600)
        assert not states.progress.diverged.any()
        found[name] = scores(states, hp).mean()
    assert found["td"] > 0.96
    assert 0.2 < found["reward"] < 0.65
    assert found["one"] < 0.35


def test_default_objective_is_half_the_squared_td_error() -> None:
    default, td = prepared(30, **SMALL), prepared(30, **SMALL, objective=TD)
    a, b = trained(seeds(2), default, 30), trained(seeds(2), td, 30)
    # Adam divides by the slope's size, but for its epsilon
    np.testing.assert_allclose(a.adam.parameters, b.adam.parameters, atol=1e-5)
    np.testing.assert_allclose(2 * a.progress.metrics["loss"], b.progress.metrics["loss"], rtol=1e-4)


def test_a_graph_trains_alike_interpreted_compiled_and_by_hand() -> None:
    graph = graph_from_json(
        {
            "language": "autorl",
            "family": "value",
            "nodes": [
                {"op": "max_a", "in": ["q_target_next"]},
                {"op": "mul", "in": [0, "discount"]},
                {"op": "add", "in": [1, "reward"]},
                {"op": "sub", "in": ["q_action", 2]},
                {"op": "square", "in": [3]},
            ],
        },
        "test",
    )
    tables = [
        trained(seeds(2), prepared(30, **SMALL, objective=objective), 30).adam.parameters
        for objective in (InterpretedLoss.of(graph), CompiledLoss.of(graph), TD)
    ]
    np.testing.assert_allclose(tables[0], tables[2], atol=1e-5)
    np.testing.assert_allclose(tables[1], tables[2], atol=1e-5)


def test_score_is_the_exact_value_of_the_greedy_policy() -> None:
    hp = prepared(30, **SMALL)
    state = first(trained(seeds(2), hp, 30))
    table = np.asarray(state.adam.parameters).reshape(ACTIONS, 3, STATES)
    expected = []
    for i in range(3):
        p = {name: np.asarray(value[i], np.float64) for name, value in state.processes.items()}
        reward = (p["transition"] * p["reward"]).sum(-1)
        going = p["discount"] * p["transition"] * (1.0 - p["terminated"])

        def value(policy: np.ndarray, p: Any = p, reward: Any = reward, going: Any = going) -> float:
            chain = np.einsum("sa,sat->st", policy, going)
            return p["initial"] @ np.linalg.solve(np.eye(STATES) - chain, (policy * reward).sum(-1))

        best = np.zeros(STATES)
        for _ in range(2000):
            best = (reward + going @ best).max(-1)
        random, optimal = value(np.full((STATES, ACTIONS), 1 / ACTIONS)), p["initial"] @ best
        expected.append((value(np.eye(ACTIONS)[table[:, i].argmax(0)]) - random) / (optimal - random))
    np.testing.assert_allclose(LEARNER.scores(state, hp), np.maximum(expected, exact.LOWEST_SCORE), atol=1e-4)
    evaluation = LEARNER.evaluate(state, hp, None, jax.random.key(0), 5)
    np.testing.assert_allclose(evaluation.returns, np.full(5, np.mean(expected)), atol=1e-4)
    assert evaluation.env_steps == 0


def test_replay_holds_what_can_happen() -> None:
    iterations = 30
    hp = prepared(iterations, **SMALL)
    assert hp.buffer_steps == 32
    state = first(trained(seeds(2), hp, iterations))
    stored = np.asarray(state.replay)[:, : iterations * hp.n_envs]
    process, chances = stored // (STATES * ACTIONS * STATES), np.asarray(state.processes["transition"])
    np.testing.assert_array_equal(process, np.arange(3)[:, None] * np.ones_like(stored))
    assert (chances.reshape(-1)[stored] > 0.0).all()
    assert not np.asarray(state.replay)[:, iterations * hp.n_envs :].any()
    # an actor goes on where it arrived, unless its episode ended
    where = stored.reshape(3, iterations, hp.n_envs)
    here, there = where // (STATES * ACTIONS) % STATES, where % STATES
    ended = np.asarray(state.processes["terminated"]).reshape(-1)[where]
    assert ended.any()
    goes_on = ~ended[:, :-1]
    np.testing.assert_array_equal(here[:, 1:][goes_on], there[:, :-1][goes_on])
    np.testing.assert_array_equal(np.asarray(state.place)[~ended[:, -1]], there[:, -1][~ended[:, -1]])
    assert state.progress.env_steps == iterations * SPAN
    assert state.progress.updates == iterations
    assert np.isfinite(state.progress.train_return)


def test_a_short_replay_keeps_the_last_steps() -> None:
    same = {"learning_rate": 0.0, "initial_epsilon": 1.0, "target_epsilon": 1.0}  # what is drawn does not matter then
    long, short = prepared(30, **SMALL, **same), prepared(30, **SMALL, **same, buffer_steps=4)
    a, b = first(trained(seeds(2), long, 20)), first(trained(seeds(2), short, 20))
    np.testing.assert_array_equal(a.replay[:, 16 * 2 : 20 * 2], b.replay)


def test_time_limit_ends_episodes() -> None:
    learner, hp = TabularQ(dataclasses.replace(LEARNER.environment, max_episode_steps=3)), prepared(30, **SMALL)
    state = first(started(seeds(2), hp))
    state, times = state._replace(processes={**state.processes, "terminated": jnp.zeros((3, 10, 3, 10), bool)}), []
    step = quick_jit(lambda s, until: learner.train(s, hp, None, until, jnp.int32(30 * SPAN)))
    for i in range(7):
        state = step(state, jnp.int32((i + 1) * SPAN))
        times.append(np.asarray(state.time).max())
    assert times == [1, 2, 0, 1, 2, 0, 1]


def test_registers_and_slopes_are_those_of_the_tables() -> None:
    """One update against the same written with plain indexing and jax's own derivative of it."""
    mdps, batch = 3, 5
    state = first(started(seeds(2), prepared(30, **SMALL)))
    lookup = tabular_batch.Lookup.of(state.processes)
    rng = np.random.default_rng(0)
    m = np.repeat(np.arange(mdps), batch)
    s, a = rng.integers(0, STATES, m.size), rng.integers(0, ACTIONS, m.size)
    t = rng.integers(0, STATES, m.size)
    transition = jnp.asarray(((m * STATES + s) * ACTIONS + a) * STATES + t, jnp.int32)
    places = tabular_batch.Places.of(transition, m.astype(np.int32), STATES, ACTIONS)
    target = jnp.asarray(rng.normal(size=(ACTIONS, mdps, STATES)), jnp.float32)
    found = tabular_batch.fixed_registers(
        ALL, lookup, transition, places, target.reshape(ACTIONS, -1), jnp.float32(0.25)
    )
    p = state.processes
    np.testing.assert_array_equal(found["action"], np.eye(ACTIONS)[a].T)
    np.testing.assert_array_equal(found["reward"], p["reward"][m, s, a, t])
    np.testing.assert_array_equal(found["discount"], np.where(p["terminated"][m, s, a, t], 0.0, p["discount"][m]))
    np.testing.assert_array_equal(found["q_target"], target[:, m, s])
    np.testing.assert_array_equal(found["q_target_next"], target[:, m, t])
    np.testing.assert_array_equal(found["progress"], np.full(m.size, 0.25, np.float32))
    table = jnp.asarray(rng.normal(size=(ACTIONS, mdps, STATES)), jnp.float32)
    weights = jnp.asarray(rng.normal(size=(2, ACTIONS, m.size)), jnp.float32)
    slope = jax.grad(lambda q: jnp.sum(weights[0] * q[:, m, s]) + jnp.sum(weights[1] * q[:, m, t]))(table)
    ours = tabular_batch.sum_by_place(weights[0], places.here, mdps, STATES)
    ours = ours + tabular_batch.sum_by_place(weights[1], places.there, mdps, STATES)
    np.testing.assert_allclose(ours, slope, rtol=1e-5, atol=1e-5)


def test_an_update_is_adams_along_the_slope_of_the_mean_loss() -> None:
    """Through every register at once: the first update moves each entry against the sign of its slope."""
    hp = prepared(30, **SMALL, objective=Known("all", next=1.5))
    fresh = started(seeds(2), hp)
    start, state = first(fresh), first(further(fresh, hp, jnp.int32(SPAN), jnp.int32(30 * SPAN)))
    before = start.adam.parameters.reshape(ACTIONS, 3, STATES)
    stored = np.asarray(state.replay)[:, : hp.n_envs]  # one step of two actors: batches repeat these

    def losses(table: Any) -> Any:
        number = stored.reshape(-1)
        m, s = number // (STATES * ACTIONS * STATES), number // (STATES * ACTIONS) % STATES
        a, t = number // STATES % ACTIONS, number % STATES
        registers = {
            "q": table[:, m, s],
            "q_action": table[a, m, s],
            "q_next": table[:, m, t],
            "q_target": before[:, m, s],
            "q_target_next": before[:, m, t],
            "action": jnp.eye(ACTIONS)[a].T,
            "reward": start.processes["reward"][m, s, a, t],
        }
        return hp.objective.per_sample(registers)

    slopes = np.asarray(jax.jacobian(losses)(before))  # [samples, A, M, S]
    moved = np.asarray(state.adam.parameters.reshape(before.shape) - before)
    clear = (slopes != 0).any(0) & ((slopes >= 0).all(0) | (slopes <= 0).all(0))
    clear &= (np.abs(slopes) > 1e-6).sum(0) == (slopes != 0).sum(0)
    drawn = clear & (moved != 0)
    assert drawn.sum() > 10
    assert (np.sign(moved[drawn]) == -np.sign(slopes.sum(0)[drawn])).all()
    assert (moved[(slopes == 0).all(0)] == 0).all()
    np.testing.assert_allclose(np.abs(moved[drawn]), float(hp.learning_rate), rtol=1e-2)


@pytest.mark.bits
def test_segments_change_no_bit() -> None:
    hp = prepared(30, **SMALL)
    whole = first(trained(seeds(2), hp, 30))
    parts = started(seeds(2), hp)
    for until in (7 * SPAN + 3, 7 * SPAN + 5, 20 * SPAN, 30 * SPAN):
        parts = further(parts, hp, jnp.int32(until), jnp.int32(30 * SPAN))
        assert (parts.progress.env_steps == until // SPAN * SPAN).all()
    equal_bits(whole, first(parts))


def test_seeds_choose_the_processes_and_candidates_share_them() -> None:
    a, b = prepared(30, **SMALL), prepared(30, **SMALL, learning_rate=0.03, objective=REWARD)
    one, other = trained(seeds(2), a, 30), trained(seeds(2), b, 30)
    equal_bits(one.processes, other.processes)
    equal_bits(one.references, other.references)
    assert not np.array_equal(one.processes["transition"][0], one.processes["transition"][1])
    assert not np.array_equal(one.adam.parameters, other.adam.parameters)


def test_divergence_freezes_the_state_and_no_neighbour() -> None:
    hp = prepared(30, **SMALL, objective=Known("nan_late"))
    late = trained(seeds(2), hp, 30)
    assert late.progress.diverged.all()
    assert (late.progress.updates == 16).all()
    assert np.isfinite(late.adam.parameters).all()
    equal_bits(late, further(late, hp, jnp.int32(180), jnp.int32(180)))
    # infinite, not nan: caught too; beside it a neighbour with another target goes on as if alone
    hps = [prepared(30, **SMALL, objective=Known("td", next=scale)) for scale in (1.0, 1e30)]
    fresh, steps = started(np.zeros(2, np.uint32), hps[0]), jnp.int32(30 * SPAN)

    @quick_jit
    def both(hp: Any) -> TabularState:
        return jax.lax.map(lambda one: LEARNER.train(one[0], one[1], None, steps, steps), (fresh, hp))

    pair, alone = (both(jax.tree.map(lambda *x: np.stack(x), hps[0], other)) for other in reversed(hps))
    assert pair.progress.diverged.tolist() == [False, True]
    equal_bits(first(pair), first(alone))


def test_epsilon_falls() -> None:
    hp = prepared(10, initial_epsilon=0.9, target_epsilon=0.1, exploration_fraction=0.5)
    found = [float(exploration(hp, jnp.float32(part))) for part in (0.0, 0.25, 0.5, 1.0)]
    np.testing.assert_allclose(found, [0.9, 0.5, 0.1, 0.1], atol=1e-6)
    never = prepared(10, target_epsilon=0.2, exploration_fraction=0.0)
    assert float(exploration(never, jnp.float32(0.0))) == pytest.approx(0.2)


def test_only_tabular_environments_fit() -> None:
    assert ALGORITHMS.load("tabular") is TabularQ
    for name in ("probe:two_step", "probe:continuous_action"):
        with pytest.raises(IncompatibleError, match=r"'tabular'.*mdp:lottery"):
            TabularQ(make_environment(name))


def test_wrong_hyperparameters() -> None:
    with pytest.raises(UsageError, match=r"mdps \* n_envs: one iteration of 12 \* 8 env steps does not fit into .* 95"):
        TabularQ.prepare({}, 95, {})
    with pytest.raises(UsageError, match=r"unknown hyperparameter 'learning_rat'.*learning_rate"):
        TabularQ.prepare({"learning_rat": 0.1}, 9600, {})
    with pytest.raises(UsageError, match="learning_rate_decay"):
        TabularQ.prepare({"learning_rate_decay": 1.5}, 9600, {})
    policy = dataclasses.make_dataclass("Policy", [("family", str, "policy_gradient"), ("needs", tuple, ("ratio",))])
    policy.per_sample = lambda self, registers: registers["ratio"]
    with pytest.raises(IncompatibleError, match="policy_gradient"):
        TabularQ.prepare({"objective": policy()}, 9600, {})
