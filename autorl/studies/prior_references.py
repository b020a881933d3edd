"""The prior that a search names: it can be read, and says something about the space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autorl.errors import UsageError
from autorl.studies.consistency import Finding, Sections

if TYPE_CHECKING:
    from autorl.outer.priors import Prior

AUTO = "auto"
"""The catalogue's prior of the learner, learned in other environments than the experiment's; none where there is none."""
NONE = "none"


def prior_at(s: Sections) -> tuple[Prior | None, list[Finding]]:
    """Return the prior that a search names by file or writes out, and why it cannot be had."""
    from autorl.outer.prior_files import load_prior

    reference = s.search.prior if s.search is not None else None
    if reference == AUTO:
        return None, _nothing_to_draw(s)
    if reference is None or reference == NONE:
        return None, []
    try:
        prior = load_prior(reference)
    except UsageError as error:
        return None, [Finding(("search", "prior"), str(error), reference)]
    learner = None if s.learner is None else s.learner.algorithm
    if None not in (prior.learner, learner) and prior.learner != learner:
        message = f"prior {prior.name!r} was learned with {prior.learner}, and this learner is {learner}"
        return None, [Finding(("search", "prior"), message, reference)]
    return prior, []


def _nothing_to_draw(s: Sections) -> list[Finding]:
    """Return that the method draws no candidates, if so: then the catalogue's prior, asked for by name, would change nothing."""
    from autorl.outer.methods import METHODS, draws

    name = None if s.search is None else s.search.method
    if name is None or name not in METHODS or draws(name):
        return []
    able = ", ".join(other for other in METHODS if draws(other))
    message = f"search method {name!r} draws nothing that a prior could draw instead. Methods that do: {able}."
    return [Finding(("search", "prior"), message, AUTO)]
