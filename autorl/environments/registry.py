"""Every environment by its id: the built-in ones by a literal table, a user's own as ``module:attribute``.

Listing imports neither jax nor gymnax (gymnax takes about half a second after jax); making an environment does.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from autorl.environments.minigrid.names import MINIGRID_NAMES, XMINIGRID_EXCLUDED, XMINIGRID_NAMES
from autorl.errors import UnknownNameError, UsageError
from autorl.registry import Registry, load_attribute

if TYPE_CHECKING:
    from autorl.environments.protocol import Environment

GYMNAX_IDS = (
    "CartPole-v1",
    "Pendulum-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Asterix-MinAtar",
    "Breakout-MinAtar",
    "Freeway-MinAtar",
    "Seaquest-MinAtar",
    "SpaceInvaders-MinAtar",
    "Catch-bsuite",
    "DeepSea-bsuite",
    "MemoryChain-bsuite",
    "UmbrellaChain-bsuite",
    "DiscountingChain-bsuite",
    "SimpleBandit-bsuite",
    "FourRooms-misc",
    "MetaMaze-misc",
    "PointRobot-misc",
    "BernoulliBandit-misc",
    "GaussianBandit-misc",
    "Reacher-misc",
    "Swimmer-misc",
    "Pong-misc",
    "FrozenLake-misc",
)
"""What gymnax 1.0 offers (a test compares), without `EXCLUDED`."""

LPG_NAMES = (
    *("dense", "sparse", "long", "longer", "long_dense"),
    *("rand_dense", "rand_long", "rand_small", "rand_sparse", "rand_very_dense"),
    *("small", "medium", "large", "all"),
)
"""The distributions of grid worlds (a test compares)."""

EXCLUDED = {
    "gymnax:MNISTBandit-bsuite": "making it downloads the MNIST data set",
    **{f"xminigrid:{name}": "its episodes take 5,120 to 81,920 steps" for name in XMINIGRID_EXCLUDED},
}
"""Environments of gymnax and XLand-MiniGrid that are left out, and why."""

ENVIRONMENTS: Registry[Callable[[str], Environment]] = Registry(
    "environment",
    {
        **{f"gymnax:{name}": "autorl.environments.gymnax_adapter:gymnax_environment" for name in GYMNAX_IDS},
        **{f"minigrid:{name}": "autorl.environments.minigrid.factory:minigrid_environment" for name in MINIGRID_NAMES},
        **{
            f"xminigrid:{name}": "autorl.environments.xminigrid_adapter:xminigrid_environment"
            for name in XMINIGRID_NAMES
        },
        **{
            f"contextual:{name}{shown}": "autorl.environments.carl:carl_environment"
            for name in ("CartPole-v1", "CartPole-wide", "Pendulum-v1", "Acrobot-v1", "MountainCar-v0")
            for shown in ("", "-visible")
        },
        **{
            f"point_mass:gate-{dimensions}{shown}": "autorl.environments.point_mass:point_mass_environment"
            for dimensions in ("2d", "3d")
            for shown in ("", "-visible")
        },
        **{
            f"maze:{size}{view}": "autorl.environments.maze.maze:maze_environment"
            for size in ("9x9", "13x13")
            for view in ("", "-full")
        },
        **{f"bsuite:DeepSea-{size}": "autorl.environments.deep_sea:deep_sea_environment" for size in (10, 20)},
        **{f"lpg:{name}": "autorl.environments.gridworld.lpg:lpg_environment" for name in LPG_NAMES},
        "mdp:lottery": "autorl.environments.tabular_mdp:TabularMDP",
        "probe:constant_reward": "autorl.environments.probes:ConstantReward",
        "probe:observation_reward": "autorl.environments.probes:ObservationReward",
        "probe:two_step": "autorl.environments.probes:TwoStep",
        "probe:action_reward": "autorl.environments.probes:ActionReward",
        "probe:observation_action_reward": "autorl.environments.probes:ObservationActionReward",
        "probe:continuous_action": "autorl.environments.probes:ContinuousAction",
        "probe:truncation": "autorl.environments.probes:Truncation",
        "probe:continuous_truncation": "autorl.environments.probes:ContinuousTruncation",
        "probe:nan_reward": "autorl.environments.probes:NanReward",
    },
)
"""Id -> factory, called with the id. Adding an environment is one line here; the contract tests then cover it."""

_PREFIXES = ("gymnax", "contextual", "point_mass", "maze", "bsuite", "lpg", "mdp", "probe", "minigrid", "xminigrid")


def environment_names() -> tuple[str, ...]:
    """Return the ids of all built-in environments."""
    return tuple(ENVIRONMENTS)


def check_environment_id(id: str) -> None:
    """Check ``id`` without importing anything: a built-in id, or the form ``module:attribute``.

    Raises:
        UnknownNameError: Neither a built-in id nor ``module:attribute``; the message suggests a name.
        UsageError: The environment is one of `EXCLUDED`.
    """
    if id in EXCLUDED:
        raise UsageError(f"environment {id!r} is left out: {EXCLUDED[id]}")
    prefix, separator, attribute = id.partition(":")
    own = bool(separator and attribute) and prefix not in _PREFIXES
    if id not in ENVIRONMENTS and not (own and all(part.isidentifier() for part in prefix.split("."))):
        raise UnknownNameError("environment", id, ENVIRONMENTS)


def make_environment(id: str) -> Environment:
    """Return the environment called ``id``.

    Args:
        id: A built-in id (`environment_names`), or ``module:attribute`` naming an instance, a class or a zero-argument
            factory of an `Environment` or of a ``gymnax.environments.environment.Environment`` (which is adapted).

    Raises:
        UnknownNameError: No such built-in environment.
        UsageError: The module or attribute does not exist, or what it gives does not satisfy the protocol;
            the message lists every member that is missing or wrong.
    """
    check_environment_id(id)
    if id in ENVIRONMENTS:
        return ENVIRONMENTS.load(id)(id)
    made = _instance(id, load_attribute(id))
    # a gymnax environment can only exist where gymnax is loaded already: no need to import it to find out
    gymnax = sys.modules.get("gymnax.environments.environment")
    if gymnax is not None and isinstance(made, gymnax.Environment):
        from autorl.environments.gymnax_adapter import adapt

        return adapt(id, made)
    from autorl.environments.check import check_environment

    return check_environment(made, id)


def _instance(id: str, found: object) -> object:
    """Return ``found``, called first where it is a class or a factory."""
    if not isinstance(found, type) and hasattr(found, "reset") and hasattr(found, "step"):
        return found
    if not callable(found):
        return found  # the check says what it lacks
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise UsageError(f"environment {id!r}: the factory must be callable without arguments ({error})") from error
    return found()
