"""ARLBench's settings of the tasks whose landscapes are reproduced, and what its code does differently from AutoRL.

Source of every number: the files ``runscripts/configs`` of branch ``experiments`` of automl/arlbench (Becktepe et al., 2024),
whose code (not the released package) made the published landscapes. There a training is cut into ten parts, each rounded up to
whole iterations, so CartPole-DQN trains 51,200 steps of a nominal 50,000; schedules follow the nominal number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jax import Array

from autorl.environments.protocol import Box, Discrete, Environment, State, Step, Task
from autorl.inner.dqn import DQN
from autorl.inner.ppo import PPO
from autorl.inner.protocol import Learner
from autorl.inner.sac import SAC

POINTS = 10
"""Evaluations of a training."""
EPISODES = 128
"""Of an evaluation, with the greedy policy."""

NO_CLIPPING = 1e9
DQN_FIXED: dict[str, Any] = {
    "gamma": 0.99,
    "adam_eps": 1e-8,
    "max_grad_norm": NO_CLIPPING,
    "exploration_fraction": 0.1,
    "tau": 1.0,
    "hidden_size": 64,
    "n_layers": 2,
    "activation": "tanh",
}
PPO_FIXED: dict[str, Any] = {
    "gamma": 0.99,
    "adam_eps": 1e-5,
    "anneal_learning_rate": False,
    "hidden_size": 64,
    "n_layers": 2,
    "activation": "tanh",
}
SAC_FIXED: dict[str, Any] = {
    "gamma": 0.99,
    "adam_eps": 1e-5,
    "alpha": 1.0,
    "alpha_auto": True,
    "target_entropy": -1.0,
    "tau": 1.0,
    "target_update_interval": 1,
    "hidden_size": 256,
    "n_layers": 2,
    "activation": "tanh",
}


@dataclass(frozen=True)
class ParityTask:
    """A landscape to be reproduced.

    Attributes:
        name: Of the landscape, ``cc_ENVIRONMENT_ALGORITHM``.
        environment: Id of ours.
        algorithm: ``dqn``, ``ppo`` or ``sac``.
        env_steps: Nominal steps of a training.
        fixed: Hyperparameters that are not searched; the configuration's come on top.
        configurations: How many of the landscape's are trained, from its first on.
        seeds: Trainings of each.
        failed_above: Returns above it are failed trainings in the published data; None: none is.
    """

    name: str
    environment: str
    algorithm: str
    env_steps: int
    fixed: Mapping[str, Any]
    configurations: int = 64
    seeds: int = 5
    failed_above: float | None = None

    def hyperparameters(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of our learner for one configuration of the landscape."""
        return {**self.fixed, **configuration}

    @property
    def iteration(self) -> int:
        """Env steps of one iteration of the learner."""
        return int(self.fixed["n_envs"] * self.fixed["n_steps" if self.algorithm == "ppo" else "train_freq"])

    @property
    def points(self) -> tuple[int, ...]:
        """Env steps at which a training is evaluated; the last one is its end."""
        return points_of(self.env_steps, self.iteration)


def points_of(env_steps: int, iteration: int) -> tuple[int, ...]:
    """Return the env steps at which a training of nominally ``env_steps`` is evaluated: of ten parts, each in whole iterations."""
    part = math.ceil(env_steps / iteration / POINTS) * iteration
    return tuple(part * (i + 1) for i in range(POINTS))


def _dqn(name: str, environment: str, env_steps: int, n_envs: int, train_freq: int, gradient_steps: int) -> ParityTask:
    fixed = {**DQN_FIXED, "n_envs": n_envs, "train_freq": train_freq, "gradient_steps": gradient_steps}
    return ParityTask(name, environment, "dqn", env_steps, fixed)


def _ppo(name: str, environment: str, env_steps: int, n_steps: int, update_epochs: int) -> ParityTask:
    fixed = {**PPO_FIXED, "n_envs": 8, "n_steps": n_steps, "update_epochs": update_epochs}
    return ParityTask(name, environment, "ppo", env_steps, fixed)


TASKS: dict[str, ParityTask] = {
    task.name: task
    for task in (
        _dqn("cc_cartpole_dqn", "gymnax:CartPole-v1", 50_000, 8, 32, 128),
        _ppo("cc_cartpole_ppo", "gymnax:CartPole-v1", 100_000, 32, 20),
        _dqn("cc_mountain_car_dqn", "gymnax:MountainCar-v0", 120_000, 8, 2, 8),
        _dqn("cc_acrobot_dqn", "gymnax:Acrobot-v1", 100_000, 4, 1, 4),
        ParityTask(
            "cc_pendulum_sac",
            "gymnax:Pendulum-v1",
            "sac",
            20_000,
            {**SAC_FIXED, "n_envs": 8, "train_freq": 1, "gradient_steps": 1},
            configurations=32,
            seeds=3,
            failed_above=-20.0,
        ),
    )
}
"""By name, the cheapest first."""


@dataclass(frozen=True)
class LimitsAreEnds:
    """An environment whose time limit is an end of the task, with nothing to bootstrap after it, as gymnax 0.0.6 had it."""

    inner: Environment

    @property
    def name(self) -> str:
        """Name of the environment inside."""
        return self.inner.name

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of the environment inside."""
        return self.inner.observation_shape

    @property
    def action_space(self) -> Discrete | Box:
        """Actions of the environment inside."""
        return self.inner.action_space

    @property
    def max_episode_steps(self) -> int:
        """Time limit of the environment inside."""
        return self.inner.max_episode_steps

    def default_task(self) -> Task:
        """Return the standard task."""
        return self.inner.default_task()

    def reset(self, key: Array, task: Task) -> tuple[Array, State]:
        """Return (observation, state) at the start of an episode."""
        return self.inner.reset(key, task)

    def step(self, key: Array, state: State, action: Array, task: Task) -> Step:
        """Advance by one action; at the limit the task ends."""
        step = self.inner.step(key, state, action, task)
        return step._replace(terminated=step.terminated | step.truncated, truncated=step.truncated & False)


class ActionsOnTwoScales(SAC):
    """SAC whose critics learn actions on the environment's scale, but judge those of the policy on [-1, 1], as ARLBench's."""

    def _learn_critics(self, state: Any, hp: Any, drawn: Any, *rest: Any) -> Any:
        batch = drawn.transitions
        scaled = self.policy.to_environment(batch.action).reshape(batch.action.shape)
        return super()._learn_critics(state, hp, drawn._replace(transitions=batch._replace(action=scaled)), *rest)


VARIANTS: dict[str, str] = {
    "reference": "with what ARLBench's code does differently: time limits are ends of the task, SAC mixes two scales of actions",
    "ours": "AutoRL as it is: value is bootstrapped at time limits, SAC has one scale of actions",
}


def make_learner(task: ParityTask, variant: str) -> Learner:
    """Return the learner of a task in one of `VARIANTS`."""
    from autorl.environments.registry import make_environment

    environment = make_environment(task.environment)
    if variant == "ours":
        return {"dqn": DQN, "ppo": PPO, "sac": SAC}[task.algorithm](environment)
    return {"dqn": DQN, "ppo": PPO, "sac": ActionsOnTwoScales}[task.algorithm](LimitsAreEnds(environment))
