"""Probe environments: each is solved exactly by a learner with one particular part right, in seconds.

After Andy Jones ("Debugging RL, without the agonizing pain", 2021). If a learner fails on one and not on those before
it, the broken part is known. All observe one float32 and all scale their rewards by the task entry ``reward``.

| probe | what a right learner finds | what is broken otherwise |
| --- | --- | --- |
| constant_reward | value 1 | value loss, optimiser |
| observation_reward | value = observation (+-1) | gradients through the network |
| two_step | value gamma, then 1 | discounting, the terminal flag |
| action_reward | action 1 | policy loss, advantages |
| observation_action_reward | action 1 where the observation is 1, else 0 | observations and actions out of step |
| continuous_action | action = target * observation | the continuous policy, its bounds |
| truncation | value 1 / (1 - gamma) | bootstrapping at time limits |
| continuous_truncation | the same, for action = target * observation | either of both |
| nan_reward | nothing: its reward turns to NaN | the divergence flag |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autorl.environments.protocol import Box, Discrete, Step, Task


class ProbeState(NamedTuple):
    """State of every probe.

    Attributes:
        observation: float32 [1]; what the agent sees.
        time: int32 scalar; steps since the reset.
    """

    observation: Array
    time: Array


@dataclass(frozen=True)
class Probe:
    """What the probes share: one step, two actions, an observation of 0. Each overrides what it is about."""

    name: str

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """One number."""
        return (1,)

    @property
    def action_space(self) -> Discrete | Box:
        """Two actions."""
        return Discrete(2)

    @property
    def max_episode_steps(self) -> int:
        """One step."""
        return 1

    def default_task(self) -> dict[str, np.ndarray]:
        """Return ``reward``, the scale of all rewards: 1."""
        return {"reward": np.asarray(1.0, np.float32)}

    def reset(self, key: Array, task: Task) -> tuple[Array, ProbeState]:
        """Return (observation, state) at the start of an episode."""
        del task
        observation = self._first_observation(key)
        return observation, ProbeState(observation, jnp.zeros((), jnp.int32))

    def step(self, key: Array, state: ProbeState, action: Array, task: Task) -> Step:
        """Advance by one action."""
        del key
        time = state.time + 1
        over = time >= self.max_episode_steps
        observation = self._next_observation(state)
        reward = jnp.asarray(self._reward(state, action, task), jnp.float32) * jnp.asarray(task["reward"], jnp.float32)
        truncates = jnp.asarray(self._truncates())
        return Step(observation, ProbeState(observation, time), reward, over & ~truncates, over & truncates, {})

    def _first_observation(self, key: Array) -> Array:
        del key
        return jnp.zeros(self.observation_shape, jnp.float32)

    def _next_observation(self, state: ProbeState) -> Array:
        return state.observation

    def _reward(self, state: ProbeState, action: Array, task: Task) -> Array:
        raise NotImplementedError

    def _truncates(self) -> bool:
        """Whether the last step is a time limit rather than an end."""
        return False


class ConstantReward(Probe):
    """Reward 1 whatever is done."""

    def _reward(self, state: ProbeState, action: Array, task: Task) -> Array:
        del state, action, task
        return jnp.ones((), jnp.float32)


class _RandomSign(Probe):
    """The observation is -1 or 1, each half of the time."""

    def _first_observation(self, key: Array) -> Array:
        return jax.random.rademacher(key, self.observation_shape, jnp.float32)


class ObservationReward(_RandomSign):
    """Reward = observation, -1 or 1."""

    def _reward(self, state: ProbeState, action: Array, task: Task) -> Array:
        del action, task
        return state.observation[0]


class TwoStep(Probe):
    """Two steps, observations 0 and 1, reward 0 and then 1."""

    @property
    def max_episode_steps(self) -> int:
        """Two steps."""
        return 2

    def _next_observation(self, state: ProbeState) -> Array:
        return state.observation + 1.0

    def _reward(self, state: ProbeState, action: Array, task: Task) -> Array:
        del action, task
        return state.time == 1


class ActionReward(Probe):
    """Reward 1 for action 1, -1 for action 0."""

    def _reward(self, state: ProbeState, action: Array, task: Task) -> Array:
        del state, task
        return jnp.where(action == 1, 1.0, -1.0)


class ObservationActionReward(_RandomSign):
    """Reward 1 if the action is 1 where the observation is 1 and 0 where it is -1; otherwise -1."""

    def _reward(self, state: ProbeState, action: Array, task: Task) -> Array:
        del task
        return jnp.where((action == 1) == (state.observation[0] > 0), 1.0, -1.0)


class ContinuousAction(_RandomSign):
    """Reward -(action - target * observation)^2, with target 0.5 in the default task and actions in [-1, 1]."""

    @property
    def action_space(self) -> Discrete | Box:
        """One number in [-1, 1]."""
        return Box(-1.0, 1.0, (1,))

    def default_task(self) -> dict[str, np.ndarray]:
        """Return the scale of rewards, and ``target`` 0.5."""
        return {**super().default_task(), "target": np.asarray(0.5, np.float32)}

    def _reward(self, state: ProbeState, action: Array, task: Task) -> Array:
        return -((action[0] - jnp.asarray(task["target"]) * state.observation[0]) ** 2)


class Truncation(ConstantReward):
    """Reward 1 at every step, never terminated, truncated after 10 steps: the value is 1 / (1 - gamma) everywhere."""

    @property
    def max_episode_steps(self) -> int:
        """Ten steps."""
        return 10

    def _truncates(self) -> bool:
        return True


class ContinuousTruncation(ContinuousAction):
    """Reward 1 - (action - target * observation)^2 at every step, truncated after 10: at best 1 / (1 - gamma) everywhere."""

    @property
    def max_episode_steps(self) -> int:
        """Ten steps."""
        return 10

    def _reward(self, state: ProbeState, action: Array, task: Task) -> Array:
        return 1.0 + super()._reward(state, action, task)

    def _truncates(self) -> bool:
        return True


class NanReward(Probe):
    """Reward 1 for ``nan_after`` steps of an episode, NaN from then on; 20 steps. From 20 on there is no NaN."""

    @property
    def max_episode_steps(self) -> int:
        """Twenty steps."""
        return 20

    def default_task(self) -> dict[str, np.ndarray]:
        """Return the scale of rewards, and ``nan_after`` 10 (int32)."""
        return {**super().default_task(), "nan_after": np.asarray(10, np.int32)}

    def _reward(self, state: ProbeState, action: Array, task: Task) -> Array:
        del action
        return jnp.where(state.time >= jnp.asarray(task["nan_after"]), jnp.nan, 1.0)
