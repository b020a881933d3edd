"""How far the trials of a search came, where a budget policy cuts trainings short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autorl.analysis.scores import finished, policy_name
from autorl.analysis.tables import Column, Table
from autorl.studies.trial import Json, Trial


def rung_rows(trials: Sequence[Trial], specification: Mapping[str, Any]) -> list[Json]:
    """Return one row for each place where trials of the method's search ended: ``{share, reached, pruned, failed}``.

    ``share`` is that of the steps of a whole training; ``reached`` counts the trials that trained as far, or further. Empty without a
    budget policy.
    """
    whole = int((specification.get("budget") or {}).get("env_steps") or 0)
    if policy_name(specification) is None or not whole:
        return []
    begun = [t for t in trials if (t.arm, t.phase) == ("method", "search") and t.scores]
    rows = []
    for steps in sorted({t.env_steps for t in begun}):
        here = [t for t in begun if t.env_steps == steps and finished(t)]
        failed = sum(t.status not in ("pruned", "completed") for t in here)  # on the way there
        rows.append(
            {
                "share": steps / whole,
                "reached": sum(t.env_steps >= steps for t in begun) - failed,
                "pruned": sum(t.status == "pruned" for t in here),
                "failed": failed,
            }
        )
    return rows


def rungs_table(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Table | None:
    """Return the rows of `rung_rows` as a table; None if there are none."""
    rows = rung_rows(trials, specification)
    if not rows:
        return None
    names = ("share of the steps", "trials that reached it", "pruned there", "failed on the way there")
    cells = tuple((f"{r['share']:.0%}", str(r["reached"]), str(r["pruned"]), str(r["failed"])) for r in rows)
    width = int((specification.get("seeds") or {}).get("search") or 1)
    raced = [len(t.seeds) // width for t in trials if (t.arm, t.phase) == ("method", "search") and len(t.seeds) > width]
    note = (
        f"{len(raced)} trials were trained to the end on further seeds, {sum(raced) - len(raced)} times."
        if raced
        else ""
    )
    searched = [t for t in trials if (t.arm, t.phase) == ("method", "search")]
    if not raced and all(map(finished, searched)) and not any(row["pruned"] for row in rows):
        note = "The policy changed nothing: no trial was stopped, and none trained on further seeds. The budget may be too small for it."
    title = f"Budget policy {policy_name(specification)}: how far trials came"
    return Table(title, tuple(Column(name) for name in names), cells, note=note)
