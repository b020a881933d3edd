"""What became of the candidates that a search made: trained, known already, or not worth training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from autorl.analysis.scores import arm_name
from autorl.analysis.tables import Column, Table
from autorl.studies.record import Record
from autorl.studies.trial import STATISTICS, Arm, Json

_REASON: Final = "rejected: "
_PAPER: Final = "Of the loss graphs that Co-Reyes et al. (2021) made, about 70 % were duplicates at the end."


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


def proposals_table(found: Mapping[Arm, Json], method: str) -> Table | None:
    """Return one row an arm: candidates made, rejected untrained, duplicates, hit rate, trained; None if nothing was counted.

    Args:
        found: As `proposals_of` returns it.
        method: Name of the study's search method.
    """
    if not found:
        return None
    names = ("candidates made", "rejected untrained", "duplicates", "hit rate", "trained", "trained again")
    rows = tuple(
        (
            arm_name(arm, method),
            *(f"{own[name]:,.0f}" for name in ("made", "rejected", "duplicates")),
            f"{own['hit_rate']:.1%}",
            *(f"{own[name]:,.0f}" for name in ("trained", "repeated")),
        )
        for arm, own in found.items()
    )
    notes = [
        "Hit rate: the share of duplicates, whose behaviour was known, among the candidates that were not rejected."
    ]
    for own in found.values():
        if own["reasons"]:
            notes.append(f"Rejected: {', '.join(f'{n:,.0f} {reason}' for reason, n in own['reasons'].items())}.")
            notes.append(_PAPER)
    columns = (Column("search", right=False), *map(Column, names))
    return Table("What became of candidates", columns, rows, note=" ".join(dict.fromkeys(notes)))
