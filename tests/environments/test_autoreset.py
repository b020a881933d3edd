"""Going on across episode ends: batched equals one by one, and resets run only when an episode ended."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.environments.autoreset import _RESET, batched_reset, batched_step_or_reset, step_or_reset
from autorl.environments.probes import TwoStep
from autorl.environments.registry import make_environment


@pytest.mark.bits
@pytest.mark.parametrize("name", ["gymnax:CartPole-v1", "probe:observation_action_reward"])
@pytest.mark.parametrize("task_axis", [None, 0])
def test_batched_equals_one_by_one(name: str, task_axis: int | None) -> None:
    environment, count = make_environment(name), 8
    task = environment.default_task()
    if task_axis == 0:
        task = {k: jnp.stack([v * (1 + i / 8) for i in range(count)]) for k, v in task.items()}
    observations, states = batched_reset(
        environment, jax.random.split(jax.random.key(0), count), task, task_axis=task_axis
    )
    assert observations.shape == (count, *environment.observation_shape)
    keys = jax.random.split(jax.random.key(1), (40, count))
    actions = jax.random.randint(jax.random.key(2), (40, count), 0, 2)

    def batched(states: Any, inputs: Any) -> Any:
        step, observation, states = batched_step_or_reset(
            environment, inputs[0], states, inputs[1], task, task_axis=task_axis
        )
        return states, (step, observation, states)

    def single(states: Any, inputs: Any) -> Any:
        one = jax.vmap(lambda k, s, a, t: step_or_reset(environment, k, s, a, t), in_axes=(0, 0, 0, task_axis))
        step, observation, states = one(inputs[0], states, inputs[1], task)
        return states, (step, observation, states)

    outcomes = [jax.jit(lambda s, x, f=f: jax.lax.scan(f, s, x)[1])(states, (keys, actions)) for f in (batched, single)]
    assert outcomes[0][0].terminated.any(axis=0).all()
    for a, b in zip(*map(jax.tree.leaves, outcomes), strict=True):
        np.testing.assert_array_equal(a, b)


@dataclasses.dataclass(frozen=True)
class Counting(TwoStep):
    """Counts how often its reset really runs."""

    calls: list[int] = dataclasses.field(default_factory=list, compare=False)

    def reset(self, key: jax.Array, task: Any) -> Any:
        jax.debug.callback(lambda _: self.calls.append(1), jax.random.key_data(key))
        return super().reset(key, task)


@pytest.mark.parametrize("alone", [False, True])
def test_resets_run_only_after_an_end(alone: bool) -> None:
    environment = Counting("probe:two_step")
    task = environment.default_task()
    keys = jax.random.split(jax.random.key(0), 3)
    _, states = batched_reset(environment, keys, task)
    jax.effects_barrier()
    environment.calls.clear()

    @jax.jit
    def onward(states: Any) -> Any:
        if alone:
            return jax.lax.map(lambda x: step_or_reset(environment, x[0], x[1], jnp.int32(0), task), (keys, states))
        return batched_step_or_reset(environment, keys, states, jnp.zeros(3, jnp.int32), task)

    step, _, states = onward(states)
    jax.effects_barrier()
    assert not np.any(step.terminated)
    assert environment.calls == []
    step, observation, states = onward(states)
    jax.effects_barrier()
    assert np.all(step.terminated)
    assert environment.calls == [1] * 3
    assert states.time.tolist() == [0, 0, 0]
    assert (step.observation[0, 0], observation[0, 0]) == (2.0, 0.0)  # reached, and to go on from


def test_only_ended_environments_are_reset() -> None:
    environment = make_environment("probe:two_step")
    task = environment.default_task()
    keys = jax.random.split(jax.random.key(0), 2)
    _, states = batched_reset(environment, keys, task)
    states = states._replace(time=jnp.array([0, 1], jnp.int32))
    step, observation, following = batched_step_or_reset(environment, keys, states, jnp.zeros(2, jnp.int32), task)
    assert step.terminated.tolist() == [False, True]
    assert step.state.time.tolist() == [1, 2]
    assert following.time.tolist() == [1, 0]
    assert observation[:, 0].tolist() == [1.0, 0.0]


def test_reset_keys_are_not_those_of_the_step() -> None:
    """``fold_in(key, i)`` is ``split(key)[i]``: the constant lies beyond any split that a step makes."""
    key = jax.random.key(3)
    assert (jax.random.key_data(jax.random.fold_in(key, 1)) == jax.random.key_data(jax.random.split(key))[1]).all()
    split = jax.random.key_data(jax.random.split(key, 4096))
    assert not (split == jax.random.key_data(jax.random.fold_in(key, _RESET))).all(axis=1).any()
