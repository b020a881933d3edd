"""Ids, listing, and users' own environments by ``module:attribute``."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from gymnax.environments import environment as gymnax_environment
from gymnax.environments import spaces

from autorl.environments.gymnax_adapter import GymnaxEnvironment
from autorl.environments.probes import ActionReward, Probe, Truncation
from autorl.environments.protocol import Discrete, Step
from autorl.environments.registry import EXCLUDED, GYMNAX_IDS, check_environment_id, environment_names, make_environment
from autorl.environments.tasks import make_task
from autorl.errors import UnknownNameError, UsageError


def test_the_table_is_what_gymnax_offers() -> None:
    import gymnax

    excluded = {id.removeprefix("gymnax:") for id in EXCLUDED if id.startswith("gymnax:")}
    assert set(GYMNAX_IDS) == set(gymnax.registered_envs) - excluded
    assert excluded <= set(gymnax.registered_envs)
    assert len(set(environment_names())) == len(environment_names())


def test_every_probe_is_listed() -> None:
    def leaves(cls: type) -> set[str]:
        below = {leaf for child in cls.__subclasses__() for leaf in leaves(child)}
        return below | (set() if cls.__name__.startswith("_") or cls is Probe else {cls.__name__})

    listed = {type(make_environment(name)).__name__ for name in environment_names() if name.startswith("probe:")}
    assert listed == {leaf for leaf in leaves(Probe) if leaf in vars(sys.modules[Probe.__module__])}


def test_listing_imports_no_jax() -> None:
    code = (
        "import sys; from autorl.environments.registry import check_environment_id, environment_names;"
        "assert 'gymnax:CartPole-v1' in environment_names(); check_environment_id('mine.envs:Maze');"
        "bad = {'jax', 'gymnax', 'flax', 'numpy'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("id", "hint"),
    [
        ("gymnax:CartPol-v1", "Did you mean 'gymnax:CartPole-v1'"),
        ("CartPole-v1", "Did you mean 'gymnax:CartPole-v1'"),
        ("probe:two_stp", "Did you mean 'probe:two_step'"),
        ("gymnax:", "unknown environment 'gymnax:'"),
        ("", "Known: bsuite:DeepSea-10, bsuite:DeepSea-20, contextual:Acrobot-v1"),
        ("my module:thing", "unknown environment"),
        ("../evil:thing", "unknown environment"),
    ],
)
def test_unknown_ids(id: str, hint: str) -> None:
    for refused in (check_environment_id, make_environment):
        with pytest.raises(UnknownNameError, match="unknown environment") as caught:
            refused(id)
        assert hint in str(caught.value)


def test_excluded_id_says_why() -> None:
    with pytest.raises(UsageError, match="downloads the MNIST"):
        make_environment("gymnax:MNISTBandit-bsuite")


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("no_such_module_here:thing", "no module named 'no_such_module_here'"),
        (f"{__name__}:nothing", "has no attribute 'nothing'"),
    ],
)
def test_wrong_references(id: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_environment(id)


@dataclasses.dataclass(frozen=True)
class Walk:
    """A user's own environment: a walk on the line, with a dict as task and a bare array as state."""

    name: str = "walk"
    observation_shape: tuple[int, ...] = (1,)
    action_space: Any = Discrete(2)  # noqa: RUF009 - frozen
    max_episode_steps: int = 20

    def default_task(self) -> dict[str, np.ndarray]:
        return {"goal": np.asarray(3.0, np.float32)}

    def reset(self, key: jax.Array, task: Any) -> Any:
        return jnp.zeros(1, jnp.float32), jnp.zeros(2, jnp.float32)

    def step(self, key: jax.Array, state: Any, action: jax.Array, task: Any) -> Step:
        state = state + jnp.array([2.0 * action.astype(jnp.float32) - 1.0, 1.0])
        there = jnp.abs(state[0]) >= task["goal"]
        late = (state[1] >= self.max_episode_steps) & ~there
        return Step(state[:1], state, there.astype(jnp.float32), there, late, {})


walk = Walk()


def make_walk() -> Walk:
    return Walk(max_episode_steps=7)


def make_walk_of(length: int) -> Walk:
    return Walk(max_episode_steps=length)


@pytest.mark.parametrize(("attribute", "limit"), [("walk", 20), ("Walk", 20), ("make_walk", 7)])
def test_own_environment(attribute: str, limit: int) -> None:
    environment = make_environment(f"{__name__}:{attribute}")
    assert isinstance(environment, Walk)
    assert environment.max_episode_steps == limit
    assert make_task(environment, {"goal": 2})["goal"] == np.float32(2)
    with pytest.raises(UsageError, match="Did you mean 'goal'"):
        make_task(environment, {"goals": 2})


def test_factory_with_arguments() -> None:
    with pytest.raises(UsageError, match=r"without arguments.*'length'"):
        make_environment(f"{__name__}:make_walk_of")


def variant(**members: Any) -> Callable[[], Any]:
    fields = {f.name for f in dataclasses.fields(Walk)}
    methods = {name: value for name, value in members.items() if name not in fields}
    values = {name: value for name, value in members.items() if name in fields}
    return lambda: type("Variant", (Walk,), methods)(**values)


class Unhashable(Walk):
    __hash__ = None  # type: ignore[assignment]


def step_with(**changed: Callable[[Any], Any]) -> Callable[..., Any]:
    def step(self: Walk, key: Any, state: Any, action: Any, task: Any) -> Step:
        made = Walk.step(self, key, state, action, task)
        return made._replace(**{name: change(getattr(made, name)) for name, change in changed.items()})

    return step


def raising(self: Any, key: Any, task: Any) -> Any:
    raise ValueError("the maze has no exit")


BROKEN: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "empty": (lambda: object(), ["method reset is missing", "method step is missing", "name is missing (a string)"]),
    "space": (variant(action_space=4), ["action_space is 4, expected a Discrete or a Box"]),
    "shape": (variant(observation_shape=[1]), ["observation_shape is [1], expected a tuple of ints"]),
    "limit": (variant(max_episode_steps=0), ["max_episode_steps is 0, expected a whole number >= 1"]),
    "limit type": (variant(max_episode_steps=2.5), ["max_episode_steps is 2.5"]),
    "hash": (Unhashable, ["not hashable"]),
    "reset raises": (variant(reset=raising), ["reset(key, task) fails when traced: ValueError: the maze has no exit"]),
    "step raises": (variant(step=lambda *a: {}["x"]), ["step(key, state, action, task) fails when traced: KeyError"]),
    "five values": (variant(step=lambda self, *a: tuple(Walk.step(self, *a))[:5]), ["step returns tuple, expected"]),
    "observation": (
        variant(observation_shape=(2,)),
        ["the observation of reset is float32[1], expected float32[2]", "step.observation is float32[1]"],
    ),
    "reward": (
        variant(step=step_with(reward=lambda r: r[None].astype(jnp.int32))),
        ["step.reward is int32[1], expected float32[]"],
    ),
    "flags": (
        variant(step=step_with(terminated=lambda t: t.astype(jnp.float32), truncated=lambda t: False)),
        ["step.terminated is float32[], expected bool[]"],
    ),
    "info": (variant(step=step_with(info=lambda i: jnp.zeros(3))), ["step.info is ShapeDtypeStruct, expected a dict"]),
    "state dtype": (
        variant(step=step_with(state=lambda s: s.astype(jnp.int32))),
        ["state is float32[2] after reset, int32[2] after step"],
    ),
    "state structure": (variant(step=step_with(state=lambda s: (s, s))), ["another structure"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_environments(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    factory, messages = BROKEN[case]
    monkeypatch.setattr(sys.modules[__name__], "broken", factory, raising=False)
    with pytest.raises(UsageError, match="does not satisfy the protocol") as caught:
        make_environment(f"{__name__}:broken")
    for message in messages:
        assert message in str(caught.value)


@struct.dataclass
class CountState(gymnax_environment.EnvState):
    total: jax.Array


@struct.dataclass
class CountParams(gymnax_environment.EnvParams):
    gain: float = 2.0
    label: str = struct.field(pytree_node=False, default="not a number")
    max_steps_in_episode: int = 6


class Count(gymnax_environment.Environment[CountState, CountParams]):
    """A user's gymnax environment that carries mixed dtypes and an auto-resetting ``step``, as gymnax's own do."""

    high: float | np.ndarray = 1.0

    @property
    def default_params(self) -> CountParams:
        return CountParams()

    def reset_env(self, key: jax.Array, params: CountParams) -> Any:
        return jnp.zeros((1,), int), CountState(total=0, time=0)  # an int that becomes a float at the first step

    def step_env(self, key: jax.Array, state: CountState, action: Any, params: CountParams) -> Any:
        state = CountState(total=state.total + params.gain * action.sum(), time=state.time + 1)
        return jnp.array([state.total]), state, state.total, state.total > 100, {}

    def observation_space(self, params: CountParams) -> spaces.Box:
        return spaces.Box(-1, 1, (1,))

    def action_space(self, params: CountParams | None = None) -> spaces.Box:
        return spaces.Box(-self.high, self.high, (3,))


class Uneven(Count):
    high = np.array([1.0, 2.0, 3.0])


class Timeless(Count):
    @property
    def default_params(self) -> CountParams:
        return CountParams(max_steps_in_episode=0)


def test_own_gymnax_environment() -> None:
    environment = make_environment(f"{__name__}:Count")
    assert isinstance(environment, GymnaxEnvironment)
    assert environment.name == f"{__name__}:Count"
    assert environment == make_environment(f"{__name__}:Count")
    assert list(environment.default_task()) == ["gain"]
    key, task = jax.random.key(0), environment.task_from({"gain": 3})
    observation, state = environment.reset(key, task)
    assert observation.dtype == jnp.float32
    for count in range(1, 7):
        step = environment.step(key, state, jnp.ones(3), task)
        state = step.state
        assert step.observation.tolist() == [9.0 * count]
        assert (bool(step.terminated), bool(step.truncated)) == (False, count == 6)


class Pair(Count):
    def reset_env(self, key: jax.Array, params: CountParams) -> Any:
        observation, state = super().reset_env(key, params)
        return {"eyes": observation}, state


class Growing(Count):
    def step_env(self, key: jax.Array, state: CountState, action: Any, params: CountParams) -> Any:
        observation, state, *rest = super().step_env(key, state, action, params)
        return observation, state.replace(total=jnp.stack([state.total] * 2)), *rest


class Failing(Count):
    def reset_env(self, key: jax.Array, params: CountParams) -> Any:
        raise ValueError("the maze has no exit")


def test_gymnax_environments_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="same finite bounds"):
        make_environment(f"{__name__}:Uneven")
    with pytest.raises(UsageError, match="max_steps_in_episode >= 1, got 0"):
        make_environment(f"{__name__}:Timeless")
    with pytest.raises(UsageError, match="its observation is dict, expected one array"):
        make_environment(f"{__name__}:Pair")
    with pytest.raises(UsageError, match="other shapes than that of reset"):
        make_environment(f"{__name__}:Growing")
    with pytest.raises(UsageError, match="fails when traced: ValueError: the maze has no exit"):
        make_environment(f"{__name__}:Failing")


def test_equality_follows_what_the_environment_is_made_of() -> None:
    one = make_environment(f"{__name__}:Count")
    assert one != make_environment("gymnax:Reacher-misc")
    longer = type("Count", (Count,), {"default_params": CountParams(max_steps_in_episode=9)})
    from autorl.environments.gymnax_adapter import adapt

    assert one != adapt(one.name, longer())
    assert ActionReward("a") != Truncation("a")


def test_made_inside_a_trace() -> None:
    """Constants of an environment that is made while something else is traced are no tracers of that trace."""
    made = []
    jax.jit(lambda x: (made.append(make_environment("gymnax:Breakout-MinAtar")), x)[1])(jnp.ones(()))
    key, task = jax.random.key(0), made[0].default_task()
    _, state = jax.jit(made[0].reset)(key, task)
    assert jax.jit(made[0].step)(key, state, jnp.int32(0), task).reward == 0
