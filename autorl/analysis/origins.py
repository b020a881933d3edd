"""Where a search's candidates came from: what a method that has a model and a prior really did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autorl.analysis.scores import plural
from autorl.studies.trial import Trial

WORDS: Final = {
    "start": "given to begin with",
    "prior": "drawn by the prior",
    "sample": "drawn at random",
    "sobol": "points of a Sobol sequence",
    "model": "proposed by the model",
    "told": "tried by another tool",
}
"""Origins of proposals; any other word of a method's own stands for itself."""
MODELS: Final = ("tpe", "gp")
"""Methods with a model, which proposes nothing in a short search."""


def origins(trials: Sequence[Trial]) -> dict[str, int]:
    """Return how many of the method's search trials have each origin, in the order of `WORDS`, then of first appearance."""
    counted = Counter(t.origin for t in trials if (t.arm, t.phase) == ("method", "search"))
    return {origin: counted[origin] for origin in dict.fromkeys([*WORDS, *counted]) if counted[origin]}


def origins_sentence(found: Mapping[str, int], winner: Mapping[str, Any] | None = None, method: str = "") -> str:
    """Return it in words, with that of the ``winner`` where it was given.

    Nothing where there is one origin, the method's own; but where a ``method`` has a model that proposed nothing, that is said.
    """
    modelled = method.partition(" ")[0] in MODELS and bool(found)
    drawn = " Its model proposed none." if modelled and not found.get("model") else ""
    if len(found) < 2 and not drawn:
        return ""
    kept = (
        " The winner is one of those given: among the finalists it was not beaten."
        if winner and winner.get("origin") == "start" and winner["chosen_by"]["tuning_iqm"] is not None
        else ""
    )
    parts = ", ".join(f"{number} {WORDS.get(origin, origin)}" for origin, number in found.items())
    return f"Of {plural(sum(found.values()), 'candidate')} of the search: {parts}.{drawn}{kept}"
