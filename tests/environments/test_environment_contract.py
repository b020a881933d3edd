"""The contract of `Environment`, held by every built-in environment."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.autoreset import _RESET, batched_reset, batched_step_or_reset
from autorl.environments.check import action_struct
from autorl.environments.protocol import Box, Discrete, Environment, LevelEnvironment, Step
from autorl.environments.registry import environment_names, make_environment
from autorl.environments.tasks import make_task

# Asterix, Freeway and Seaquest unroll loops over their entities: most of the compile time of all
SLOW = ("-bsuite", "-misc", "Asterix-MinAtar", "Freeway-MinAtar", "Seaquest-MinAtar")
QUICK_GRIDS = ("minigrid:Empty-5x5", "minigrid:Dynamic-Obstacles-5x5")  # of 60
QUICK_TASKS = ("maze:9x9",)  # of 30
MANY = ("minigrid:", "xminigrid:", "contextual:", "point_mass:", "maze:", "lpg:")


def is_quick(name: str) -> bool:
    return name in QUICK_GRIDS + QUICK_TASKS or (not name.endswith(SLOW) and not name.startswith(MANY))


QUICK = [n for n in environment_names() if is_quick(n)]
NAMES = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in environment_names()]
every_environment = pytest.mark.parametrize("name", NAMES)


# nearly all the time goes into compiling programs that run once
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Recorded(NamedTuple):
    """A rollout of two environments over more than one episode of full length: the default task and an altered one.

    Numpy arrays, time first, then the environment: [T, 2, ...].
    """

    environment: Any
    tasks: Any
    keys: jax.Array
    states: Any
    actions: np.ndarray
    steps: Step
    next_observations: np.ndarray
    next_states: Any
    elapsed: np.ndarray


@functools.partial(quick_jit, static_argnums=0)
def drawn_level(environment: LevelEnvironment, key: jax.Array) -> Any:
    task = environment.sample_task(key)
    return task, environment.is_valid(task)


def altered(environment: Any) -> dict[str, np.ndarray]:
    """Return the default task with every number changed (floats by a quarter and a tenth, ints by one).

    Where most such tasks are none, as of mazes: a random one, with a time limit as long as the default one's.
    """
    task = environment.default_task()
    if isinstance(environment, LevelEnvironment):
        drawn, valid = jax.device_get(drawn_level(environment, jax.random.key(1)))
        assert valid
        return {**drawn, **{name: task[name] for name in ("max_steps",) if name in task}}
    change = {
        "f": lambda x: (x * 1.25 + 0.1).astype(x.dtype),
        "i": lambda x: x + np.ones((), x.dtype),
        "b": lambda x: x,
    }
    return {name: change[value.dtype.kind](value) for name, value in task.items()}


def sample_actions(space: Discrete | Box, key: jax.Array, length: int) -> jax.Array:
    """Return [length] random actions, a bit beyond the bounds of a box."""
    if isinstance(space, Discrete):
        return jax.random.randint(key, (length,), 0, space.n)
    return 1.1 * jax.random.uniform(key, (length, *space.shape), minval=space.low, maxval=space.high)


@functools.partial(quick_jit, static_argnames="environment")
def rollout(environment: Environment, tasks: Any, key: jax.Array) -> Any:
    length = environment.max_episode_steps + 8
    key_reset, key_actions, key_steps = jax.random.split(key, 3)
    keys = jnp.stack([jax.random.split(key_steps, length)] * 2, axis=1)  # both tasks see the same luck
    actions = jnp.stack([sample_actions(environment.action_space, key_actions, length)] * 2, axis=1)
    _, states = batched_reset(environment, jnp.stack([key_reset] * 2), tasks, task_axis=0)

    def one(carry: Any, inputs: Any) -> Any:
        states, elapsed = carry
        step, observation, following = batched_step_or_reset(
            environment, inputs[0], states, inputs[1], tasks, task_axis=0
        )
        elapsed = elapsed + 1
        after = jnp.where(step.terminated | step.truncated, 0, elapsed)
        return (following, after), (states, step, observation, following, elapsed)

    start = (states, jnp.zeros(2, jnp.int32))
    _, (before, steps, observations, following, elapsed) = jax.lax.scan(one, start, (keys, actions))
    return keys, before, actions, steps, observations, following, elapsed


@functools.cache
def made(name: str) -> Environment:
    return make_environment(name)


@functools.cache
def recorded(name: str) -> Recorded:
    environment = made(name)
    default = environment.default_task()
    tasks = jax.tree.map(lambda a, b: jnp.stack([a, b]), default, altered(environment))
    keys, *rest = rollout(environment, tasks, jax.random.key(7))
    states, actions, steps, observations, following, elapsed = jax.device_get(rest)
    return Recorded(environment, tasks, keys, states, actions, steps, observations, following, elapsed)


def close(a: Any, b: Any) -> None:
    """Assert equality: exact for ints and bools, to rounding for floats (other fusions, other last bits)."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5)


@every_environment
def test_identity(name: str) -> None:
    environment, again = made(name), make_environment(name)
    assert isinstance(environment, Environment)
    assert environment.name == name
    assert environment == again
    assert hash(environment) == hash(again)
    assert environment != make_environment("probe:two_step" if name != "probe:two_step" else "probe:truncation")
    traces = []

    @functools.partial(jax.jit, static_argnames="environment")
    def use(environment: Environment, x: jax.Array) -> jax.Array:
        traces.append(environment)
        return x * environment.max_episode_steps

    use(environment, jnp.ones(()))
    use(again, jnp.ones(()))
    assert len(traces) == 1  # an equal instance is the same static argument


@every_environment
def test_shapes_dtypes_and_structure(name: str) -> None:
    r = recorded(name)
    length = r.environment.max_episode_steps + 8
    shape = (length, 2, *r.environment.observation_shape)
    for observation in (r.steps.observation, r.next_observations):
        assert observation.dtype == np.float32
        assert observation.shape == shape
        assert np.isfinite(observation).all()
    assert r.steps.reward.dtype == np.float32
    assert r.steps.reward.shape == (length, 2)
    assert np.isfinite(r.steps.reward).all() == (name != "probe:nan_reward")
    for flag in (r.steps.terminated, r.steps.truncated):
        assert flag.dtype == np.bool_
        assert flag.shape == (length, 2)
    assert isinstance(r.environment.max_episode_steps, int)
    task = r.environment.default_task()
    assert all(isinstance(v, np.ndarray) and v.dtype in (np.float32, np.int32, np.bool_) for v in task.values())


@every_environment
def test_state_is_a_loop_carry_under_strict_promotion(name: str) -> None:
    environment = made(name)
    key, task = jax.random.key(0), environment.default_task()
    with jax.numpy_dtype_promotion("strict"):
        observation, state = jax.eval_shape(environment.reset, key, task)
        step = jax.eval_shape(environment.step, key, state, action_struct(environment.action_space), task)
    assert jax.tree.structure(state) == jax.tree.structure(step.state)
    for a, b in zip(
        jax.tree.leaves((observation, state)), jax.tree.leaves((step.observation, step.state)), strict=True
    ):
        assert (a.shape, a.dtype, a.weak_type) == (b.shape, b.dtype, b.weak_type)
        assert not a.weak_type


@every_environment
def test_episode_ends(name: str) -> None:
    r = recorded(name)
    done = r.steps.terminated | r.steps.truncated
    limit = r.environment.max_episode_steps
    assert done.any(axis=0).all()  # the rollout is longer than the limit: both tasks ended at least once
    assert not (r.steps.terminated & r.steps.truncated).any()
    assert r.elapsed.max() <= limit
    assert done[r.elapsed == limit].all()
    assert (r.elapsed[r.steps.truncated] == limit).all()


@every_environment
def test_stored_states_replay(name: str) -> None:
    """A state is data: stepping again from stored ones, one by one and without vmap, gives the recorded steps.

    At the ends too, where the observation is the one reached and not that of a reset. Twice gives equal bits.
    """
    r = recorded(name)
    end_times, end_members = (x[:8] for x in np.nonzero(r.steps.terminated | r.steps.truncated))
    some = np.arange(0, len(r.elapsed), max(1, len(r.elapsed) // 16))
    times, members = np.concatenate([some, end_times]), np.concatenate([some % 2, end_members])
    assert (r.steps.terminated | r.steps.truncated)[times, members].any()

    def stored(tree: Any) -> Any:
        return jax.tree.map(lambda x: x[times, members], tree)

    @quick_jit
    def replay(inputs: Any) -> Step:
        return jax.lax.map(lambda one: r.environment.step(*one), inputs)

    inputs = (r.keys[times, members], stored(r.states), stored(r.actions), jax.tree.map(lambda x: x[members], r.tasks))
    once, twice = jax.device_get(replay(inputs)), jax.device_get(replay(inputs))
    close(once, stored(r.steps))
    for a, b in zip(jax.tree.leaves(once), jax.tree.leaves(twice), strict=True):
        np.testing.assert_array_equal(a, b)


@every_environment
def test_going_on_after_an_end(name: str) -> None:
    r = recorded(name)
    done = r.steps.terminated | r.steps.truncated
    close(r.next_observations[~done], r.steps.observation[~done])
    close(*(jax.tree.map(lambda x: x[~done], tree) for tree in (r.next_states, r.steps.state)))
    times, members = (x[:8] for x in np.nonzero(done))
    keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(r.keys[times, members], _RESET)
    fresh = quick_jit(jax.vmap(r.environment.reset))(keys, jax.tree.map(lambda x: x[members], r.tasks))
    close(
        jax.device_get(fresh),
        (r.next_observations[times, members], jax.tree.map(lambda x: x[times, members], r.next_states)),
    )


@every_environment
def test_tasks_change_the_dynamics(name: str) -> None:
    r = recorded(name)
    if not r.tasks:
        assert name in ("gymnax:Breakout-MinAtar", "gymnax:Catch-bsuite", "gymnax:FrozenLake-misc")
        return
    if hasattr(r.environment, "task_space"):
        return  # each dimension on its own: test_task_dimensions.py
    if "minigrid:" in name and not r.steps.reward.any():
        return  # tasks change what solving it pays, and chance did not: the tests of these environments solve them
    values = [r.steps.observation, r.steps.reward, r.steps.terminated]
    if name == "gymnax:SimpleBandit-bsuite":  # its one parameter is the reference of the regret that its state counts
        values = [r.steps.state.total_regret]
    assert any(not np.array_equal(x[:, 0], x[:, 1], equal_nan=x.dtype != np.bool_) for x in values)


@every_environment
def test_make_task(name: str) -> None:
    environment = made(name)
    default = environment.default_task()
    wanted = altered(environment)
    plain = {key: value.tolist() for key, value in wanted.items()}
    task = make_task(environment, plain)
    assert task.keys() == default.keys()
    for key, value in task.items():
        assert value.dtype == default[key].dtype
        np.testing.assert_array_equal(value, wanted[key])
