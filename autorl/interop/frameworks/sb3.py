"""Keyword arguments of Stable-Baselines3 (Raffin et al., 2021), as a program and as objects. The tables hold for its versions 2.x."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from autorl.errors import MissingDependencyError
from autorl.interop.frameworks.configuration import Configuration, configurations
from autorl.interop.frameworks.gymnasium_ids import counterpart
from autorl.interop.frameworks.mapping import Algorithm, Translation, comments, translate
from autorl.interop.frameworks.sb3_sac import SAC
from autorl.interop.frameworks.sb3_tables import AROUND, DQN, LIBRARY, PPO, Activation, Falling
from autorl.studies.specification import Specification
from autorl.studies.trial import Trial

TABLES: Final[Mapping[str, Algorithm]] = {"ppo": PPO, "dqn": DQN, "sac": SAC}
"""Our learner -> theirs."""


def program(specification: Specification, best: Trial | None, trials: Sequence[Trial]) -> str:
    """Return the winner as a Python program: ``arguments`` (keyword arguments of the algorithm), and how to train with them.

    For the arguments see `autorl.interop.frameworks.configuration.configurations`, also for the errors.
    """
    return "\n".join(_program(c) for c in configurations(specification, best, trials))


def keyword_arguments(configuration: Configuration) -> dict[str, Any]:
    """Return the keyword arguments of the algorithm (`TABLES`), ``env`` apart, as objects of torch and Stable-Baselines3.

    Raises:
        MissingDependencyError: One of them is not installed.
        UsageError: The learner has no counterpart.
    """
    try:
        from stable_baselines3.common.utils import LinearSchedule
        from torch import nn
    except ImportError as error:
        raise MissingDependencyError(
            "Stable-Baselines3 is not installed. Remedy: pip install stable-baselines3"
        ) from error

    def real(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: real(inner) for key, inner in value.items()}
        if isinstance(value, Falling):
            return LinearSchedule(value.start, 0.0, 1.0)
        return getattr(nn, value.name) if isinstance(value, Activation) else value

    arguments = translate(TABLES, configuration, LIBRARY).arguments
    return {"policy": "MlpPolicy", **{key: real(value) for key, value in arguments.items() if key != AROUND}}


def python(value: Any) -> str:
    """Return ``value`` as a Python expression over the names ``LinearSchedule`` and ``nn``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {python(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Falling):
        return f"LinearSchedule({value.start!r}, 0.0, 1.0)"
    return f"nn.{value.name}" if isinstance(value, Activation) else repr(value)


def _program(c: Configuration) -> str:
    found, where = translate(TABLES, c, LIBRARY), counterpart(c.environment)
    around: Mapping[str, Any] = found.arguments[AROUND]
    arguments = {"policy": "MlpPolicy", **{k: v for k, v in found.arguments.items() if k != AROUND}}
    remarks = (*found.remarks, *filter(None, [where.remark]))
    title = f"{c.title}: {found.name} of {LIBRARY} 2."
    lines = [comments(Translation(found.name, {}, remarks), [title]), *_imports(found.name, arguments, around)]
    lines += ["", "arguments = {", *(f"    {key!r}: {python(value)}," for key, value in arguments.items()), "}", ""]
    rescale = ", wrapper_class=RescaleAction, wrapper_kwargs={'min_action': -1.0, 'max_action': 1.0}"
    lines += ['if __name__ == "__main__":']
    made = f"make_vec_env({where.id!r}, n_envs={around['n_envs']}{rescale if around.get('rescale') else ''})"
    lines += [f"    environment = {made}"]
    if around["normalize"]:
        lines += ["    environment = VecNormalize(environment, norm_reward=False, clip_obs=10.0)"]
    lines += [f"    model = {found.name}(env=environment, **arguments)"]
    lines += [f"    model.learn(total_timesteps={around['total_timesteps']})"]
    return "\n".join(lines) + "\n"


def _imports(name: str, arguments: Mapping[str, Any], around: Mapping[str, Any]) -> list[str]:
    wanted = [
        (bool(around.get("rescale")), "from gymnasium.wrappers import RescaleAction"),
        (True, f"from stable_baselines3 import {name}"),
        (True, "from stable_baselines3.common.env_util import make_vec_env"),
        (
            any(isinstance(value, Falling) for value in arguments.values()),
            "from stable_baselines3.common.utils import LinearSchedule",
        ),
        (around["normalize"], "from stable_baselines3.common.vec_env import VecNormalize"),
        (True, "from torch import nn"),
    ]
    return [text for needed, text in wanted if needed]
