"""bsuite's deep sea in sizes that need exploration: gymnax has it with a side of 8, which random walks get through.

A dive of N steps pays 1 if each of them is to the right, which costs 0.01 / N each; all else pays at most 0 (Osband et al., 2020,
Behaviour Suite for Reinforcement Learning, where N goes from 10 to 50). At random one dive in 2^N succeeds.
"""

from __future__ import annotations

from autorl.environments.gymnax_adapter import adapt
from autorl.environments.light_gymnax import DeepSea
from autorl.environments.protocol import Environment


def deep_sea_environment(id: str) -> Environment:
    """Return the environment of the public id ``bsuite:DeepSea-SIZE``."""
    return adapt(id, DeepSea(size=int(id.removeprefix("bsuite:DeepSea-"))))
