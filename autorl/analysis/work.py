"""The ledger of a study: what each arm and phase spent, and whether the arms were given equal work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from autorl.analysis.scores import (
    PHASES,
    all_environments,
    arm_name,
    count,
    environments,
    is_random_search,
    method_name,
    plural,
    policy_name,
)
from autorl.analysis.warm_start import published_work, uncounted_work
from autorl.studies.trial import TEACHER_ARM, Json, Ledger, Trial, in_order

_TOLERANCE = 0.01
"""Rollouts are whole: two arms with the same budget may differ by a rollout per training."""


_NO_FAILURE = ("completed", "running", "pruned")


def ledger_rows(trials: Sequence[Trial], specification: Mapping[str, Any]) -> list[Json]:
    """Return one row for each (arm, phase) with trials: the summed ledger, trials, and failures by status."""
    rows: list[Json] = []
    for arm in in_order(t.arm for t in trials):
        for phase in PHASES:
            own = [t for t in trials if (t.arm, t.phase) == (arm, phase)]
            if not own:
                continue
            spent = sum((t.ledger for t in own), Ledger())
            statuses = Counter(str(t.status) for t in own)
            rows.append(
                {
                    "arm": arm,
                    "phase": phase,
                    "trials": len(own),
                    "failures": {s: n for s, n in sorted(statuses.items()) if s not in _NO_FAILURE},
                    "pruned": statuses["pruned"],
                    "running": statuses["running"],
                    "granted_env_steps": granted(own, specification),
                    "train_env_steps": spent.train_env_steps,
                    "evaluation_env_steps": spent.evaluation_env_steps,
                    "updates": spent.updates,
                    "compile_seconds": spent.compile_seconds,
                    "wall_seconds": spent.wall_seconds,
                }
            )
    return rows


def granted(trials: Sequence[Trial], specification: Mapping[str, Any]) -> int:
    """Return the environment steps the trials were given: a diverged training stops early but had its full budget."""
    total = 0
    for trial in trials:
        if trial.status == "pruned":  # stopped on the way, as every other trial would have been
            total += trial.ledger.train_env_steps
            continue
        where = environments(specification, trial.phase) or [{}]
        if trial.phase == "search":
            where += [e for e in all_environments(specification) if e.get("role") == "validation"]
        steps = sum(int(e.get("env_steps") or trial.env_steps) for e in where)
        if policy_name(specification) is not None and trial.phase == "search" and trial.arm == "method":
            whole = int(specification["budget"]["env_steps"])  # it failed on the way, or goes on
            steps = sum(int(e.get("env_steps") or whole) * trial.env_steps // whole for e in where)
        total += steps * max(1, len(trial.seeds))
    return total


def equal_work(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Json:
    """Compare the work granted to the method's search and to random search: ``{equal, method, random, sentence}``.

    ``equal`` is None when there is no random search to compare with. What a prior of the catalogue was learned from is said beside it.
    """
    found = _compared_work(trials, specification)
    if found["equal"] is None:
        return found
    more = (found["sentence"], _of_finalists(trials, specification), published_work(specification))
    return {**found, "sentence": " ".join(filter(None, more))}


def _of_finalists(trials: Sequence[Trial], specification: Mapping[str, Any]) -> str:
    """Return what the arms' finalists took on fresh seeds, where they differ: a method may end with fewer of them."""
    ours, others = (
        granted([t for t in trials if (t.arm, t.phase) == (arm, "finalists")], specification)
        for arm in ("method", "random")
    )
    if abs(ours - others) <= _TOLERANCE * max(ours, others):
        return ""
    method = method_name(specification)
    return f"On their finalists' fresh seeds {method} was granted {count(ours)}, random search {count(others)}."


def _compared_work(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Json:
    search = {arm: [t for t in trials if (t.arm, t.phase) == (arm, "search")] for arm in ("method", "random")}
    ours, others = granted(search["method"], specification), granted(search["random"], specification)
    method = method_name(specification)
    if not ours or not others:
        return {"equal": None, "method": ours, "random": others, "sentence": _alone(specification)}
    uncounted = uncounted_work(specification)
    if uncounted:
        sentence = (
            f"NOT equal work: {uncounted}. Besides, {method} was granted {count(ours)} environment steps of search, random search "
            f"{count(others)}."
        )
        return {"equal": False, "method": ours, "random": others, "sentence": sentence}
    equal = abs(ours - others) <= _TOLERANCE * max(ours, others)
    if policy_name(specification) is not None and ours <= others:
        equal = True
        sentence = (
            f"Equal work: {method} and random search were each granted {count(others)} environment steps of search, "
            f"of which {method} needed {count(ours)}."
        )
    elif equal:
        sentence = (
            f"Equal work: {method} and random search were each granted {count(ours)} environment steps of search."
        )
    else:
        sentence = f"NOT equal work: {method} was granted {count(ours)} environment steps of search, random search {count(others)}."
    return {"equal": equal, "method": ours, "random": others, "sentence": sentence}


def teacher_sentence(result: Json) -> str:
    """Return what teachers took of a test training's env steps, in words; nothing where there is no teacher, or the record does not say."""
    spent = result.get("teacher_env_steps") or {}
    if not spent:
        return ""
    shares = ", ".join(f"{arm_name(arm, result['method'])} {count(round(steps))}" for arm, steps in spent.items())
    return f"Of a test training's env steps, these served the teacher alone, a guide's and a control policy's before it included: {shares}."


def compared_sentence(result: Json) -> str:
    """Return with which parameters other teachers were compared, in words; nothing where all had their defaults."""
    found = []
    for arm, own in result.get("arms", {}).items():
        name = arm.removeprefix(TEACHER_ARM)
        prefix = f"teacher.{name}."
        given = [
            f"{key.removeprefix(prefix)} {value}"
            for key, value in (own.get("candidate") or {}).items()
            if key.startswith(prefix)
        ]
        found += [f"{name} with {', '.join(given)}"] if arm != name and given else []
    return f"Teachers that were compared have their defaults but for: {'; '.join(found)}." if found else ""


def untaught_sentence(result: Json) -> str:
    """Return which test trainings learned from next to none of their env steps, and the remedy, in words; nothing where all learned."""
    found = result.get("untaught") or {}
    if not found:
        return ""
    own = [
        f"{arm_name(arm, result['method'])}, {one['trainings']} of {plural(one['of'], 'training')}: learned from "
        f"{count(one['learned'])} of {count(one['env_steps'])} env steps"
        for arm, one in found.items()
    ]
    return (
        f"NEXT TO NOTHING was learned under these teachers: {'; '.join(own)}. The rest went to the teacher, so that such a score says "
        "nothing about its curriculum. Remedy: a larger budget.env_steps, or a teacher that begins earlier: robust_plr and accel learn "
        "from no episode before capacity * fill levels were played and kept, so give them a smaller capacity or fill."
    )


def guide_sentence(result: Json) -> str:
    """Return what trained the policies of studies that guided test trainings, which no ledger has, in words; nothing without any."""
    spent = result.get("guide_env_steps") or {}
    if not spent:
        return ""
    own = {arm: "an unknown number" if steps is None else count(steps) for arm, steps in spent.items()}
    shares = ", ".join(f"{arm_name(arm, result['method'])} {steps}" for arm, steps in own.items())
    return f"NOT counted: the env steps that trained the guide itself, in an earlier study ({shares}), and what else that study took."


def _alone(specification: Mapping[str, Any]) -> str:
    """Say why there is no random search to compare with."""
    search = specification.get("search")
    if not search:
        return "Nothing was searched."
    if is_random_search(specification):
        return "The search was a random one: there is none beside it."
    wanted = (specification.get("baselines") or {}).get("random", True)
    return "No random search beside it so far." if wanted else "No random search beside it: baselines.random is false."
