"""AutoRL: a search engine for reinforcement learning.

An outer loop searches over hyperparameters, loss graphs and curricula; an inner loop trains agents, a whole population in one compiled
XLA program. Importing this package imports nothing heavy: names are loaded when first used.

    import autorl
    study = autorl.run("quickstart", {"search.method": "tpe"})
    study.best, study.result
    study.report()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autorl.api import Study, create, load, resume, run
    from autorl.comparisons import run_comparison
    from autorl.generations import run_generations
    from autorl.outer.protocol import Proposal, Status
    from autorl.studies.specification import Specification

__version__ = "0.1.0"
__all__ = [
    "Proposal",
    "Specification",
    "Status",
    "Study",
    "create",
    "load",
    "resume",
    "run",
    "run_comparison",
    "run_generations",
]

_HOMES = {
    "Study": "autorl.api",
    "create": "autorl.api",
    "load": "autorl.api",
    "resume": "autorl.api",
    "run": "autorl.api",
    "run_comparison": "autorl.comparisons",
    "run_generations": "autorl.generations",
    "Proposal": "autorl.outer.protocol",
    "Status": "autorl.outer.protocol",
    "Specification": "autorl.studies.specification",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'autorl' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
