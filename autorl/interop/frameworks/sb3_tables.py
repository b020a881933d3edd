"""Our PPO and DQN as arguments of Stable-Baselines3. Read in the source of 2.9: what arguments mean, when schedules are read, losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from autorl.interop.frameworks.configuration import Configuration
from autorl.interop.frameworks.mapping import (
    ABSENT,
    Algorithm,
    Row,
    guide_row,
    objective_row,
    teacher_row,
    unless,
    whole_iterations,
)

LIBRARY: Final = "Stable-Baselines3"
NO_CLIPPING: Final = 1e6
"""From this ``vf_clip_eps`` on values are as good as not clipped: our default."""
AROUND: Final = "around"
"""Under this name a translation holds what is no keyword argument: ``n_envs``, ``normalize``, ``rescale``, ``total_timesteps``."""


@dataclass(frozen=True)
class Falling:
    """A value that falls linearly to 0 over the training."""

    start: float


@dataclass(frozen=True)
class Activation:
    """A class of ``torch.nn``."""

    name: str


def _rate(c: Configuration) -> Any:
    rate = c.values["learning_rate"]
    return Falling(rate) if c.values.get("anneal_learning_rate") else rate


def _rate_remark(c: Configuration) -> str:
    if not c.values["anneal_learning_rate"]:
        return ""
    return "learning_rate: read after each rollout there, so every update uses that of AutoRL's next one"


def _value_clipping(c: Configuration) -> Any:
    width = c.values["vf_clip_eps"]
    return width if 0.0 < width < NO_CLIPPING else ABSENT


def _value_clipping_remark(c: Configuration) -> str:
    width = c.values["vf_clip_eps"]
    if width >= NO_CLIPPING:
        return ""
    if width == 0.0:
        return "vf_clip_eps 0: clip_range_vf must be above 0, so values are not clipped there at all"
    return f"vf_clip_eps {width}: the clipped error alone counts there, the larger of clipped and unclipped in AutoRL"


def _minibatch(c: Configuration) -> int:
    return min(c.values["minibatch_size"], rollout(c))


def _minibatch_remark(c: Configuration) -> str:
    size = _minibatch(c)
    if size == 1 and c.values["normalize_advantage"]:
        return "minibatch_size 1: refused there while advantages are normalised"
    rest = rollout(c) % size
    return (
        f"minibatch_size {size}: the last {rest} samples of a pass are a smaller minibatch there, left out here"
        if rest
        else ""
    )


def rollout(c: Configuration) -> int:
    """Return the samples of one rollout."""
    return int(c.values["n_envs"]) * int(c.values["n_steps"])


def _actor_critic(c: Configuration) -> dict[str, list[int]]:
    return {"pi": layers(c), "vf": layers(c)}


def layers(c: Configuration) -> list[int]:
    """Return the widths of the hidden layers."""
    return [c.values["hidden_size"]] * c.values["n_layers"]


def activation(c: Configuration) -> Activation:
    """Return the class of the activation."""
    return Activation({"tanh": "Tanh", "relu": "ReLU"}[c.values["activation"]])


def normalised_remark(c: Configuration) -> str:
    """Say when statistics are updated."""
    if not c.values["normalize_observations"]:
        return ""
    return "normalize_observations: statistics are updated at every step there, once for each rollout or iteration here"


def _rescaled(c: Configuration) -> Any:
    return ABSENT if c.bounds in (None, (-1.0, 1.0)) else True


NETWORK_ROWS: Final = (
    Row(("activation",), "policy_kwargs.activation_fn", activation),
    Row(("adam_eps",), "policy_kwargs.optimizer_kwargs.eps"),
)
PPO: Final = Algorithm(
    "PPO",
    (
        Row(("learning_rate", "anneal_learning_rate"), "learning_rate", _rate, _rate_remark),
        Row(("n_steps",), "n_steps"),
        Row(("minibatch_size",), "batch_size", _minibatch, _minibatch_remark),
        Row(("update_epochs",), "n_epochs"),
        Row(("gamma",), "gamma"),
        Row(("gae_lambda",), "gae_lambda"),
        Row(("clip_eps",), "clip_range"),
        Row(("vf_clip_eps",), "clip_range_vf", _value_clipping, _value_clipping_remark),
        Row(("normalize_advantage",), "normalize_advantage"),
        Row(("ent_coef",), "ent_coef"),
        # the value loss is the mean squared error there, half of it here
        Row(("vf_coef",), "vf_coef", lambda c: 0.5 * c.values["vf_coef"]),
        Row(("max_grad_norm",), "max_grad_norm"),
        Row(("hidden_size", "n_layers"), "policy_kwargs.net_arch", _actor_critic),
        *NETWORK_ROWS,
        Row(("n_envs",), f"{AROUND}.n_envs"),
        Row(("normalize_observations",), f"{AROUND}.normalize", remark=normalised_remark),
        Row(("bootstrap_time_limits",), remark=unless("bootstrap_time_limits", True, "true there")),
        Row(
            ("greedy_evaluation",),
            remark=unless("greedy_evaluation", True, "evaluate with predict(..., deterministic=False) there"),
        ),
        Row((), f"{AROUND}.rescale", _rescaled),
        Row((), f"{AROUND}.total_timesteps", lambda c: whole_iterations(c, rollout(c))),
        objective_row(LIBRARY),
        guide_row(LIBRARY),
        teacher_row(LIBRARY),
    ),
    ("advantages are divided by their unbiased standard deviation there, by the biased one here",),
)


def _target_interval(c: Configuration) -> int:
    """Return env steps, in whole steps of all environments: SB3 rounds down, AutoRL up."""
    if not c.values["use_target_network"]:
        return int(c.values["n_envs"])
    return -(-c.values["target_update_interval"] // c.values["n_envs"]) * int(c.values["n_envs"])


def _target_remark(c: Configuration) -> str:
    if c.values["use_target_network"] or c.values["gradient_steps"] == 1:
        return ""
    return (
        "use_target_network false: the target is copied at every step, and lags by the updates of one iteration there"
    )


def without_exploration(c: Configuration) -> bool:
    """Return whether epsilon is at its target from the start: other libraries divide by the fraction."""
    return float(c.values["exploration_fraction"]) == 0.0


def _first_epsilon(c: Configuration) -> float:
    return float(c.values["target_epsilon" if without_exploration(c) else "initial_epsilon"])


def _fraction(c: Configuration) -> float:
    return 1.0 if without_exploration(c) else float(c.values["exploration_fraction"])


def start_remark(c: Configuration) -> str:
    """Say how agents act before learning starts."""
    starts = c.values["learning_starts"]
    return (
        f"learning_starts {starts}: until then all actions are random there, only epsilon of them here"
        if starts
        else ""
    )


def priority_remark(c: Configuration) -> str:
    """Say that there is no prioritised replay."""
    if not c.values["buffer_prio_sampling"]:
        return ""
    names = ", ".join(f"{n} {c.values[n]}" for n in ("buffer_alpha", "buffer_beta", "buffer_epsilon"))
    return f"buffer_prio_sampling true ({names}): there is no prioritised replay there"


def replay_rows(start: Callable[[Configuration], str]) -> tuple[Row, ...]:
    """Return the rows of all that learn from a replay; ``start`` says how agents act before learning starts."""
    return (
        Row(("buffer_size",), "buffer_size"),
        Row(("learning_starts",), "learning_starts", remark=start),
        Row(("buffer_batch_size",), "batch_size"),
        Row(("tau", "use_target_network"), "tau", lambda c: c.values["tau"] if c.values["use_target_network"] else 1.0),
        Row(("gamma",), "gamma"),
        Row(("train_freq",), "train_freq"),  # steps of all environments, in both
        Row(("gradient_steps",), "gradient_steps"),
    )


DQN: Final = Algorithm(
    "DQN",
    (
        Row(("learning_rate",), "learning_rate"),
        *replay_rows(start_remark),
        Row(("target_update_interval",), "target_update_interval", _target_interval, _target_remark),
        Row(("exploration_fraction",), "exploration_fraction", _fraction),
        Row(("initial_epsilon",), "exploration_initial_eps", _first_epsilon),
        Row(("target_epsilon",), "exploration_final_eps"),
        Row(("max_grad_norm",), "max_grad_norm"),
        Row(("hidden_size", "n_layers"), "policy_kwargs.net_arch", layers),
        *NETWORK_ROWS,
        Row(("n_envs",), f"{AROUND}.n_envs"),
        Row(("normalize_observations",), f"{AROUND}.normalize", remark=normalised_remark),
        Row(
            ("bootstrap_time_limits",),
            remark=unless(
                "bootstrap_time_limits", True, "replay_buffer_kwargs=dict(handle_timeout_termination=False) there"
            ),
        ),
        Row(
            (),
            f"{AROUND}.total_timesteps",
            lambda c: whole_iterations(c, c.values["n_envs"] * c.values["train_freq"]),
        ),
        Row(
            ("buffer_prio_sampling", "buffer_alpha", "buffer_beta", "buffer_epsilon"),
            remark=priority_remark,
        ),
        Row(("buffer_capacity",)),  # memory set aside for the buffer; what it holds is buffer_size
        objective_row(LIBRARY),
        teacher_row(LIBRARY),
    ),
    (
        "the loss is Huber's there, half the squared TD error here: the same up to errors of 1",
        "weights start by PyTorch's default there, orthogonal here",
    ),
)
