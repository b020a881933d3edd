"""Command lines of CleanRL's scripts (Huang et al., 2022). Read in its source of April 2026 (version 2.0.0b1).

Its scripts have fewer arguments than the others: what is built in is said in a remark wherever it is not what was found.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autorl.interop.frameworks.configuration import Configuration, configurations
from autorl.interop.frameworks.gymnasium_ids import counterpart
from autorl.interop.frameworks.mapping import (
    Algorithm,
    Row,
    Translation,
    comments,
    guide_row,
    objective_row,
    teacher_row,
    translate,
    unless,
)
from autorl.interop.frameworks.sb3_sac import reward_remark, start_remark
from autorl.interop.frameworks.sb3_tables import NO_CLIPPING, rollout, without_exploration
from autorl.studies.specification import Specification
from autorl.studies.trial import Trial

LIBRARY: Final = "CleanRL"


def _minibatches(c: Configuration) -> int:
    return max(1, rollout(c) // min(c.values["minibatch_size"], rollout(c)))


def _minibatches_remark(c: Configuration) -> str:
    size, count = min(c.values["minibatch_size"], rollout(c)), _minibatches(c)
    if rollout(c) % size == 0:
        return ""
    return f"minibatch_size {size}: does not divide the rollout of {rollout(c)}; minibatches have {rollout(c) // count} samples there"


def _value_clipping_remark(c: Configuration) -> str:
    width, ratio = c.values["vf_clip_eps"], c.values["clip_eps"]
    if width >= NO_CLIPPING or width == ratio:
        return ""
    return f"vf_clip_eps {width}: values are clipped by clip-coef ({ratio}) there"


def _network_remark(c: Configuration) -> str:
    found = (c.values["hidden_size"], c.values["n_layers"], c.values["activation"])
    return (
        ""
        if found == (64, 2, "tanh")
        else f"hidden_size {found[0]}, n_layers {found[1]}, activation {found[2]}: two layers of 64, tanh, there"
    )


def _wrappers_remark(c: Configuration) -> str:
    wanted = c.values["normalize_observations"]
    if c.bounds is None:
        return "normalize_observations true: ppo.py does not" if wanted else ""
    observations = "" if wanted else "observations and "
    return f"normalize_observations {str(wanted).lower()}: ppo_continuous_action.py normalises {observations}rewards, and clips both to 10"


def _bounds_remark(c: Configuration) -> str:
    if c.bounds in (None, (-1.0, 1.0)):
        return ""
    return f"actions: means of -1 to 1 are scaled to {c.bounds} here, not there"


PPO: Final = Algorithm(
    "ppo.py",
    (
        Row((), "total-timesteps", lambda c: c.env_steps),
        Row(("learning_rate",), "learning-rate"),
        Row(("n_envs",), "num-envs"),
        Row(("n_steps",), "num-steps"),
        Row(("anneal_learning_rate",), "anneal-lr"),
        Row(("gamma",), "gamma"),
        Row(("gae_lambda",), "gae-lambda"),
        Row(("minibatch_size",), "num-minibatches", _minibatches, _minibatches_remark),
        Row(("update_epochs",), "update-epochs"),
        Row(("normalize_advantage",), "norm-adv"),
        Row(("clip_eps",), "clip-coef"),
        Row(("vf_clip_eps",), "clip-vloss", lambda c: c.values["vf_clip_eps"] < NO_CLIPPING, _value_clipping_remark),
        Row(("ent_coef",), "ent-coef"),
        Row(("vf_coef",), "vf-coef"),
        Row(("max_grad_norm",), "max-grad-norm"),
        Row(("adam_eps",), remark=unless("adam_eps", 1e-5, "1e-5 there")),
        Row(("hidden_size", "n_layers", "activation"), remark=_network_remark),
        Row(("normalize_observations",), remark=_wrappers_remark),
        Row(
            ("bootstrap_time_limits",),
            remark=unless("bootstrap_time_limits", False, "a time limit ends the task there"),
        ),
        Row(("greedy_evaluation",), remark=unless("greedy_evaluation", True, "act with drawn actions there too")),
        Row((), remark=_bounds_remark),
        objective_row(LIBRARY),
        guide_row(LIBRARY),
        teacher_row(LIBRARY),
    ),
    (
        "a truncated episode counts as a terminated one there",
        "advantages are divided by their unbiased standard deviation there, by the biased one here",
    ),
)


def _train_frequency(c: Configuration) -> int:
    """Return the env steps from one update to the next, for as many updates as AutoRL makes; at least one."""
    return max(1, round(c.values["train_freq"] * c.values["n_envs"] / c.values["gradient_steps"]))


def _train_remark(c: Configuration) -> str:
    n, steps, updates = c.values["n_envs"], c.values["train_freq"] * c.values["n_envs"], c.values["gradient_steps"]
    if (n, updates) == (1, 1):
        return ""
    return (
        f"train_freq {c.values['train_freq']}, gradient_steps {updates}, n_envs {n}: {updates} updates in a row after every {steps} "
        f"steps of {n} environments here, single updates of one environment {_train_frequency(c)} steps apart there"
    )


def _target_frequency(c: Configuration) -> int:
    if not c.values["use_target_network"]:
        return 1
    return -(-c.values["target_update_interval"] // c.values["n_envs"]) * int(c.values["n_envs"])


def _epsilon_remark(c: Configuration) -> str:
    first, last = c.values["initial_epsilon"], c.values["target_epsilon"]
    return (
        f"initial_epsilon {first} below target_epsilon {last}: there it is {last} from the start"
        if first < last
        else ""
    )


def _priority_remark(c: Configuration) -> str:
    if not c.values["buffer_prio_sampling"]:
        return ""
    names = ", ".join(f"{n} {c.values[n]}" for n in ("buffer_alpha", "buffer_beta", "buffer_epsilon"))
    return f"buffer_prio_sampling true ({names}): there is no prioritised replay there"


def _q_network_remark(c: Configuration) -> str:
    v = c.values
    return f"hidden_size {v['hidden_size']}, n_layers {v['n_layers']}, activation {v['activation']}: layers of 120 and 84, relu, there"


DQN: Final = Algorithm(
    "dqn.py",
    (
        Row((), "total-timesteps", lambda c: c.env_steps),
        Row(("learning_rate",), "learning-rate"),
        Row(("buffer_size",), "buffer-size"),
        Row(("gamma",), "gamma"),
        Row(("tau", "use_target_network"), "tau", lambda c: c.values["tau"] if c.values["use_target_network"] else 1.0),
        Row(("target_update_interval",), "target-network-frequency", _target_frequency),
        Row(("buffer_batch_size",), "batch-size"),
        Row(
            ("initial_epsilon",),
            "start-e",
            lambda c: c.values["target_epsilon" if without_exploration(c) else "initial_epsilon"],
            _epsilon_remark,
        ),
        Row(("target_epsilon",), "end-e"),
        Row(
            ("exploration_fraction",),
            "exploration-fraction",
            lambda c: 1.0 if without_exploration(c) else c.values["exploration_fraction"],
        ),
        Row(("learning_starts",), "learning-starts"),
        Row(("train_freq", "gradient_steps", "n_envs"), "train-frequency", _train_frequency, _train_remark),
        Row(
            ("max_grad_norm",), remark=lambda c: f"max_grad_norm {c.values['max_grad_norm']}: dqn.py clips no gradients"
        ),
        Row(("adam_eps",), remark=unless("adam_eps", 1e-8, "1e-8 there")),
        Row(("hidden_size", "n_layers", "activation"), remark=_q_network_remark),
        Row(("normalize_observations",), remark=unless("normalize_observations", False, "dqn.py does not")),
        Row(("bootstrap_time_limits",), remark=unless("bootstrap_time_limits", True, "true there")),
        Row(("buffer_prio_sampling", "buffer_alpha", "buffer_beta", "buffer_epsilon"), remark=_priority_remark),
        Row(("buffer_capacity",)),  # memory set aside for the buffer; what it holds is buffer_size
        objective_row(LIBRARY),
        teacher_row(LIBRARY),
    ),
    (
        "the loss is the squared TD error there, half of it here (to Adam nearly the same)",
        "weights start by PyTorch's default there, orthogonal here",
    ),
)


def _vector_steps(c: Configuration, name: str) -> int:
    """Return a number of env steps as steps of all environments, rounded up: that is what the script counts."""
    return -(-c.values[name] // c.values["n_envs"])


def _update_remark(c: Configuration) -> str:
    freq, updates = c.values["train_freq"], c.values["gradient_steps"]
    if (freq, updates) == (1, 1):
        return ""
    return f"train_freq {freq}, gradient_steps {updates}: an update after each step of all environments there"


def _temperature_remark(c: Configuration) -> str:
    if not c.values["alpha_auto"]:
        return ""
    found = [f"alpha {c.values['alpha']}: starts at 1 there"] if c.values["alpha"] != 1.0 else []
    target = c.values["target_entropy"]
    found += [f"target_entropy {target}: -1 for each action dimension there"] if target != -1.0 else []
    return "; ".join(found)


def _sac_network_remark(c: Configuration) -> str:
    found = tuple(c.values[name] for name in ("hidden_size", "n_layers", "activation"))
    if found == (256, 2, "relu"):
        return ""
    return f"hidden_size {found[0]}, n_layers {found[1]}, activation {found[2]}: two layers of 256, relu, there"


SAC: Final = Algorithm(
    "sac_continuous_action.py",
    (
        Row((), "total-timesteps", lambda c: c.env_steps // c.values["n_envs"]),  # steps of all environments
        Row(("n_envs",), "num-envs"),
        Row(("buffer_size",), "buffer-size"),
        Row(("gamma",), "gamma"),
        Row(("tau", "use_target_network"), "tau", lambda c: c.values["tau"] if c.values["use_target_network"] else 1.0),
        Row(("buffer_batch_size",), "batch-size"),
        Row(("learning_starts",), "learning-starts", lambda c: _vector_steps(c, "learning_starts"), start_remark),
        Row(("learning_rate",), "policy-lr"),
        Row((), "q-lr", lambda c: c.values["learning_rate"]),
        Row((), "policy-frequency", lambda c: 1),  # the actor learns in every update
        Row(
            ("target_update_interval",),
            "target-network-frequency",
            lambda c: _vector_steps(c, "target_update_interval") if c.values["use_target_network"] else 1,
        ),
        Row(("alpha",), "alpha"),
        Row(("alpha_auto",), "autotune"),
        Row(("target_entropy",), remark=_temperature_remark),
        Row(("train_freq", "gradient_steps"), remark=_update_remark),
        Row(("adam_eps",), remark=unless("adam_eps", 1e-8, "1e-8 there")),
        Row(("hidden_size", "n_layers", "activation"), remark=_sac_network_remark),
        Row(("reward_scale",), remark=reward_remark),
        Row(("normalize_observations",), remark=unless("normalize_observations", False, "the script does not")),
        Row(("bootstrap_time_limits",), remark=unless("bootstrap_time_limits", True, "true there")),
        Row(("buffer_prio_sampling", "buffer_alpha", "buffer_beta", "buffer_epsilon"), remark=_priority_remark),
        Row(("buffer_capacity",)),  # memory set aside for the buffer; what it holds is buffer_size
        teacher_row(LIBRARY),
    ),
    (
        "the critics' loss is the squared TD error there, half of it here (to Adam nearly the same)",
        "weights start by PyTorch's default there, orthogonal here",
    ),
)

TABLES: Final[Mapping[str, Algorithm]] = {"ppo": PPO, "dqn": DQN, "sac": SAC}
"""Our learner -> their script (of PPO, that for discrete actions)."""
CONTINUOUS: Final[Mapping[str, str]] = {"ppo.py": "ppo_continuous_action.py"}
"""Script for discrete actions -> the one for continuous ones, which has the same arguments."""


def command_lines(specification: Specification, best: Trial | None, trials: Sequence[Trial]) -> str:
    """Return the winner as commands of a shell, to be typed in a checkout of CleanRL: one for each environment of the test.

    See `autorl.interop.frameworks.configuration.configurations` for arguments and errors.
    """
    return "\n".join(_command(c) for c in configurations(specification, best, trials))


def _command(c: Configuration) -> str:
    found, where = translate(TABLES, c, LIBRARY), counterpart(c.environment)
    script = found.name if c.bounds is None else CONTINUOUS.get(found.name, found.name)
    remarks = (*found.remarks, *filter(None, [where.remark]))
    head = comments(Translation(script, {}, remarks), [f"{c.title}: {script} of {LIBRARY}."])
    words = [f"python cleanrl/{script}", f"--env-id {shlex.quote(where.id)}"]
    words += [_flag(name, value) for name, value in found.arguments.items()]
    return head + " \\\n    ".join(words) + "\n"


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {value!r}"
