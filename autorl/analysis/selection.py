"""How the winner was chosen, as plain data. The choice itself is the engine's; nothing here is a result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autorl.analysis.scores import finished, score_table
from autorl.analysis.statistics import iqm
from autorl.studies.trial import Trial


def plain(value: Any) -> Any:
    """Return ``value`` as JSON data; an array becomes ``{"$array": {dtype, shape, sha256}}``, its contents left out."""
    if isinstance(value, Mapping) and "$array" in value and isinstance(value["$array"], Mapping):
        stored = value["$array"]
        digest = hashlib.sha256(str(stored.get("data", "")).encode()).hexdigest()
        return {"$array": {"dtype": stored.get("dtype"), "shape": stored.get("shape"), "sha256": digest}}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"$array": {"dtype": str(value.dtype), "shape": list(value.shape), "sha256": digest}}
    return value.item() if isinstance(value, np.generic) else value


def selection_scores(trials: Sequence[Trial], specification: Mapping[str, Any]) -> dict[int, float]:
    """Return each finalist's interquartile mean over its tuning seeds, by trial number. Not a result: it chose, or took part in it.

    A failed training counts as the worst score of any finalist, as where the engine chose. Empty if all failed.
    """
    tables = {t.number: score_table([t], specification) for t in trials if finished(t)}
    known = [score for table in tables.values() for row in table for score in row if score is not None]
    if not known:
        return {}
    worst = min(known)
    flat = {n: [worst if score is None else score for row in table for score in row] for n, table in tables.items()}
    return {number: iqm(scores) for number, scores in flat.items() if scores}
