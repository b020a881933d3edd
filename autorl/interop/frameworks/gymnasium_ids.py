"""Our environments by the ids under which Gymnasium makes them."""

from __future__ import annotations

from typing import Final, NamedTuple

_SAME: Final = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1")
_MINATAR: Final = ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders")


class Counterpart(NamedTuple):
    """An environment elsewhere: its id, and what is to be said of it (empty if nothing)."""

    id: str
    remark: str


def counterpart(environment: str) -> Counterpart:
    """Return the Gymnasium id of our ``environment``; its own id, and a remark that says so, where there is none."""
    prefix, _, name = environment.partition(":")
    if prefix == "gymnax" and name in _SAME:
        return Counterpart(name, "")
    game = name.removesuffix("-MinAtar")
    if prefix == "gymnax" and game in _MINATAR:
        return Counterpart(
            f"MinAtar/{game}-v1", "environment: the package minatar makes it (minatar.gym.register_envs())"
        )
    if prefix == "minigrid":
        remark = (
            "environment: the package minigrid makes it; its observations must be made one array, which is not AutoRL's"
        )
        return Counterpart(f"MiniGrid-{name}-v0", remark)
    return Counterpart(
        environment, f"environment: {environment} has no Gymnasium id that AutoRL knows; put yours in its place"
    )
