"""The result of a comparison: both panels, what the tuning chose, the work; as data, as text and as figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autorl.analysis.comparison import choice_tables, render, summarise, work_table, write_figures
from autorl.errors import StudyError
from autorl.studies.comparison import Comparison, from_mapping
from autorl.studies.objective_lines import FOLDER

SPACE = {"dimensions": {"gamma": {"type": "float", "low": 0.1, "high": 0.9}}}
WHERE = {"gymnax:CartPole-v1": 100, "gymnax:CartPole-v1 (length=1.0)": 50}


class Found:
    """What the engine would return (`autorl.engine.comparison.Compared`), without training."""

    def __init__(self, tuned: bool = True) -> None:
        self.given = lines({"dqn": 100.0, "dqn_clipped": None}, 4)
        self.tuning = lines({"dqn": 200.0, "dqn_clipped": 50.0}, 4) if tuned else []
        self.tuned = lines({"dqn": 300.0, "dqn_clipped": 250.0}, 4) if tuned else []
        self.configurations = [{}, {"gamma": 0.25}] if tuned else []
        self.choices = [Chosen(name, where) for where in WHERE for name in ("dqn", "dqn_clipped")] if tuned else []


class Chosen:
    """As `autorl.engine.comparison.Choice`: dqn keeps the given configuration."""

    def __init__(self, objective: str, environment: str) -> None:
        self.objective, self.environment = objective, environment
        self.configuration = int(objective == "dqn_clipped")
        self.scores = ((1.0, None), (2.0, 3.0))


def lines(scores: dict[str, float | None], seeds: int) -> list[dict[str, Any]]:
    return [
        {
            "objective": name,
            "environment": where,
            "seed": seed,
            "steps": steps,
            "status": "completed" if score is not None else "diverged",
            "score": None if score is None else score + seed,
            "train_env_steps": steps if score is not None else steps // 2,
            "evaluation_env_steps": 7,
            "updates": 3,
            "wall_seconds": 0.5,
        }
        for where, steps in WHERE.items()
        for name, score in scores.items()
        for seed in range(seeds)
    ]


def asked(**changes: Any) -> Comparison:
    fields = {
        "name": "mine",
        "objectives": ["dqn", "dqn_clipped"],
        "learner": "dqn",
        "environment": [
            {"id": "gymnax:CartPole-v1", "score_range": [0, 500]},
            {"id": "gymnax:CartPole-v1", "task": {"length": 1.0}, "env_steps": 50, "score_range": [0, 500]},
        ],
        "env_steps": 100,
        "seeds": {"test": 4, "tuning": 2},
        "tuning": {"space": SPACE, "configurations": 2},
    }
    return from_mapping({**fields, **changes}, references=False)


def test_everything_is_there_as_plain_data() -> None:
    result = summarise(asked(), Found())
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    given, tuned = result["panels"]["given"], result["panels"]["tuned"]
    own = given["objectives"]["dqn"]["environments"]["gymnax:CartPole-v1 (length=1.0)"]
    assert own["scores"] == [100.0, 101.0, 102.0, 103.0]
    assert own["interval"][0] <= own["iqm"] <= own["interval"][1]
    assert given["objectives"]["dqn"]["iqm"] == pytest.approx(101.5 / 500)
    assert given["objectives"]["dqn_clipped"]["iqm"] == 0.0, "a failure counts as 0 of its range"
    assert tuned["ranges"] == {where: [0.0, 500.0] for where in WHERE}
    assert [(p["objective"], p["against"]) for p in tuned["pairs"]] == [("dqn_clipped", "dqn")]
    assert result["tuning"]["choices"][1] == {
        "objective": "dqn_clipped",
        "environment": "gymnax:CartPole-v1",
        "configuration": 1,
        "hyperparameters": {"gamma": 0.25},
        "scores": [[1.0, None], [2.0, 3.0]],
    }
    assert result["work"]["given"]["dqn_clipped"] == {
        "trainings": 8, "granted_env_steps": 600, "failed": 8,
        "train_env_steps": 300, "evaluation_env_steps": 56, "updates": 24, "wall_seconds": 4.0,
    }  # fmt: skip
    assert result["specification"]["environment"][1]["env_steps"] == 50


def test_the_text_says_it_all_in_eighty_columns_but_for_sentences() -> None:
    text = render(summarise(asked(), Found()))
    for words in (
        "mine: 2 objectives of dqn in 2 environments, 4 test seeds.",
        "The score of a training is the mean of the last 3 of 5 evaluations of 64 episodes.",
        "As given on 2 environments",
        "Tuned on 2 environments",
        "dqn_clipped: 8 of 8 trainings failed",
        "0  as given",
        "1  gamma=0.25",
        "gymnax:CartPole-v1 (length=1.0)    0            1",
        "Equal work: each objective got as given 8 trainings (600 env steps), tuned 16 trainings (1,200 env steps).",
        "2 of 4 tunings chose the given configuration: its test trainings stand in both panels.",
    ):
        assert words in text
    rows = [line for line in text.splitlines() if not line.endswith((".", "better", "distinguishable"))]
    assert max(map(len, rows)) <= 80
    assert "\n\n\n" not in text


def test_without_a_tuning_there_is_one_panel() -> None:
    result = summarise(asked(tuning=None), Found(tuned=False))
    assert list(result["panels"]) == list(result["work"]) == ["given"]
    assert result["tuning"] is None
    text = render(result)
    assert "Tuned" not in text
    assert "Configurations" not in text
    assert "Equal work: each objective got as given 8 trainings (600 env steps)." in text


def test_unequal_work_would_not_be_printed() -> None:
    found = Found()
    found.given = found.given[:-1]
    with pytest.raises(AssertionError, match="unequal work"):
        summarise(asked(), found)


def test_many_objectives_and_environments_stay_narrow() -> None:
    result = summarise(asked(), Found())
    names = [f"objective_number_{i}" for i in range(8)]
    result["objectives"] = names
    result["tuning"]["choices"] = [
        {"objective": name, "environment": where, "configuration": 0} for where in WHERE for name in names
    ]
    assert len(choice_tables(result)) > 2
    assert len(work_table(result).rows) == 4


def test_a_figure_for_each_panel(tmp_path: Path) -> None:
    result = summarise(asked(), Found())
    paths = write_figures(result, tmp_path)
    assert paths == {panel: str(tmp_path / FOLDER / f"mine-{panel}.png") for panel in ("given", "tuned")}
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in paths.values())
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot write"):
        write_figures(result, tmp_path / "file")


def test_nothing_finite_and_no_range_is_said_rather_than_drawn(tmp_path: Path) -> None:
    found = Found(tuned=False)
    found.given = [{**line, "score": None} for line in found.given if line["environment"] == "gymnax:CartPole-v1"]
    result = summarise(asked(environment="gymnax:CartPole-v1", tuning=None), found)
    assert "nothing can be compared" in render(result)
    assert write_figures(result, tmp_path) == {}
