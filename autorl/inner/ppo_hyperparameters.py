"""The hyperparameters of PPO."""

from __future__ import annotations

from jax import Array

from autorl.inner.course import Course
from autorl.inner.distillation import Distilled, guide_field
from autorl.inner.ppo_loss import Losses
from autorl.inner.protocol import hyperparameters, objective_field, static, teacher_field, traced
from autorl.objectives.protocol import Objective

METRICS = (*Losses._fields, "gradients_clipped", "learning_rate")
"""Of the last iteration, means over its updates: the parts of the loss, and the share of gradients above the norm.

With an objective, the first is its mean and is called ``loss``.
"""
IMITATION = "imitation_loss"
"""The metric with a guide, after the parts of the loss: the cross-entropy, not weighted; 0 once the guide is not imitated."""


@hyperparameters
class PPOHyperparameters:
    """Of PPO, with defaults that learn CartPole, Acrobot and Pendulum."""

    learning_rate: Array = traced(1e-3, "Step size of Adam.", low=0.0)
    anneal_learning_rate: Array = traced(True, "Let the learning rate fall linearly to 0 over the training.")
    gamma: Array = traced(0.99, "Discount.", low=0.0, high=1.0)
    gae_lambda: Array = traced(0.95, "Trace decay of generalised advantage estimation.", low=0.0, high=1.0)
    clip_eps: Array = traced(0.2, "Half-width of the range of the probability ratio.", low=0.0)
    vf_clip_eps: Array = traced(
        1e6, "How far a value may move from the rollout's; the default is as good as no clipping.", low=0.0
    )
    vf_coef: Array = traced(0.5, "Weight of the value loss.", low=0.0)
    ent_coef: Array = traced(0.0, "Weight of the entropy bonus.", low=0.0)
    max_grad_norm: Array = traced(0.5, "Norm to which gradients are clipped (0: no learning).", low=0.0)
    normalize_advantage: Array = traced(True, "Normalise advantages in each minibatch.")
    normalize_observations: Array = traced(False, "Normalise observations by their running mean and variance.")
    bootstrap_time_limits: Array = traced(
        True,
        "There is value after a time limit, a teacher's too (Pardo et al., 2018); if not it counts as the task's end, as in ARLBench.",
    )
    adam_eps: Array = traced(1e-5, "Added to Adam's denominator.", low=1e-12)
    update_epochs: Array = traced(10, "Passes over each rollout.", low=1)
    greedy_evaluation: Array = traced(
        True,
        "Evaluate with the likeliest actions, else with drawn ones, as agents need that see alike what is not alike.",
    )
    distill_coef: Array = traced(
        1.0,
        "Weight of imitating the guide, at first; it falls linearly to 0. Matters with distill_from alone.",
        low=0.0,
    )
    distill_share: Array = traced(
        0.25, "Part of the training in which the guide is imitated at all.", low=0.0, high=1.0
    )
    n_envs: int = static(16, "Environments side by side.", low=1)
    n_steps: int = static(128, "Steps of a rollout in each environment.", low=1)
    minibatch_size: int = static(128, "Samples of one update; more than a rollout holds means all of it.", low=1)
    hidden_size: int = static(64, "Width of the hidden layers.", low=1)
    n_layers: int = static(2, "Hidden layers of the actor and of the critic.", low=0)
    activation: str = static("tanh", "Of the hidden layers.", choices=("tanh", "relu"))
    objective: Objective | None = objective_field(
        ("policy_gradient",),
        "What is minimised, of the family 'policy_gradient', value and entropy terms included; None is PPO's own loss, "
        "with clip_eps, vf_clip_eps, vf_coef and ent_coef, which matter to no other.",
    )
    teacher: Course | None = teacher_field("What sets the tasks; None: all episodes are of the same one.")
    distill_from: Distilled | None = guide_field(
        "A policy to imitate at first, besides learning: study:NAME, a study with its policy; or module:attribute, a function from "
        "(observation, random key) to an action; none: nobody."
    )

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        first = METRICS[0] if self.objective is None else "loss"
        imitation = () if self.distill_from is None else (IMITATION,)
        return (first, *Losses._fields[1:], *imitation, *METRICS[len(Losses._fields) :])
