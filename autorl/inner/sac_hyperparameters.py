"""The hyperparameters of soft actor-critic."""

from __future__ import annotations

from jax import Array

from autorl.inner.course import Course
from autorl.inner.protocol import hyperparameters, static, teacher_field, traced

LEAST_ALPHA = 1e-6
"""A temperature that is tuned starts here at least: its logarithm is what is learned."""


@hyperparameters
class SACHyperparameters:
    """Of SAC, with defaults that learn Pendulum. Traced ones are arrays: float32, int32 and bool scalars."""

    learning_rate: Array = traced(1e-3, "Step size of Adam, for actor, critics and temperature.", low=0.0)
    gamma: Array = traced(0.99, "Discount.", low=0.0, high=1.0)
    adam_eps: Array = traced(1e-5, "Added to Adam's denominator.", low=1e-12)
    train_freq: Array = traced(1, "Steps of all environments between updates.", low=1)
    gradient_steps: Array = traced(1, "Updates after these steps.", low=1)
    learning_starts: Array = traced(256, "Environment steps before the first update.", low=0)
    alpha_auto: Array = traced(True, "Tune the temperature, so that the policy's entropy comes near target_entropy.")
    alpha: Array = traced(
        1.0, "Temperature, the weight of entropy; where it is tuned, its first value (1e-6 at least).", low=0.0
    )
    target_entropy: Array = traced(
        -1.0, "Entropy aimed at where alpha is tuned: nats for each action dimension, on the scale of [-1, 1]."
    )
    reward_scale: Array = traced(1.0, "By which rewards are multiplied before the critics learn them.", low=0.0)
    use_target_network: Array = traced(True, "Bootstrap from the target critics, not from the current ones.")
    target_update_interval: Array = traced(1, "Environment steps from one target update to the next.", low=1)
    tau: Array = traced(0.01, "Part of the way that a target update goes; 1 copies the critics.", low=0.0, high=1.0)
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
    buffer_batch_size: int = static(128, "Transitions of one update.", low=1)
    n_envs: int = static(1, "Environments side by side.", low=1)
    hidden_size: int = static(64, "Width of the hidden layers.", low=1)
    n_layers: int = static(2, "Hidden layers of the actor and of each critic.", low=0)
    activation: str = static("relu", "Of the hidden layers.", choices=("tanh", "relu"))
    buffer_capacity: int = static(
        131_072, "Transitions allocated, a power of two; set from the budget and the search space.", low=1, high=2**24
    )
    teacher: Course | None = teacher_field("What sets the tasks; None: all episodes are of the same one.")
