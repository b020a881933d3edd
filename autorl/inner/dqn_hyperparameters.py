"""The hyperparameters of DQN, and the exploration that they mean."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from autorl.inner.course import Course
from autorl.inner.protocol import hyperparameters, objective_field, static, teacher_field, traced
from autorl.objectives.protocol import Objective


@hyperparameters
class DQNHyperparameters:
    """Of DQN, with defaults that learn CartPole and Acrobot. Traced ones are arrays: float32, int32 and bool scalars."""

    learning_rate: Array = traced(1e-3, "Step size of Adam.", low=0.0)
    gamma: Array = traced(0.99, "Discount.", low=0.0, high=1.0)
    max_grad_norm: Array = traced(10.0, "Norm to which gradients are clipped (0: no learning).", low=0.0)
    adam_eps: Array = traced(1e-8, "Added to Adam's denominator.", low=1e-12)
    train_freq: Array = traced(4, "Steps of all environments between updates.", low=1)
    gradient_steps: Array = traced(2, "Updates after these steps.", low=1)
    learning_starts: Array = traced(1000, "Environment steps before the first update.", low=0)
    initial_epsilon: Array = traced(1.0, "Probability of a random action at first.", low=0.0, high=1.0)
    target_epsilon: Array = traced(0.05, "Probability of a random action at last.", low=0.0, high=1.0)
    exploration_fraction: Array = traced(
        0.1, "Part of the training over which epsilon falls from initial to target.", low=0.0, high=1.0
    )
    use_target_network: Array = traced(True, "Bootstrap from the target network, not from the current one.")
    target_update_interval: Array = traced(4, "Environment steps from one target update to the next.", low=1)
    tau: Array = traced(0.02, "Part of the way that a target update goes; 1 copies the network.", low=0.0, high=1.0)
    normalize_observations: Array = traced(False, "Normalise observations by their running mean and variance.")
    bootstrap_time_limits: Array = traced(
        True,
        "There is value after a time limit, a teacher's too (Pardo et al., 2018); if not it counts as the task's end, as in ARLBench.",
    )
    buffer_size: Array = traced(100_000, "Transitions kept, in whole steps of all environments.", low=1)
    buffer_prio_sampling: Array = traced(False, "Draw transitions by their TD errors, not uniformly.")
    buffer_alpha: Array = traced(0.6, "Exponent of priorities; 0 is uniform.", low=0.0, high=1.0)
    buffer_beta: Array = traced(0.4, "Exponent of importance weights; 1 corrects the bias in full.", low=0.0, high=1.0)
    buffer_epsilon: Array = traced(1e-6, "Added to absolute TD errors in priorities.", low=1e-9)
    buffer_batch_size: int = static(64, "Transitions of one update.", low=1)
    n_envs: int = static(1, "Environments side by side.", low=1)
    hidden_size: int = static(64, "Width of the hidden layers.", low=1)
    n_layers: int = static(2, "Hidden layers.", low=0)
    activation: str = static("relu", "Of the hidden layers.", choices=("tanh", "relu"))
    buffer_capacity: int = static(
        131_072, "Transitions allocated, a power of two; set from the budget and the search space.", low=1, high=2**24
    )
    objective: Objective | None = objective_field(
        ("value", "network"),
        "What is minimised, of the family 'value' or 'network'; None is half the squared TD error.",
    )
    teacher: Course | None = teacher_field("What sets the tasks; None: all episodes are of the same one.")


def exploration(hp: DQNHyperparameters, env_steps: Array, horizon: Array) -> Array:
    """Return epsilon (float32 scalar) after ``env_steps`` of a training of ``horizon``."""
    span = hp.exploration_fraction * horizon.astype(jnp.float32)
    progress = jnp.where(span > 0.0, jnp.minimum(env_steps.astype(jnp.float32) / span, 1.0), 1.0)
    return hp.initial_epsilon + progress * (hp.target_epsilon - hp.initial_epsilon)
