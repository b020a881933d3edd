"""gymnax 1.0 behind the protocol: its parameters are tasks, its episodes end where they end.

What the adapter changes, and why:

* No automatic reset: ``step_env`` and ``reset_env`` are called, so a step returns the observation that it reached.
* In gymnax 1.0 ``terminated`` never includes the time limit, which ``is_truncated`` holds alone (checked in the source
  of all its environments); a step that does both is terminated here, not truncated: nothing is left to bootstrap.
* Parameters that gymnax stores twice are computed from their sources (`DERIVED`): a heavier pole is heavier everywhere.
* The time limit is static (``max_episode_steps``), not part of the task: it bounds evaluations.
* Observations are float32 of their own shape; those from a ``Discrete`` space (FrozenLake) become one-hot vectors.
* States have one fixed dtype for each field (gymnax mixes Python numbers with arrays), so that loops can carry them.

Kept as gymnax has it: MountainCarContinuous does not stop the car at the left wall, as Gymnasium does (it compares with
the goal's position there). The bounds of a ``Box`` of actions are those of the default task, whatever a task says.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.check import action_struct, check_environment
from autorl.environments.light_gymnax import gymnax, spaces
from autorl.environments.protocol import Box, Discrete, State, Step, Task
from autorl.environments.tasks import override_task
from autorl.errors import UsageError

_LIMIT = "max_steps_in_episode"

DERIVED: dict[str, dict[str, tuple[str, Callable[[Mapping[str, Any]], Any]]]] = {
    "gymnax.environments.classic_control.cartpole": {
        "total_mass": ("masscart + masspole", lambda p: p["masscart"] + p["masspole"]),
        "polemass_length": ("masspole * length", lambda p: p["masspole"] * p["length"]),
    },
    "gymnax.environments.misc.bernoulli_bandit": {
        "t_max": ("the time limit, by which the observed time is scaled", lambda p: p[_LIMIT]),
    },
}
"""Module of the parameter class -> field -> (what it is, how it is computed from the other parameters).

Acrobot's link_com_pos_* and link_moi look derived (a uniform rod would have length / 2 and m l^2 / 12) but are
independent constants in Gymnasium, with other values than a rod's; they stay parameters. The other environments have no
derived field.
"""


@dataclasses.dataclass(frozen=True)
class GymnaxEnvironment:
    """A gymnax environment as an `Environment`. Made by `gymnax_environment` and `adapt`.

    Equal and of equal hash if name, class, attributes and default parameters of the gymnax environments are.

    Attributes:
        name: Public id.
        observation_shape: Shape of one float32 observation.
        action_space: Discrete or Box.
        max_episode_steps: The time limit.
        fingerprint: Hash of what the gymnax environment is made of.
    """

    name: str
    observation_shape: tuple[int, ...]
    action_space: Discrete | Box
    max_episode_steps: int
    fingerprint: str
    _gymnax: Any = dataclasses.field(repr=False, compare=False)
    _parameters: Any = dataclasses.field(repr=False, compare=False)
    _state_dtypes: tuple[Any, ...] = dataclasses.field(repr=False, compare=False)

    def default_task(self) -> dict[str, np.ndarray]:
        """Return the numeric parameters: name -> float32, int32 or bool array (nearly all scalars)."""
        return _numeric_parameters(self._parameters)

    def task_from(self, overrides: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the default task with ``overrides``.

        Raises:
            UsageError: Listing unknown names (did you mean), derived parameters and wrong values.
        """
        fixed = {name: f"it is computed: {what}" for name, (what, _) in _derived(self._parameters).items()}
        fixed[_LIMIT] = f"the time limit is fixed at {self.max_episode_steps} steps"
        return override_task(self.name, self.default_task(), overrides, fixed)

    def reset(self, key: Array, task: Task) -> tuple[Array, State]:
        """Return (observation, state) at the start of an episode of ``task``."""
        with jax.numpy_dtype_promotion("standard"):  # gymnax is not written for strict promotion
            observation, state = self._gymnax.reset_env(key, _with_task(self._parameters, task))
        return self._observation(observation), self._fixed_dtypes(state)

    def step(self, key: Array, state: State, action: Array, task: Task) -> Step:
        """Advance by one action."""
        parameters = _with_task(self._parameters, task)
        with jax.numpy_dtype_promotion("standard"):
            observation, state, reward, terminated, info = self._gymnax.step_env(key, state, action, parameters)
            truncated = self._gymnax.is_truncated(state, parameters)
        terminated = jnp.asarray(terminated, jnp.bool_).reshape(())
        return Step(
            observation=self._observation(observation),
            state=self._fixed_dtypes(state),
            reward=jnp.asarray(reward, jnp.float32).reshape(()),
            terminated=terminated,
            truncated=jnp.asarray(truncated, jnp.bool_).reshape(()) & ~terminated,
            info={name: jnp.asarray(value) for name, value in info.items() if name != "discount"},  # is ~terminated
        )

    def observe(self, state: State, task: Task) -> Array:
        """Return what is observed in ``state``; for environments of gymnax whose observation is a function of both."""
        with jax.numpy_dtype_promotion("standard"):
            return self._observation(self._gymnax.get_obs(state, _with_task(self._parameters, task)))

    def _observation(self, observation: Any) -> Array:
        space = self._gymnax.observation_space(self._parameters)
        if isinstance(space, spaces.Discrete):
            return jax.nn.one_hot(observation, space.n, dtype=jnp.float32)
        return jnp.asarray(observation, jnp.float32)

    def _fixed_dtypes(self, state: State) -> State:
        leaves, structure = jax.tree.flatten(state)
        cast = [x if d is None else jnp.asarray(x, d) for x, d in zip(leaves, self._state_dtypes, strict=True)]
        return jax.tree.unflatten(structure, cast)


def gymnax_environment(id: str) -> GymnaxEnvironment:
    """Return gymnax's own environment of the public id ``gymnax:NAME``."""
    with jax.ensure_compile_time_eval():  # its constant arrays must not become tracers of a trace around this call
        made, _ = gymnax.make(id.removeprefix("gymnax:"))
    return _adapted(id, made)


def adapt(name: str, environment: Any) -> GymnaxEnvironment:
    """Return ``environment`` (an instance of gymnax's ``Environment``) as an `Environment` called ``name``.

    Raises:
        UsageError: Its actions are neither discrete nor a box of equal bounds, its observation is no single array,
            it has no time limit, its state changes shape between reset and step, or one of them fails when traced.
    """
    try:
        adapted = _adapted(name, environment)
    except UsageError:
        raise
    except Exception as error:  # whatever a user's code raises is the user's to mend
        raise UsageError(f"environment {name!r} fails when traced: {type(error).__name__}: {error}") from error
    check_environment(adapted, name)
    return adapted


def _adapted(name: str, environment: Any) -> GymnaxEnvironment:
    with jax.ensure_compile_time_eval():
        parameters = environment.default_params
        limit = getattr(parameters, _LIMIT, None)
        if limit is None or int(limit) < 1:
            raise UsageError(f"environment {name!r}: its default parameters need {_LIMIT} >= 1, got {limit!r}")
        actions = _action_space(name, environment.action_space(parameters))
        space = environment.observation_space(parameters)
        observation, dtypes = _traced_types(name, environment, parameters, actions)
        return GymnaxEnvironment(
            name=name,
            observation_shape=(int(space.n),) if isinstance(space, spaces.Discrete) else tuple(observation.shape),
            action_space=actions,
            max_episode_steps=int(limit),
            fingerprint=_fingerprint(environment, parameters),
            _gymnax=environment,
            _parameters=parameters,
            _state_dtypes=dtypes,
        )


def _derived(parameters: Any) -> dict[str, tuple[str, Callable[[Mapping[str, Any]], Any]]]:
    return DERIVED.get(type(parameters).__module__, {})


def _numeric_parameters(parameters: Any) -> dict[str, np.ndarray]:
    """Return the settable numeric fields of a gymnax parameter object as float32, int32 and bool arrays."""
    found: dict[str, np.ndarray] = {}
    for field in dataclasses.fields(parameters):
        value = getattr(parameters, field.name)
        if (
            field.name == _LIMIT
            or field.name in _derived(parameters)
            or not isinstance(value, int | float | np.ndarray | Array)
        ):
            continue
        array = np.asarray(value)
        narrow = {"b": np.bool_, "i": np.int32, "u": np.int32, "f": np.float32}.get(array.dtype.kind)
        if narrow is not None:
            found[field.name] = array.astype(narrow)
    return found


def _with_task(parameters: Any, task: Mapping[str, Any]) -> Any:
    """Return ``parameters`` with the entries of ``task``, and with what is derived from them."""
    values = {name: jnp.asarray(value) for name, value in task.items()}
    sources = {**values, _LIMIT: getattr(parameters, _LIMIT)}
    derived = {name: compute(sources) for name, (_, compute) in _derived(parameters).items()}
    return parameters.replace(**values, **derived)


def _action_space(name: str, space: Any) -> Discrete | Box:
    if isinstance(space, spaces.Discrete):
        return Discrete(int(space.n))
    if isinstance(space, spaces.Box):
        low, high = np.unique(np.asarray(space.low)), np.unique(np.asarray(space.high))
        if low.size == high.size == 1 and np.isfinite([low[0], high[0]]).all():
            return Box(float(low[0]), float(high[0]), tuple(int(n) for n in space.shape))
    raise UsageError(
        f"environment {name!r}: actions must be discrete, or a box with the same finite bounds in every dimension; "
        f"got {space!r}"
    )


def _traced_types(name: str, environment: Any, parameters: Any, actions: Discrete | Box) -> tuple[Any, tuple[Any, ...]]:
    """Return the abstract observation, and a dtype for each leaf of the state into which reset and every step fit.

    None stands for leaves that are left alone (random keys).
    """
    key, task, action = jax.random.key(0), _numeric_parameters(parameters), action_struct(actions)

    def reset(task: Task) -> Any:
        return environment.reset_env(key, _with_task(parameters, task))

    def step(state: State, action: Array, task: Task) -> Any:
        return environment.step_env(key, state, action, _with_task(parameters, task))[1]

    with jax.numpy_dtype_promotion("standard"):
        observation, state = jax.eval_shape(reset, task)
        if not hasattr(observation, "shape"):
            raise UsageError(
                f"environment {name!r}: its observation is {type(observation).__name__}, expected one array"
            )
        for _ in range(3):  # a field may be bool at reset, int after one step, float after two
            following = jax.eval_shape(step, state, action, task)
            if [x.shape for x in jax.tree.leaves(state)] != [x.shape for x in jax.tree.leaves(following)]:
                raise UsageError(f"environment {name!r}: the state of step has other shapes than that of reset")
            before, state = state, jax.tree.map(_common, state, following)
            if [x.dtype for x in jax.tree.leaves(before)] == [x.dtype for x in jax.tree.leaves(state)]:
                break
    dtypes = [None if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x.dtype for x in jax.tree.leaves(state)]
    return observation, tuple(dtypes)


def _common(a: Any, b: Any) -> jax.ShapeDtypeStruct:
    if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
        return jax.ShapeDtypeStruct(a.shape, a.dtype)
    narrow = {np.dtype("int64"): np.dtype("int32"), np.dtype("float64"): np.dtype("float32")}  # were x64 switched on
    dtype = np.dtype(jnp.promote_types(a.dtype, b.dtype))
    return jax.ShapeDtypeStruct(a.shape, narrow.get(dtype, dtype))


def _fingerprint(environment: Any, parameters: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{type(environment).__module__}.{type(environment).__qualname__}".encode())
    for name, value in [*sorted(vars(environment).items()), *sorted(vars(parameters).items())]:
        digest.update(f"|{name}=".encode())
        if isinstance(value, np.ndarray | Array):
            array = np.asarray(value)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()
