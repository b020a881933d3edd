"""A file of hyperparameters for RL Baselines3 Zoo (Raffin, 2020): ``python -m rl_zoo3.train --algo ppo --env ID -conf FILE``.

The form is that of ``hyperparams/*.yml`` in version 2.9 of the zoo; what the arguments mean is Stable-Baselines3's, and so is the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from autorl.errors import UsageError
from autorl.interop.frameworks.configuration import Configuration, configurations
from autorl.interop.frameworks.gymnasium_ids import counterpart
from autorl.interop.frameworks.mapping import Translation, comments, translate
from autorl.interop.frameworks.sb3 import TABLES
from autorl.interop.frameworks.sb3_tables import AROUND, Activation, Falling
from autorl.studies.specification import Specification
from autorl.studies.trial import Trial

LIBRARY: Final = "RL Baselines3 Zoo"
_RESCALED: Final = [{"gymnasium.wrappers.RescaleAction": {"min_action": -1.0, "max_action": 1.0}}]


def hyperparameter_file(specification: Specification, best: Trial | None, trials: Sequence[Trial]) -> str:
    """Return the winner as YAML: one section for each environment of the test.

    See `autorl.interop.frameworks.configuration.configurations` for arguments and errors.

    Raises:
        UsageError: The same environment twice, with different tasks: a section is found by the environment's id alone.
    """
    sections: dict[str, str] = {}
    for configuration in configurations(specification, best, trials):
        name, text = _section(configuration)
        if name in sections:
            raise UsageError(
                f"environment {name!r} is there twice, and {LIBRARY} tells environments by their ids alone"
            )
        sections[name] = text
    return "\n".join(sections.values())


def _section(c: Configuration) -> tuple[str, str]:
    found, where = translate(TABLES, c, LIBRARY), counterpart(c.environment)
    around: Mapping[str, Any] = found.arguments[AROUND]
    entries: dict[str, Any] = {
        "n_timesteps": around["total_timesteps"],
        "policy": "MlpPolicy",
        "n_envs": around["n_envs"],
    }
    if around["normalize"]:
        entries["normalize"] = {"norm_obs": True, "norm_reward": False, "clip_obs": 10.0}
    if around.get("rescale"):
        entries["env_wrapper"] = _RESCALED
    for key, value in found.arguments.items():
        if key != AROUND:
            # the zoo evaluates this text, with torch.nn as nn: YAML has no word for a class
            entries[key] = keywords(value) if key == "policy_kwargs" else _scalar(value)
    remarks = (*found.remarks, *filter(None, [where.remark]))
    command = f"python -m rl_zoo3.train --algo {c.algorithm} --env {where.id} -conf FILE"
    head = comments(Translation(found.name, {}, remarks), [f"{c.title}, for {LIBRARY}: {command}"])
    return where.id, head + yaml.safe_dump({where.id: entries}, sort_keys=False, width=1000)


def keywords(value: Any) -> str:
    """Return nested keyword arguments as the zoo's own files write them: ``dict(net_arch=[64, 64], activation_fn=nn.Tanh)``."""
    if isinstance(value, Mapping):
        return "dict(" + ", ".join(f"{key}={keywords(inner)}" for key, inner in value.items()) + ")"
    return f"nn.{value.name}" if isinstance(value, Activation) else repr(value)


def _scalar(value: Any) -> Any:
    return f"lin_{value.start!r}" if isinstance(value, Falling) else value
