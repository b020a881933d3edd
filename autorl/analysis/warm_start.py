"""What a study took over from an earlier one, in words: work that was done before is shown apart from its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorl.analysis.scores import count, plural
from autorl.studies.trial import Json

_SHOWN = 10
_PUBLISHED = "fitted by `python benchmarks/landscapes.py"
"""How the source of a shipped prior begins."""


def taken_over(specification: Mapping[str, Any]) -> Json | None:
    """Return ``{study, trials, env_steps, ..., sentences}`` (see `autorl.studies.models.TakenOver`); None without a warm start."""
    started = (specification.get("search") or {}).get("warm_start")
    taken = (started or {}).get("taken")
    if not started or not taken:
        return None
    return {"study": started["study"], **taken, "sentences": _sentences(started["study"], taken, specification)}


def uncounted_work(specification: Mapping[str, Any]) -> str:
    """Return what the search knows from trainings that are not counted as its work, in words; empty if that is nothing.

    The catalogue's priors are apart: see `published_work`.
    """
    reasons = [reason for reason in (_begun_with(specification), _drawn_by(specification)) if reason]
    return "; and ".join(reasons)


def published_work(specification: Mapping[str, Any]) -> str:
    """Return the sentence about what a prior of the catalogue was learned from; empty without one.

    Nobody who searches with it pays for those trainings, as nobody pays for those behind a learner's defaults; but random search is drawn
    without it, so it is said.
    """
    prior = _prior(specification)
    if prior is None or not _of_the_catalogue(prior):
        return ""
    return f"Not counted: the trainings, published with ARLBench, that prior {prior['name']} was learned from."


def _begun_with(specification: Mapping[str, Any]) -> str:
    started = (specification.get("search") or {}).get("warm_start") or {}
    taken = started.get("taken") or {}
    if taken.get("configurations"):
        return "the search began with the best of an earlier one, whose work is not counted"
    if taken and str(started["study"]).endswith(".jsonl"):
        return "the search was told of trainings whose work is not known"
    if taken.get("left_out_env_steps"):
        steps = count(taken["left_out_env_steps"])
        return f"the search went on with an earlier one, {steps} environment steps of which are not counted, as they were left out"
    return ""


def _drawn_by(specification: Mapping[str, Any]) -> str:
    prior = _prior(specification)
    if prior is None or _of_the_catalogue(prior):
        return ""
    tasks = list(prior.get("tasks") or ())
    named = ", ".join(map(str, tasks[:_SHOWN])) + (", ..." if len(tasks) > _SHOWN else "")
    return f"the search drew by prior {prior['name']}, and the trainings that it was learned from ({named}) are not counted"


def _prior(specification: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the prior that draws candidates, as a resolved specification keeps it."""
    prior = (specification.get("search") or {}).get("prior")
    return prior if isinstance(prior, Mapping) else None


def _of_the_catalogue(prior: Mapping[str, Any]) -> bool:
    """Return whether it was learned from published landscapes, as the shipped ones; `autorl prior fit` writes another source."""
    return str(prior.get("source") or "").startswith(_PUBLISHED)


def _sentences(study: str, taken: Mapping[str, Any], specification: Mapping[str, Any]) -> list[str]:
    learns = specification.get("learner") is not None
    name = study if study.endswith(".jsonl") else f"study {study}"
    found = [f"{plural(taken['trials'], 'trial')} of {name} were told first, and none was trained again."]
    if taken.get("configurations"):
        again = plural(taken["configurations"], "configuration")
        found[0] = f"It began with {again} of {name}, the best by their scores there; these scores were not told."
    elif study.endswith(".jsonl"):
        found.append("They count as trainings; what they cost is not known.")
    elif learns:
        found[0] = (
            f"{plural(taken['trials'], 'trial')} of {name} ({count(taken['env_steps'])} environment steps) were told first, and "
            "none was trained again; they count as work of this search."
        )
    if taken.get("random_trials"):
        steps = count(taken["random_env_steps"])
        found.append(
            f"So do {plural(taken['random_trials'], 'trial')} of its random search ({steps}) for the one beside it."
        )
    left_out = taken.get("left_out") or {}
    if left_out:
        total = sum(len(numbers) for numbers in left_out.values())
        reasons = "; ".join(f"{why} ({_listed(numbers)})" for why, numbers in left_out.items())
        found.append(f"{plural(total, 'trial')} of it are no candidates here and were left out: {reasons}.")
    if taken.get("left_out_env_steps"):
        steps = count(taken["left_out_env_steps"])
        found.append(f"Left-out trials trained {steps} environment steps, which no figure here counts.")
    if taken.get("test_seeds") and learns:
        found.append(f"Test seeds are fresh: the {taken['test_seeds']} before them were used there.")
    if taken.get("changed"):
        found.append(f"What they ran with has changed since: {'; '.join(taken['changed'])}.")
    return found


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    return f"trials {shown}, ..." if len(numbers) > _SHOWN else f"trial{'s' * (len(numbers) > 1)} {shown}"
