"""Several studies side by side: their test results, who is likely to be better, and where the comparison is not fair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from autorl.analysis.result import summarise
from autorl.analysis.scores import by_arm, count, environments, interval, number, plural, policy_name, score_table
from autorl.analysis.statistics import (
    Array,
    bootstrap_difference,
    fill_failures,
    iqm,
    probability_of_improvement,
    stratified_bootstrap_interval,
)
from autorl.analysis.tables import Column, Table
from autorl.analysis.tables import render as render_table
from autorl.analysis.warm_start import published_work, uncounted_work
from autorl.analysis.work import granted
from autorl.errors import UsageError
from autorl.keys import derive
from autorl.studies.trial import Json, Stage, Trial

NamedStudy = tuple[str, Mapping[str, Any], Sequence[Trial]]
"""Name, resolved specification, every trial."""
_WORK_TOLERANCE = 0.01


def compare_studies(studies: Sequence[NamedStudy], *, unlike: bool = False) -> Json:
    """Compare the method's test results of several studies; ``unlike``: they differ in seeds, work and length on purpose.

    Returns:
        ``studies`` (name, headline facts, test score with interval), ``pairs`` (difference of interquartile means with its
        interval, probability of improvement) and ``warnings``: in words, whatever makes the comparison unfair. Failed
        trainings count as the worst score of all studies compared. Studies without a test result have no score, and
        studies in different environments are never paired.

    Raises:
        UsageError: Fewer than two studies, or two of the same name.
    """
    names = [name for name, _, _ in studies]
    if len(names) < 2:
        raise UsageError(f"compare: expected at least two studies, got {len(names)}")
    if len(set(names)) < len(names):
        raise UsageError(
            f"compare: the same study twice: {', '.join(sorted({n for n in names if names.count(n) > 1}))}"
        )
    facts = {name: _facts(specification, trials) for name, specification, trials in studies}
    tables = {name: _table(specification, trials) for name, specification, trials in studies}
    filled: dict[str, Array] = {}
    for question in dict.fromkeys(fact["question"] for fact in facts.values()):
        own = {n: t for n, t in tables.items() if t is not None and facts[n]["question"] == question}
        filled |= fill_failures(own) or {}
    for name, specification, _ in studies:
        facts[name] |= _scored(specification, filled.get(name))
    return {
        "studies": [{"name": name, **fact} for name, fact in facts.items()],
        "pairs": [
            _pair(a, b, filled)
            for a, b in combinations(names, 2)
            if a in filled and b in filled and facts[a]["question"] == facts[b]["question"]
        ],
        "warnings": _warnings(facts, unlike),
    }


def tables(outcome: Json) -> list[Table]:
    """Return the comparison as two tables: the studies, and each pair of them."""
    return [_studies_table(outcome["studies"]), _pairs_table(outcome["pairs"])]


def _studies_table(studies: Sequence[Json]) -> Table:
    where = [", ".join(s["environments"]) or "-" for s in studies]
    shared = len(set(where)) == 1  # then it is said once, above: the table is wide enough
    texts = [Column(name, right=False) for name in ("study", "method", *([] if shared else ["environment"]))]
    names = ("test IQM", "95 % interval", "seeds", "failed", "search steps", "steps each")
    rows = (
        (
            s["name"],
            s["method"],
            *([] if shared else [place]),
            number(s["score"]),
            interval(s["interval"]),
            str(len(s["test_seeds"])),
            f"{s['failed']} of {s['trainings']}",
            count(s["search_env_steps"]),
            count(s["env_steps"]),
        )
        for s, place in zip(studies, where, strict=True)
    )
    return Table(
        f"Test results on {where[0]}" if shared else "Test results", (*texts, *map(Column, names)), tuple(rows)
    )


def _pairs_table(pairs: Sequence[Json]) -> Table:
    texts = [Column(name, right=False) for name in ("study", "against", "verdict")]
    names = ("difference", "95 % interval", "P(better)", "95 % interval")
    rows = (
        (
            p["study"],
            p["against"],
            p["verdict"],
            number(p["difference"]),
            interval(p["interval"]),
            f"{p['probability_of_improvement']:.2f}",
            _shares(p["probability_interval"]),
        )
        for p in pairs
    )
    note = "P(better): how likely a training of the study is to score above one of the study it is held against."
    return Table("Pairs", (*texts, *map(Column, names)), tuple(rows), note=note)


def _shares(bounds: Sequence[float] | None) -> str:
    return "-" if bounds is None else f"[{bounds[0]:.2f}, {bounds[1]:.2f}]"


def render(outcome: Json) -> str:
    """Return the comparison as text for standard output: tables, then the warnings."""
    parts = [render_table(table) for table in tables(outcome) if table.rows]
    parts += [f"Warning: {warning}" for warning in outcome["warnings"]]
    return "\n".join(parts).rstrip() + "\n"


def _facts(specification: Mapping[str, Any], trials: Sequence[Trial]) -> Json:
    result = summarise(trials, specification)
    tested = by_arm(trials, "test").get("method", [])
    searched = [t for t in trials if (t.arm, t.phase) == ("method", "search")]
    table = score_table(tested, specification)
    flat = [score for row in table for score in row]
    return {
        "method": result["method"],
        "learner": result["learner"],
        "environments": result["environments"],
        "question": _question(specification),
        "state": result["state"],
        "test_seeds": [seed for t in tested for seed in t.seeds],
        "trainings": len(flat),
        "failed": sum(score is None for score in flat),
        "scores": table if tested else [],
        "search_env_steps": granted(searched, specification),
        "search_grant": _grant(searched, specification, str(result["state"])),
        "env_steps": tested[0].env_steps if tested else (specification.get("budget") or {}).get("env_steps", 0),
        "episodes": (specification.get("evaluation") or {}).get("episodes"),
        "guided": _guided(specification, tested),
        "uncounted": uncounted_work(specification),
        "published": published_work(specification),
    }


def _grant(searched: Sequence[Trial], specification: Mapping[str, Any], state: str) -> int:
    """Return the env steps that a search was granted; where a policy cuts trainings, it need not have used them all."""
    used = granted(searched, specification)
    if policy_name(specification) is None or state in ("empty", "search"):
        return used
    budget, seeds = specification["budget"], int((specification.get("seeds") or {}).get("search", 1))
    where = environments(specification, "search") or [{}]
    one = sum(int(e.get("env_steps") or budget["env_steps"]) for e in where)
    return max(used, int(budget["trainings"]) * one * seeds)


def _guided(specification: Mapping[str, Any], tested: Sequence[Trial]) -> bool:
    """Return whether tested trainings followed or imitated the policy of an earlier study."""
    given = [specification.get(part) for part in ("learner", "environment", "teacher", "schedule")]
    played = [part for t in tested for part in (t.candidate, *(t.schedule or ()))]
    return any(map(_names_study, [*given, *played]))


def _names_study(value: Any) -> bool:
    if isinstance(value, str):
        return value.startswith("study:")
    if isinstance(value, Mapping):
        return any(map(_names_study, value.values()))
    if isinstance(value, Stage):
        return _names_study(value.candidate)
    return isinstance(value, list | tuple) and any(map(_names_study, value))


def _question(specification: Mapping[str, Any]) -> str:
    """Return what scores are of: two studies of the same question have comparable ones."""
    evaluation = specification.get("evaluation") or {}
    measure = evaluation.get("measure") or "return"
    places = [
        (
            e.get("id"),
            sorted((e.get("task") or {}).items()),
            e.get("score_range") if measure == "return" else None,
            _held_out(e.get("tasks") or {}),
        )
        for e in environments(specification)
    ]
    return repr([places, evaluation.get("tasks") or "mean", measure])


def _held_out(tasks: Mapping[str, Any]) -> Any:
    """Return the tasks that agents are scored on, None for the environment's own."""
    if tasks.get("named"):
        return tasks["named"]
    if not (tasks.get("held_out") or tasks.get("grid")):
        return None
    # a grid is the same whatever the order of what it varies; draws are not
    varied = list((tasks.get("vary") or {}).items())
    drawn = tasks.get("seed") if tasks.get("held_out") else None
    return sorted(varied) if tasks.get("grid") else varied, tasks.get("grid"), tasks.get("held_out"), drawn


def _table(specification: Mapping[str, Any], trials: Sequence[Trial]) -> list[list[float | None]] | None:
    tested = by_arm(trials, "test").get("method")
    return [list(row) for row in score_table(tested, specification)] if tested else None


def _scored(specification: Mapping[str, Any], scores: Array | None) -> Json:
    if scores is None:
        return {"score": None, "interval": None}
    # the key of the study's own result, so that both show the same interval
    key = derive(int((specification.get("seeds") or {}).get("study", 0)), "bootstrap", "method")
    bounds = stratified_bootstrap_interval(scores, seed=key) if len(scores) > 1 else None
    return {"score": iqm(scores), "interval": None if bounds is None else list(bounds)}


def _pair(a: str, b: str, filled: Mapping[str, Array]) -> Json:
    x, y = filled[a], filled[b]
    better = probability_of_improvement(x, y, seed=derive(0, "compare", a, b))
    several = min(len(x), len(y)) > 1
    bounds = bootstrap_difference(x, y, seed=derive(0, "difference", a, b)) if several else None
    difference = iqm(x) - iqm(y)
    if bounds is None:
        verdict = "one seed cannot tell"
    elif bounds.low <= 0 <= bounds.high:
        verdict = "not distinguishable"
    else:
        verdict = f"{a} is better" if difference > 0 else f"{b} is better"
    return {
        "study": a,
        "against": b,
        "difference": difference,
        "interval": None if bounds is None else list(bounds),
        "probability_of_improvement": better.probability,
        "probability_interval": list(better.interval) if several else None,
        "verdict": verdict,
    }


def _warnings(facts: Mapping[str, Json], unlike: bool) -> list[str]:
    found = [f"{name} has no test result ({fact['state']})." for name, fact in facts.items() if not fact["test_seeds"]]
    if len({fact["question"] for fact in facts.values()}) > 1:
        where = "; ".join(f"{name}: {', '.join(fact['environments']) or 'none'}" for name, fact in facts.items())
        found.append(
            f"The environments, their tasks, score ranges or what is measured differ ({where}); only studies that agree are paired."
        )
    found += _difference(facts, "learner", "The learners differ", str)
    found += _difference(facts, "episodes", "Scores are means over different numbers of episodes", str)
    found += [] if unlike else _unfair(facts)
    return found + [
        f"{name}: {fact['failed']} of {fact['trainings']} test trainings failed; each counts as the worst score of all studies."
        for name, fact in facts.items()
        if fact["failed"]
    ]


def _unfair(facts: Mapping[str, Json]) -> list[str]:
    tested, found = {name: fact for name, fact in facts.items() if fact["test_seeds"]}, []
    if len({tuple(fact["test_seeds"]) for fact in tested.values()}) > 1:
        seeds = "; ".join(f"{name}: {plural(len(fact['test_seeds']), 'seed')}" for name, fact in tested.items())
        found.append(f"The test seeds differ ({seeds}): more seeds give narrower intervals, and luck is not shared.")
    found += _unequal(facts, "search_grant", "NOT equal work: the searches were granted different environment steps")
    found += _unequal(facts, "env_steps", "The tested trainings differ in length")
    guided = [name for name, fact in facts.items() if fact["guided"]]
    if guided:
        found.append(
            f"NOT equal work: {', '.join(guided)} followed or imitated the policy of an earlier study, whose env steps are not counted "
            "here; autorl show says how many."
        )
    said = {"uncounted": "NOT equal work: in {}, {}.", "published": "{}: {}"}
    for key, words in said.items():
        unlike = len({fact[key] for fact in facts.values()}) > 1
        found += [words.format(name, fact[key]) for name, fact in facts.items() if unlike and fact[key]]
    return found


def _difference(facts: Mapping[str, Json], key: str, text: str, show: Any) -> list[str]:
    if len({fact[key] for fact in facts.values()}) < 2:
        return []
    return [f"{text} ({'; '.join(f'{name}: {show(fact[key])}' for name, fact in facts.items())})."]


def _unequal(facts: Mapping[str, Json], key: str, text: str) -> list[str]:
    amounts = [fact[key] for fact in facts.values()]
    if max(amounts) - min(amounts) <= _WORK_TOLERANCE * max(amounts):
        return []
    return _difference(facts, key, text, count)
