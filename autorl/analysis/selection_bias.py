"""Selection bias: how much better the winner looked on the seeds that chose it than it is on seeds that did not.

Measured on ARLBench's landscapes (Becktepe et al., 2024), single-seed tuning overstates by a third of the whole range: so it is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from autorl.analysis.scores import arm_name, by_arm, environments, method_name, number, plural, score_table
from autorl.analysis.statistics import bootstrap_difference, fill_failures, iqm
from autorl.keys import derive
from autorl.studies.trial import Arm, Json, Trial

ARMS: tuple[Arm, ...] = ("method", "random")


def selection_bias(trials: Sequence[Trial], specification: Mapping[str, Any]) -> Json:
    """Return, for each arm that searched and was tested, tuning score minus test score, and the same of the search score.

    Keys of an arm, all scores interquartile means over seeds of what agents score at the end of training (the test's measure; the mean
    of several evaluations, by which winners are chosen, is lower while agents still learn): ``search`` (on the search seeds; None if the
    winner was cut there), ``tuning`` (on the finalists' seeds; None if there was one finalist only), ``test``, ``tuning_minus_test`` with
    its bootstrap ``interval``, ``search_minus_test``, ``search_seeds``, ``tuning_seeds``, ``sentence``. Failed trainings count as the worst
    score of all sides.
    Where the test is in other environments than the search, a difference to it is not one of seeds: then an arm has ``search``,
    ``tuning``, ``search_minus_tuning`` (the search's environments; the former chose the finalists, the latter, or under a policy both,
    the winner among them),
    ``search_seeds``, ``tuning_seeds`` and ``sentence``.
    """
    elsewhere = environments(specification, "search") != environments(specification, "test")
    of = _arm_elsewhere if elsewhere else _arm
    found = {}
    for arm in ARMS:
        own = of(arm, trials, specification)
        if own is not None:
            found[arm] = own
    return found


def sentences(bias: Json) -> list[str]:
    """Return what the bias of each arm is, in words."""
    return [str(own["sentence"]) for own in bias.values()]


def _winner(arm: Arm, trials: Sequence[Trial]) -> tuple[list[Trial], Trial | None, Trial | None]:
    """Return the winner's test, its trial of the search and that of the finalists, as far as there are any."""
    tested = list(by_arm(trials, "test").get(arm, ()))
    source = tested[0].source if tested else None
    if source is None:
        return [], None, None
    searched = next((t for t in trials if (t.arm, t.phase, t.number) == (arm, "search", source)), None)
    return tested, searched, next((t for t in by_arm(trials, "finalists").get(arm, ()) if t.source == source), None)


def _arm_elsewhere(arm: Arm, trials: Sequence[Trial], specification: Mapping[str, Any]) -> Json | None:
    """Return search score minus tuning score: both in the environments of the search, the test is not."""
    _, searched, finalist = _winner(arm, trials)
    if searched is None or finalist is None or searched.score is None:
        return None
    filled = fill_failures({"tuning": score_table([finalist], specification)})
    if filled is None:
        return None
    tuning = iqm(filled["tuning"])
    seeds = len(searched.seeds), len(finalist.seeds)
    own: Json = {"search": searched.score, "tuning": tuning, "search_minus_tuning": searched.score - tuning}
    sentence = (
        f"Selection bias of {arm_name(arm, method_name(specification))}: in the environments of the search its winner scored "
        f"{number(searched.score)} on {plural(seeds[0], 'search seed')} and {number(tuning)} on {plural(seeds[1], 'tuning seed')} "
        f"(search minus tuning {_signed(searched.score - tuning, abs(tuning))}; both took part in choosing it); "
        "the test is in other environments."
    )
    return {**own, "search_seeds": seeds[0], "tuning_seeds": seeds[1], "sentence": sentence}


def _arm(arm: Arm, trials: Sequence[Trial], specification: Mapping[str, Any]) -> Json | None:
    tested, searched, finalist = _winner(arm, trials)
    if not tested:
        return None
    sides = {"test": tested}
    if finalist is not None:
        sides["tuning"] = [finalist]
    if searched is not None and searched.score is not None:
        sides["search"] = [searched]
    filled = fill_failures(
        {name: score_table([*map(_at_the_end, side)], specification) for name, side in sides.items()}
    )
    if filled is None or searched is None or len(sides) == 1:
        return None
    test, tuning, search = (iqm(filled[name]) if name in filled else None for name in ("test", "tuning", "search"))
    assert test is not None
    bounds = None
    if tuning is not None and min(len(filled["tuning"]), len(filled["test"])) > 1:
        seed = derive(int((specification.get("seeds") or {}).get("study", 0)), "bootstrap", "selection bias", arm)
        bounds = bootstrap_difference(filled["tuning"], filled["test"], seed=seed)
    own: Json = {
        "search": search,
        "tuning": tuning,
        "test": test,
        "tuning_minus_test": None if tuning is None else tuning - test,
        "interval": None if bounds is None else list(bounds),
        "search_minus_test": None if search is None else search - test,
        "search_seeds": len(searched.seeds),
        "tuning_seeds": 0 if finalist is None else len(finalist.seeds),
    }
    return {**own, "sentence": _sentence(arm_name(arm, method_name(specification)), own)}


def _at_the_end(trial: Trial) -> Trial:
    """Return the trial with the last evaluation of each training as its score, where evaluations are on record."""
    rows = [list(row) for row in trial.scores]
    for curve in trial.curves:
        told = curve.environment < len(rows) and curve.seed < len(rows[curve.environment])
        if told and curve.scores and rows[curve.environment][curve.seed] is not None:
            rows[curve.environment][curve.seed] = curve.scores[-1]
    return replace(trial, scores=tuple(map(tuple, rows)))


def _sentence(name: str, own: Json) -> str:
    scale = abs(own["test"])
    looked, differences = [], []
    if own["search"] is not None:
        looked.append(f"{number(own['search'])} on {plural(own['search_seeds'], 'search seed')}")
        differences.append(f"search minus test {_signed(own['search_minus_test'], scale)}")
    if own["tuning"] is not None:
        looked.append(f"{number(own['tuning'])} on {plural(own['tuning_seeds'], 'tuning seed')}")
        bounds = own["interval"]
        reach = "" if bounds is None else f", 95 % interval [{', '.join(number(b, scale) for b in bounds)}]"
        differences.insert(0, f"tuning minus test {_signed(own['tuning_minus_test'], scale)}{reach}")
    scores, gaps = " and ".join(looked), "; ".join(differences)
    return f"Selection bias of {name}: at the end of training its winner scored {scores}, {number(own['test'])} on test seeds ({gaps})."


def _signed(value: float, beside: float) -> str:
    text = number(value, beside)
    return f"+{text}" if value > 0 and text != "0" else text
