"""Which trainings XLA is to make one function of on a CPU: a matter of sizes, known to the learners, which compute for it, too.

`autorl.engine.devices.in_one_piece` says what it is and where it can be had, ``benchmarks/one_piece.py`` measures it. Learners go by the
sizes alone, so that what they compute does not depend on the machine.
"""

from __future__ import annotations

from typing import Any

from autorl.objectives.protocol import Fused

WIDE = 1 << 14
"""Parameters from which networks are wide: their products are left to XLA's library, and not split among threads."""
FEW = 1 << 6
"""Samples of an update up to which it pays: with twice as many nothing is gained, with more it would be slower."""


def one_piece_pays(samples: int, parameters: int, objective: Any) -> bool:
    """Return whether updates of ``samples`` samples, for a network of ``parameters`` parameters, are faster as one function.

    Not with fused losses: hundreds of them in one function would compile long.
    """
    return samples <= FEW and parameters < WIDE and not isinstance(objective, Fused)
