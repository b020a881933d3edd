"""Objectives side by side: on known scores the table, the pairs and the profile say what is true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autorl.analysis.objectives import evaluated, objectives_figure, render, summarise_scores
from autorl.analysis.style import to_svg
from autorl.keys import training_seeds


def lines(**scores: dict[str, list[float | None]]) -> list[dict[str, Any]]:
    return [
        {
            "objective": name,
            "environment": environment,
            "seed": seed,
            "score": score,
            "status": "completed" if score is not None else "diverged",
            "train_env_steps": 1000,
        }
        for name, tables in scores.items()
        for environment, own in tables.items()
        for seed, score in enumerate(own)
    ]


BETTER = lines(
    good={"gymnax:A": [8.0, 9.0, 10.0, 9.0], "gymnax:B": [-10.0, -20.0, -15.0, -10.0]},
    bad={"gymnax:A": [0.0, 1.0, 2.0, 1.0], "gymnax:B": [-100.0, -90.0, -110.0, None]},
)


def test_the_better_objective_is_better_in_every_figure() -> None:
    found = summarise_scores(BETTER)
    good, bad = found["objectives"]["good"], found["objectives"]["bad"]
    assert good["iqm"] > 0.8 > 0.2 > bad["iqm"]
    assert good["interval"][0] > bad["interval"][1]
    (pair,) = found["pairs"]
    assert (pair["probability"], pair["verdict"]) == (1.0, "good is better")
    assert (good["profile"][25], bad["profile"][25]) == (1.0, 0.0)
    assert all(np.diff(good["profile"]) <= 0)
    assert found["ranges"] == {"gymnax:A": [0.0, 10.0], "gymnax:B": [-110.0, -10.0]}


def test_a_failure_counts_as_the_worst_and_is_said() -> None:
    found = summarise_scores(BETTER)
    assert found["objectives"]["bad"]["failed"] == 1
    assert found["objectives"]["bad"]["environments"]["gymnax:B"]["scores"] == [-100.0, -90.0, -110.0, None]
    assert found["objectives"]["bad"]["environments"]["gymnax:B"]["iqm"] == pytest.approx(-105.0)
    text = render(found)
    assert "1 of 8 trainings failed" in text
    assert max(map(len, text.splitlines())) <= 110


def test_where_a_range_is_given_a_failure_counts_as_no_more_than_its_low_end() -> None:
    scores = {"fine": {"A": [1.0, 1.0], "B": [5.0, 5.0]}, "broken": {"A": [None, None], "B": [None, 7.0]}}
    found = summarise_scores(lines(**scores), {"A": (0.0, 1.0), "B": (6.0, 8.0)})
    assert found["objectives"]["broken"]["environments"]["A"]["iqm"] == 0.0
    assert found["objectives"]["broken"]["environments"]["B"]["iqm"] == 6.0, "5 and 7: below the range already"
    (pair,) = found["pairs"]
    assert pair["probability"] == pytest.approx((1.0 + 0.25) / 2)
    alone = summarise_scores(lines(broken={"A": [None, None]}), {"A": (0.0, 1.0)})
    assert alone["objectives"]["broken"]["iqm"] == 0.0, "nothing finite, but the range says what it is worth"


def test_all_are_paired_with_the_reference_where_there_is_one() -> None:
    own = {name: {"A": [1.0, 2.0]} for name in "abc"}
    found = summarise_scores(lines(**own), reference="b")
    assert [(p["objective"], p["against"]) for p in found["pairs"]] == [("a", "b"), ("c", "b")]


def test_crashes_are_said_for_they_are_tried_again() -> None:
    crashed = [{**line, "status": "crashed", "message": "a disk was full"} for line in lines(a={"A": [None]})]
    found = summarise_scores([*crashed, *lines(b={"A": [1.0]})])
    said = "1 training ended as crashed, such as a in A: a disk was full. The same command tries them again."
    assert said in found["warnings"]


def test_an_environment_where_all_failed_is_named_and_the_others_are_compared() -> None:
    everywhere = lines(a={"A": [1.0, 2.0], "B": [None, None]}, b={"A": [3.0, 4.0], "B": [None, None]})
    lost = [
        line | ({"status": "diverged", "message": "loss became nan"} if line["environment"] == "B" else {})
        for line in everywhere
    ]
    found = summarise_scores(lost)
    assert (found["environments"], list(found["objectives"])) == (["A"], ["a", "b"])
    assert found["objectives"]["b"]["environments"]["A"]["scores"] == [3.0, 4.0]
    text = render(found)
    assert "In B every training failed: it is left out of everything here." in text
    assert "4 trainings ended as diverged, such as a in B: loss became nan." in text
    nothing = summarise_scores([line for line in lost if line["environment"] == "B"])
    assert nothing["objectives"] == {}
    assert nothing["warnings"][0] == "In B every training failed: nothing can be compared."
    assert "loss became nan" in nothing["warnings"][1]


def test_given_ranges_decide_the_scale() -> None:
    found = summarise_scores(BETTER, {"gymnax:A": (0.0, 100.0), "gymnax:B": (-100.0, 0.0)})
    assert found["objectives"]["good"]["iqm"] == pytest.approx(np.mean([0.09, 0.1, 0.8, 0.85]), abs=1e-9)
    assert not any("Normalised" in text for text in found["warnings"])


def test_one_environment_shows_its_own_scores() -> None:
    text = render(summarise_scores(lines(a={"gymnax:A": [1.0, 2.0, 3.0, 4.0]}, b={"gymnax:A": [1.0, 2.0, 3.0, 4.0]})))
    assert "Objectives on gymnax:A" in text
    assert "2.50" in text
    assert "not distinguishable" in text
    assert "Scores (IQM" not in text


def test_one_seed_and_equal_scores_and_nothing_finite() -> None:
    found = summarise_scores(lines(a={"A": [1.0]}, b={"A": [1.0]}))
    assert found["objectives"]["a"] | {"profile": 0, "environments": 0} == {
        "iqm": 0.5, "interval": None, "failed": 0, "trainings": 1, "train_env_steps": 1000, "profile": 0, "environments": 0,
    }  # fmt: skip
    assert found["pairs"][0]["verdict"] == "one seed cannot tell"
    nothing = summarise_scores(lines(a={"A": [None]}, b={"A": [None]}))
    assert nothing["objectives"] == {}
    assert "nothing can be compared" in render(nothing)


def test_the_same_scores_give_the_same_numbers_and_figure() -> None:
    one, other = summarise_scores(BETTER), summarise_scores(BETTER)
    assert one == other
    assert to_svg(objectives_figure(one), "x") == to_svg(objectives_figure(other), "x")


def test_kept_scores_of_a_graph_by_environment_and_settings() -> None:
    test = training_seeds(0, "test", 4)
    kept = {
        str(i): {
            **line,
            "graph": "g" if line["objective"] == "good" else "h",
            "seed": test[line["seed"]],
            "task": {},
            "learner": "dqn",
            "steps": 50,
            "hyperparameters": {},
            "evaluation": {"episodes": 2},
        }
        for i, line in enumerate(BETTER)
    }
    kept["tuning"] = {**kept["0"], "seed": training_seeds(0, "tuning", 1)[0], "score": 99.0}
    kept["other"] = {**kept["0"], "hyperparameters": {"gamma": 0.9}}
    rows = evaluated(kept, "g")
    assert [(r["environment"], r["learner"], r["seeds"], r["env_steps"]) for r in rows] == [
        ("gymnax:A", "dqn", 4, 50),
        ("gymnax:B", "dqn", 4, 50),
        ("gymnax:A", "dqn gamma=0.9", 1, 50),
    ]
    assert rows[0]["score"] == pytest.approx(9.0)
    assert evaluated(kept, "nothing") == []


def test_kept_scores_of_different_versions_are_different_rows() -> None:
    seeds = training_seeds(0, "test", 2)
    line = {
        **BETTER[0], "graph": "g", "task": {}, "learner": "dqn", "steps": 50, "hyperparameters": {},
        "evaluation": {"episodes": 2},
    }  # fmt: skip
    versions = None, {"jax": "1"}, {"jax": "2"}
    kept = {
        f"{seed} {made}": {**line, "seed": seed, **({} if made is None else {"versions": made})}
        for seed in seeds
        for made in versions
    }
    assert [(row["seeds"], row.get("versions")) for row in evaluated(kept, "g")] == [(2, made) for made in versions]
