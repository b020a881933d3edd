"""The result of a study: the winner on untouched test seeds, beside random search and the default configuration.

Tuning seeds choose and test seeds report. Nothing here prints a tuning-seed figure as a result; where one is shown (how the
winner was chosen) its name says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autorl.analysis.origins import origins
from autorl.analysis.rungs import rung_rows
from autorl.analysis.scores import by_arm, environments, finished, is_random_search, method_name, score_table
from autorl.analysis.selection import plain, selection_scores
from autorl.analysis.selection_bias import selection_bias
from autorl.analysis.statistics import (
    CONFIDENCE,
    RESAMPLES,
    Array,
    RawScores,
    bootstrap_difference,
    fill_failures,
    iqm,
    probability_of_improvement,
    stratified_bootstrap_interval,
)
from autorl.analysis.verdict import headline, verdict
from autorl.analysis.warm_start import taken_over
from autorl.analysis.work import equal_work, ledger_rows
from autorl.engine.evidence import evidence
from autorl.engine.selection import pick_winner, pooled
from autorl.engine.winner import sizes
from autorl.errors import UsageError
from autorl.keys import derive
from autorl.spaces import Space, load_space
from autorl.studies.trial import OBJECTIVE_ARM, TEACHER_ARM, Arm, Json, Trial


def summarise(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Json:
    """Return the study's result as JSON data. Works on a study at any point of its life and says what is missing.

    Keys: ``study, learner, method, environments, state, missing, barren, winner, arms, differences, work, ledger, rungs, warm_start,
    origins, chosen, protocol, expected, own_objective, selection_bias, headline, verdict``.

    An arm's ``score`` is the interquartile mean over its test
    seeds (and environments), failed trainings counted as the worst score of all arms; ``failed`` says how many. Scores are None while
    unknown.
    """
    tested = by_arm(trials, "test")
    barren = _barren(trials)
    tables = {arm: score_table(own, specification) for arm, own in tested.items()}
    filled = fill_failures({arm: table for arm, table in tables.items() if table[0]}) or {}
    study_seed = int((specification.get("seeds") or {}).get("study", 0))
    result: Json = {
        "study": str(specification.get("name", "")),
        "learner": (specification.get("learner") or {}).get("algorithm"),
        "method": method_name(specification),
        "environments": [environment.get("id") for environment in environments(specification)],
        "state": _state(trials, tested, specification),
        "missing": [arm for arm in expected_arms(specification) if arm not in tested and arm not in barren],
        "barren": barren,
        "winner": _winner(trials, tested, specification),
        "arms": {arm: _arm(own, tables[arm], filled.get(arm), study_seed) for arm, own in tested.items()},
        "differences": _differences(filled, study_seed),
        "work": equal_work(trials, specification),
        "ledger": ledger_rows(trials, specification),
        "rungs": rung_rows(trials, specification),
        "warm_start": taken_over(specification),
        "origins": origins(trials),
        "chosen": (specification.get("search") or {}).get("chosen") or None,
        "protocol": _protocol(specification),
    }
    result["expected"] = _expected(result, specification)
    result["own_objective"] = _own_objective(trials, specification)
    result["selection_bias"] = selection_bias(trials, specification)
    result["headline"] = headline(result)
    result["verdict"] = verdict(result)
    return result


def expected_arms(specification: Mapping[str, Any]) -> list[Arm]:
    """Return the arms that a finished study has test results of; none for a study over a user's own objective."""
    learner, search = specification.get("learner"), specification.get("search")
    if learner is None:
        return []
    baselines = specification.get("baselines") or {}
    arms: list[Arm] = ["method"]
    if search and not is_random_search(specification) and baselines.get("random", True):
        arms.append("random")
    if baselines.get("default", True) and not _is_default(specification):
        arms.append("default")
    arms += [f"{OBJECTIVE_ARM}{name}" for name in sorted(set(baselines.get("objectives") or ()))]
    teachers = {one if isinstance(one, str) else one["name"] for one in baselines.get("teachers") or ()}
    return [*arms, *(f"{TEACHER_ARM}{name}" for name in sorted(teachers))]


def _is_default(specification: Mapping[str, Any]) -> bool:
    """Return whether the one configuration that is trained is the default one."""
    learner = specification.get("learner") or {}
    changed = learner.get("hyperparameters") or learner.get("objective")
    return not specification.get("search") and not specification.get("schedule") and not changed


def _state(trials: Sequence[Trial], tested: Mapping[Arm, Any], specification: Mapping[str, Any]) -> str:
    """One of empty, search, finalists, test, complete: the furthest phase that began."""
    if not trials:
        return "empty"
    if tested and all(arm in tested or arm in _barren(trials) for arm in expected_arms(specification)):
        running = any(t.phase == "test" and not finished(t) for t in trials)
        return "test" if running else "complete"
    reached = {t.phase for t in trials}
    return "test" if "test" in reached else "finalists" if "finalists" in reached else "search"


def _barren(trials: Sequence[Trial]) -> list[Arm]:
    """Return the arms whose search is over without one completed trial: they have nothing to test.

    That a search is over shows in the test having begun; the record alone does not say how long it was to be.
    """
    tested = {t.arm for t in trials if t.phase == "test"}
    if not tested:
        return []
    searches = {arm: [t for t in trials if (t.arm, t.phase) == (arm, "search")] for arm in ("method", "random")}
    return [arm for arm, own in searches.items() if own and arm not in tested and all(map(_failed, own))]


def _failed(trial: Trial) -> bool:
    return finished(trial) and trial.score is None


def _winner(
    trials: Sequence[Trial], tested: Mapping[Arm, list[Trial]], specification: Mapping[str, Any]
) -> Json | None:
    finalists = [t for t in trials if (t.arm, t.phase) == ("method", "finalists")]
    space = _known((specification.get("search") or {}).get("space")) if finalists else None
    searched = evidence(trials, specification, space) if finalists else {}
    chosen = tested["method"][0] if "method" in tested else None
    if chosen is None and finalists and all(finished(t) for t in finalists):
        chosen = pick_winner(finalists, sizes(space), float(specification.get("parsimony") or 0.0), searched)
    if chosen is None:
        return None
    scores = selection_scores(finalists, specification)
    own = [t for t in finalists if t.source == chosen.source]
    value, count = pooled(finalists, searched)[own[0].number] if own and searched else (None, None)
    return {
        "kind": "schedule" if chosen.schedule else "candidate",
        "candidate": plain(chosen.candidate),
        "schedule": [{"until": s.until, "hyperparameters": plain(s.candidate)} for s in chosen.schedule or ()] or None,
        "source": chosen.source,
        "origin": next(
            (t.origin for t in trials if (t.arm, t.phase, t.number) == ("method", "search", chosen.source)), None
        ),
        "chosen_by": {
            "use": "selection only; tuning seeds, not a result",
            "tuning_iqm": scores.get(own[0].number) if own else None,
            "tuning_seeds": list(own[0].seeds) if own else [],
            "finalists": len(finalists),
            "pooled_mean": value,
            "pooled_seeds": count,
        },
    }


def _known(space: Any) -> Space | None:
    """Return the space that a specification names or has in it; None if this machine does not have it: then no size is known."""
    try:
        return None if space is None else load_space(space)
    except UsageError:
        return None


def _arm(own: Sequence[Trial], table: RawScores, filled: Array | None, study_seed: int) -> Json:
    flat = [score for row in table for score in row]
    bounds = None
    if filled is not None and filled.shape[0] > 1:
        bounds = stratified_bootstrap_interval(filled, seed=derive(study_seed, "bootstrap", own[0].arm))
    return {
        "score": None if filled is None else iqm(filled),
        "interval": None if bounds is None else list(bounds),
        "seeds": [seed for t in own for seed in t.seeds],
        "trainings": len(flat),
        "failed": sum(score is None for score in flat),
        "scores": [list(row) for row in table],
        "environment_scores": [] if filled is None else [iqm(filled[:, e]) for e in range(filled.shape[1])],
        "candidate": plain(own[0].candidate),
        "source": own[0].source,
        "env_steps": own[0].env_steps,
    }


def _differences(filled: Mapping[str, Array], study_seed: int) -> dict[str, Json]:
    """Method against each baseline: bootstrapped difference of interquartile means, probability of improvement."""
    if "method" not in filled:
        return {}
    ours = filled["method"]
    found: dict[str, Json] = {}
    for arm, theirs in filled.items():
        if arm == "method":
            continue
        key = derive(study_seed, "bootstrap", "difference", arm)
        bounds = None
        if min(len(ours), len(theirs)) > 1:
            bounds = bootstrap_difference(ours, theirs, seed=key)
        better = probability_of_improvement(ours, theirs, seed=derive(study_seed, "bootstrap", "improvement", arm))
        found[arm] = {
            "difference": iqm(ours) - iqm(theirs),
            "interval": None if bounds is None else list(bounds),
            "distinguishable": None if bounds is None else bool(bounds.low > 0 or bounds.high < 0),
            "probability_of_improvement": better.probability,
            "probability_interval": None if bounds is None else list(better.interval),
        }
    return found


def _protocol(specification: Mapping[str, Any]) -> Json:
    seeds, evaluation = specification.get("seeds") or {}, specification.get("evaluation") or {}
    return {
        "statistic": "interquartile mean",
        "interval": f"{CONFIDENCE:.0%} percentile bootstrap, {RESAMPLES} resamples, stratified by environment",
        "failures": "a failed training counts as the worst finite score of all arms",
        "search_seeds": seeds.get("search"),
        "tuning_seeds": seeds.get("tuning"),
        "test_seeds": seeds.get("test"),
        "evaluation_episodes": evaluation.get("episodes"),
        "task_statistic": evaluation.get("tasks") or "mean",
        "task_measure": evaluation.get("measure") or "return",
        "finalists": specification.get("finalists"),
    }


def _expected(result: Json, specification: Mapping[str, Any]) -> Json | None:
    expected = specification.get("expected")
    score = (result["arms"].get("method") or {}).get("score")
    if not expected or not expected.get("score"):
        return None
    low, high = expected["score"]
    return {"low": low, "high": high, "inside": None if score is None else bool(low <= score <= high)}


def _own_objective(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Json | None:
    """For a study over a user's own objective: the best score told, which is all that such a study has."""
    if specification.get("learner") is not None:
        return None
    told = [t for t in trials if t.phase == "search" and finished(t)]
    completed = [t for t in told if t.status == "completed" and t.score is not None]
    best = sorted(completed, key=lambda t: (-(t.score or 0.0), t.number))
    return {
        "told": len(told),
        "failed": len(told) - len(completed),
        "best_score": best[0].score if best else None,
        "best_trial": best[0].number if best else None,
        "best_candidate": plain(best[0].candidate) if best else None,
    }
