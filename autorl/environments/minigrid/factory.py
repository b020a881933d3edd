"""The environment of an id ``minigrid:NAME``."""

from __future__ import annotations

from typing import Any, cast

from autorl.environments.minigrid.names import FROM_XMINIGRID, WRITTEN_HERE
from autorl.environments.protocol import Environment
from autorl.registry import load_attribute


def minigrid_environment(id: str) -> Environment:
    """Return the environment of the public id ``minigrid:NAME``.

    Raises:
        MissingDependencyError: It is one of XLand-MiniGrid's, which is not installed.
    """
    name = id.removeprefix("minigrid:")
    if name in FROM_XMINIGRID:
        from autorl.environments.xminigrid_adapter import adapted

        return adapted(id, FROM_XMINIGRID[name])
    kind, settings = WRITTEN_HERE[name]
    return cast(Environment, cast(Any, load_attribute(kind))(name=id, **settings))
