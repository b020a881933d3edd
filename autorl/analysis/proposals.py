"""What became of the candidates that a search made: trained, known already, or not worth training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from autorl.studies.record import Record
from autorl.studies.trial import STATISTICS, Arm, Json

_REASON: Final = "rejected: "


def proposals_of(record: Path) -> dict[Arm, Json]:
    """Return what the search method of each arm counted, as the record at this path keeps it; arms that counted nothing are left out.

    Keys of an arm, as `autorl.outer.regularized_evolution.RegularizedEvolution.statistics` has them, with ``reasons``: how many
    candidates were rejected untrained, by reason. Empty until a search has ended.
    """
    arms: tuple[Arm, ...] = ("method", "random")
    with Record.open(record, readonly=True) as opened:
        kept = {arm: opened.meta(f"{STATISTICS}{arm}") for arm in arms}
    return {arm: _told_apart(counted) for arm, counted in kept.items() if counted}


def _told_apart(counted: Mapping[str, float]) -> Json:
    plain = {name: value for name, value in counted.items() if not name.startswith(_REASON)}
    reasons = {name.removeprefix(_REASON): n for name, n in counted.items() if name.startswith(_REASON)}
    return {**plain, "reasons": dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))}
