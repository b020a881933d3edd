"""Our SAC as arguments of Stable-Baselines3. Read in the source of 2.9."""

from __future__ import annotations

from typing import Any, Final

from autorl.interop.frameworks.configuration import Configuration
from autorl.interop.frameworks.mapping import Algorithm, Row, teacher_row, unless, whole_iterations
from autorl.interop.frameworks.sb3_tables import (
    AROUND,
    LIBRARY,
    NETWORK_ROWS,
    layers,
    normalised_remark,
    priority_remark,
    replay_rows,
)

LEAST_ALPHA: Final = 1e-6
"""A temperature that is tuned starts here at least, in AutoRL."""


def temperature(c: Configuration) -> Any:
    """Return the argument ``ent_coef``: a number, or ``auto_`` and the first value."""
    return f"auto_{max(c.values['alpha'], LEAST_ALPHA)!r}" if c.values["alpha_auto"] else c.values["alpha"]


def target_entropy(c: Configuration) -> Any:
    """Return nats of all action dimensions together; ``auto`` is minus their number."""
    return "auto" if c.values["target_entropy"] == -1.0 else c.values["target_entropy"] * c.action_size


def target_updates(c: Configuration) -> float:
    """Return how many target updates AutoRL makes in one iteration, on average."""
    n = c.values["n_envs"]
    return float(c.values["train_freq"] / -(-c.values["target_update_interval"] // n))


def _interval(c: Configuration) -> int:
    """Return gradient steps between target updates; SB3 begins to count anew in each iteration, with an update."""
    if not c.values["use_target_network"]:
        return 1
    return max(1, round(c.values["gradient_steps"] / max(1.0, target_updates(c))))


def _interval_remark(c: Configuration) -> str:
    if not c.values["use_target_network"]:
        return ""
    made = -(-c.values["gradient_steps"] // _interval(c))
    if made == target_updates(c):
        return ""
    interval = c.values["target_update_interval"]
    return (
        f"target_update_interval {interval}: {made} target updates in each iteration there, {target_updates(c):g} here"
    )


def reward_remark(c: Configuration) -> str:
    """Say how rewards are scaled elsewhere."""
    scale = c.values["reward_scale"]
    return (
        ""
        if scale == 1.0
        else f"reward_scale {scale}: multiply rewards by it there, with gymnasium.wrappers.TransformReward"
    )


def start_remark(c: Configuration) -> str:
    """Say how agents act before learning starts."""
    starts = c.values["learning_starts"]
    return f"learning_starts {starts}: until then actions are uniform there, the policy's here" if starts else ""


def _epsilon_remark(c: Configuration) -> str:
    tuned = c.values["alpha_auto"] and c.values["adam_eps"] != 1e-8
    return "adam_eps: of actor and critics; for the temperature it is 1e-8 there" if tuned else ""


SAC: Final = Algorithm(
    "SAC",
    (
        Row(("learning_rate",), "learning_rate", remark=_epsilon_remark),
        *replay_rows(start_remark),
        Row(("alpha", "alpha_auto"), "ent_coef", temperature),
        Row(("target_update_interval",), "target_update_interval", _interval, _interval_remark),
        Row(("target_entropy",), "target_entropy", target_entropy),
        Row(("hidden_size", "n_layers"), "policy_kwargs.net_arch", lambda c: {"pi": layers(c), "qf": layers(c)}),
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
            (), f"{AROUND}.total_timesteps", lambda c: whole_iterations(c, c.values["n_envs"] * c.values["train_freq"])
        ),
        Row(("reward_scale",), remark=reward_remark),
        Row(("buffer_prio_sampling", "buffer_alpha", "buffer_beta", "buffer_epsilon"), remark=priority_remark),
        Row(("buffer_capacity",)),  # memory set aside for the buffer; what it holds is buffer_size
        teacher_row(LIBRARY),
    ),
    (
        "targets are updated after an update's critics there, between acting and learning here",
        "in an update the temperature learns first there, then critics and actor; critics, actor, temperature here",
        "weights start by PyTorch's default there, orthogonal here",
    ),
)
