"""A study's search with all that its catalogues and rules decide written out: later ones change no study. Imports no jax by itself."""

from __future__ import annotations

import math
from typing import Any

from autorl.engine.methods import default_candidate, learner_defaults, policy_of, starts_of
from autorl.outer.methods import can_start, draws
from autorl.outer.prior_files import load_prior, shipped_prior
from autorl.outer.prior_files import to_mapping as to_plain
from autorl.outer.priors import Prior
from autorl.spaces import Space, load_space, resolve_space
from autorl.spaces.dimensions import is_number
from autorl.spaces.plain_values import plain_values
from autorl.spaces.screening import as_found
from autorl.studies.policy_references import DEFAULT, chosen
from autorl.studies.prior_references import AUTO, NONE
from autorl.studies.problems import shown
from autorl.studies.specification import Specification, from_mapping, to_mapping


def self_contained(specification: Specification) -> Specification:
    """Return ``specification`` with its space written out, ``auto`` resolved, and the learner's configuration for ``default``."""
    search = specification.search
    if search is None:
        return specification
    space = load_space(search.space)
    plain = to_mapping(specification)
    prior = _prior(specification, space)
    if search.method == "auto":
        plain["search"] |= _chosen(specification, space, prior)
    plain["search"]["space"] = resolve_space(search.space)
    if search.prior in (None, AUTO) and not draws(plain["search"]["method"]):
        prior = None
    if prior is not None or search.prior is not None or search.method == "auto":
        plain["search"]["prior"] = NONE if prior is None else to_plain(prior)
    if prior is not None and search.method == "auto":
        fraction = plain["search"]["settings"].get("prior_fraction", 1.0)
        share = "" if fraction == 1.0 else f", {fraction:.0%} of those that are drawn"
        tasks = ", ".join(task.name for task in prior.tasks)
        plain["search"]["chosen"] += f" Prior {prior.name} draws candidates{share}; it was learned from {tasks}."
    if not plain["search"].get("start") and can_start(plain["search"]["method"]):
        plain["search"]["start"] = [dict(space.to_json(candidate)) for candidate in as_found(space)]
    resolved: Specification = from_mapping(plain, references=False)
    starts: list[dict[str, Any]] = starts_of(resolved, space)
    return from_mapping(resolved, {"search.start": starts}, references=False) if starts else resolved


def _chosen(specification: Specification, space: Space, prior: Prior | None) -> dict[str, Any]:
    """Return the fields of the search that ``auto`` decides, where ``prior`` is there to draw candidates."""
    search = specification.search
    assert search is not None
    made = chosen(specification, space, policy_of(specification), prior=prior is not None)
    found: dict[str, Any] = {"method": made.method, "settings": made.settings, "chosen": made.why}
    if made.policy is not None and search.policy is None:
        found["policy"] = {"name": made.policy, "settings": made.policy_settings}
    if made.starts and as_found(space) and not search.start:
        found["chosen"] += " It begins with the loss as given."
    elif made.starts and specification.learner is not None and not search.start:
        found["start"] = [DEFAULT]
        found["chosen"] += f" It begins with the learner's default configuration{_moved(specification, space)}."
    return found


def _moved(specification: Specification, space: Space) -> str:
    """Return which of the learner's defaults the space has not, and what stands for them there, in words; nothing if it has them all."""
    assert specification.learner is not None
    own = {**learner_defaults(specification.learner.algorithm), **specification.learner.hyperparameters}
    start = default_candidate(specification, space)
    other = [
        f"{name} {shown(value)} for {shown(own[name])}"
        for name, value in plain_values(space, start).items()
        if _differs(value, own.get(name))
    ]
    return f", as near as the space has it ({', '.join(other)})" if other else ""


def _differs(value: Any, default: Any) -> bool:
    if is_number(value) and is_number(default):
        return not math.isclose(value, default, rel_tol=1e-6)
    return default is not None and bool(value != default)


def _prior(specification: Specification, space: Space) -> Prior | None:
    """Return the prior that an experiment has, if its method draws; nothing that ``auto`` stands for was learned in its environments."""
    search = specification.search
    assert search is not None
    reference = search.prior or (AUTO if search.method == "auto" else NONE)
    if reference == NONE:
        return None
    if reference != AUTO:
        return load_prior(reference)
    if specification.learner is None:
        return None
    shipped = shipped_prior(specification.learner.algorithm)
    elsewhere = None if shipped is None else shipped.without({choice.id for choice in specification.environments})
    return elsewhere if elsewhere is not None and elsewhere.shared(space) else None
