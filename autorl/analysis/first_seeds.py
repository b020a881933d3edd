"""Which seeds a search began with, where it looked at untrained agents to choose them (`autorl.engine.first_seeds`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autorl.analysis.scores import number
from autorl.studies.record import Record
from autorl.studies.seeds import FIRST_SEEDS
from autorl.studies.trial import Json


def first_seeds_of(record: Path) -> Json:
    """Return ``{"first_seeds": {"block", "untrained"}}`` as the record at this path keeps it; empty where nobody looked.

    ``untrained`` is the mean score of untrained agents on each block of search seeds that was looked at, ``block`` the place of the one
    that the search began with.
    """
    with Record.open(record, readonly=True) as opened:
        noted = opened.meta(FIRST_SEEDS) or {}
    return {"first_seeds": noted} if noted.get("untrained") else {}


def first_seeds_sentence(result: Mapping[str, Any]) -> str:
    """Return what was looked at and chosen, for people; nothing where nobody looked."""
    noted = result.get("first_seeds")
    if not noted:
        return ""
    scores = list(noted["untrained"])
    own = scores.pop(noted["block"])
    low, high = number(min(scores)), number(max(scores))
    if low == high == number(own):
        return f"Untrained agents score {low} with each of {len(scores) + 1} search seeds: the search began with the first."
    others = low if low == high else f"{low} to {high}"
    return (
        f"Of {len(scores) + 1} seeds the search began with the one with which untrained agents score worst: {number(own)}; with the others "
        f"{others}, where who learns nothing would have looked as good."
    )
