"""A study's search with all that its catalogues and rules decide written out: later ones change no study. Imports no jax by itself."""

from __future__ import annotations

from typing import Any

from autorl.engine.methods import policy_of, starts_of
from autorl.outer.auto import choose
from autorl.outer.budget.policies import WHOLE
from autorl.spaces import load_space, resolve_space
from autorl.studies.policy_references import DEFAULT
from autorl.studies.specification import Specification, from_mapping, to_mapping


def self_contained(specification: Specification) -> Specification:
    """Return ``specification`` with its space written out, ``auto`` resolved, and the learner's configuration for ``default``."""
    search = specification.search
    if search is None:
        return specification
    space = load_space(search.space)
    plain = to_mapping(specification)
    if search.method == "auto":
        made = choose(
            space,
            specification.budget.trainings,
            specification.evaluation.points,
            whole=_obstacle(specification),
            policy=policy_of(specification),
        )
        settings = {**made.settings, **search.settings}
        plain["search"] |= {"method": made.method, "settings": settings, "chosen": made.why}
        if made.policy is not None and search.policy is None:
            plain["search"]["policy"] = {"name": made.policy, "settings": made.policy_settings}
        if made.starts and specification.learner is not None and not search.start:
            plain["search"]["start"] = [DEFAULT]
    plain["search"]["space"] = resolve_space(search.space)
    resolved: Specification = from_mapping(plain, references=False)
    starts: list[dict[str, Any]] = starts_of(resolved, space)
    return from_mapping(resolved, {"search.start": starts}, references=False) if starts else resolved


def _obstacle(specification: Specification) -> str:
    """Return why the experiment keeps ``auto`` from cutting trainings; nothing if it does not."""
    search = specification.search
    if search is not None and search.policy is not None and search.policy.name == WHOLE:
        return "search.policy says so"
    if specification.learner is None:
        return "their scores are told"
    if specification.hurdle is not None:
        return "the experiment has a hurdle"
    if any(choice.role == "validation" for choice in specification.environments):
        return "every one of them is validated"
    return ""
