"""The result in plain words: one sentence with the numbers, and what may and may not be concluded from them."""

from __future__ import annotations

from autorl.analysis.scores import OVER_TASKS, arm_name, interval, number, plural
from autorl.studies.trial import Json

_OPPONENTS = {"random": "random search", "default": "the default configuration"}
_FEW_SEEDS = 10


def headline(result: Json) -> str:
    """Return one sentence: the test score with its interval, beside the baselines; or why there is none yet."""
    arms = result["arms"]
    if result["own_objective"] is not None:
        return _own_objective(result["own_objective"])
    if not arms:
        return _unfinished(result)
    ours = arms.get("method")
    if ours is None or ours["score"] is None:
        reason = "it has not been tested yet" if ours is None else "every test training failed"
        reason = "no trial of its search completed" if "method" in result["barren"] else reason
        return f"No test score for {result['method']}: {reason}."
    parts = [f"{_subject(result)} scores {_scored(ours)} on {plural(len(ours['seeds']), 'test seed')}"]
    parts += [f"{_name(arm, result)} {_scored(found)}" for arm, found in arms.items() if arm != "method"]
    return "; ".join(parts) + "."


def verdict(result: Json) -> str:
    """Return the conclusion in plain words, with every reservation that the numbers call for."""
    if result["own_objective"] is not None:
        return "No test seeds: a score that was searched for is optimistic, so measure the best candidate afresh."
    if not result["arms"]:
        return "No conclusion yet."
    sentences = [_compared(_name(arm, result), found) for arm, found in result["differences"].items()]
    if not result["differences"]:
        sentences.append("There is no baseline to compare with.")
    sentences += _reservations(result)
    return " ".join(sentences)


def _subject(result: Json) -> str:
    learner, method = (result["learner"] or "The agent").upper(), result["method"]
    where = " and ".join(str(name).rpartition(":")[2] for name in result["environments"])
    how = f" tuned by {arm_name('method', method)}" if not method.startswith("the ") else f", {method} as given,"
    return f"{learner}{how} on {where}{_scale(result['protocol'])}"


def _scale(protocol: Json) -> str:
    """Return what a score is, where it is not the mean return."""
    over, measure = protocol.get("task_statistic", "mean"), protocol.get("task_measure", "return")
    if (over, measure) == ("mean", "return"):
        return ""
    return f" (mean {'success' if measure == 'success' else 'score'} over {OVER_TASKS[over]})"


def _name(arm: str, result: Json) -> str:
    return _OPPONENTS.get(arm) or arm_name(arm, str(result["method"]))


def _scored(arm: Json) -> str:
    if arm["score"] is None:
        return "failed in every training"
    failed = f" ({arm['failed']} of {arm['trainings']} trainings failed)" if arm["failed"] else ""
    return f"{number(arm['score'])} {interval(arm['interval'])}".removesuffix(" -") + failed


def _compared(name: str, difference: Json) -> str:
    amount = f"difference {number(difference['difference'])}, 95 % interval {interval(difference['interval'])}"
    chance = f"probability of improvement {difference['probability_of_improvement']:.2f}"
    if difference["distinguishable"] is None:
        return f"One test seed cannot tell it from {name}."
    if not difference["distinguishable"]:
        return f"Not distinguishable from {name} ({amount}; {chance})."
    word = "Better" if difference["difference"] > 0 else "Worse"
    return f"{word} than {name} ({amount}; {chance})."


def _reservations(result: Json) -> list[str]:
    arms, found = result["arms"], []
    if any(arm["failed"] for arm in arms.values()):
        failed = ", ".join(
            f"{arm['failed']} of {arm['trainings']} ({_name(name, result)})"
            for name, arm in arms.items()
            if arm["failed"]
        )
        found.append(f"Failed test trainings: {failed}; each counts as the worst score of all arms.")
    fewest = min(len(arm["seeds"]) for arm in arms.values())
    if 1 < fewest < _FEW_SEEDS:
        found.append(f"Only {plural(fewest, 'test seed')}: the intervals are rough.")
    if result["missing"]:
        missing = " and ".join(_name(arm, result) for arm in result["missing"])
        found.append(f"Not tested yet: {missing}.")
    if result["barren"]:
        barren = " and ".join(_name(arm, result) for arm in result["barren"])
        found.append(f"Nothing to test: no search trial of {barren} completed.")
    if result["work"]["equal"] is False:
        found.append(result["work"]["sentence"])
    expected = result["expected"]
    if expected and expected["inside"] is False:
        found.append(f"Outside the expected band of {number(expected['low'])} to {number(expected['high'])}.")
    return found


def _unfinished(result: Json) -> str:
    searched = [row for row in result["ledger"] if row["phase"] == "search"]
    told = sum(row["trials"] - row["running"] for row in searched)
    if result["state"] == "empty":
        return "No result yet: no trial has run."
    if result["state"] == "search" and told and told == sum(sum(row["failures"].values()) for row in searched):
        return (
            f"No result yet: of {plural(told, 'trial')} that ended none completed; results come from test seeds only."
        )
    where = {
        "search": f"the search is under way ({plural(told, 'trial')} finished)",
        "finalists": "the finalists are being re-run on fresh tuning seeds",
        "test": "the test trainings are under way",
    }[result["state"]]
    return f"No result yet: {where}; results come from test seeds only."


def _own_objective(own: Json) -> str:
    if own["best_score"] is None:
        return f"No score yet: {plural(own['told'], 'trial')} told, none of them completed."
    return (
        f"Best score told: {number(own['best_score'])} (trial {own['best_trial']}, the best of "
        f"{plural(own['told'] - own['failed'], 'completed trial')}; {own['failed']} failed)."
    )
