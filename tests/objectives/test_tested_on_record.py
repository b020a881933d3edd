"""Where the catalogue says that an objective was tested, the figures are those of the experiments' records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from autorl.objectives.loader import load_objective, names

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TESTED = [(name, row) for name in names() for row in load_objective(name).provenance.get("tested", ())]


FOUND = {"dqn_added_discount": "method"}  # by the search whose record it is in


def on_record(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return what the experiment's record says of an objective in an environment."""
    experiment = row["command"].split()[-1]
    record = json.loads((EXPERIMENTS / f"{experiment}.result.json").read_text())
    specification = yaml.safe_load((EXPERIMENTS / f"{experiment}.yaml").read_text())
    (own,) = [e for e in specification["environment"] if e["id"] == row["environment"]]
    steps = own.get("env_steps") or specification.get("env_steps") or specification["budget"]["env_steps"]
    record = record.get("result", record)
    if "panels" in record:
        panel = record["panels"]["given"]["objectives"]
        scores = {other: arm["environments"][row["environment"]]["iqm"] for other, arm in panel.items()}
        own_panel = panel[name]["environments"][row["environment"]]
        return {
            "score": scores,
            "seeds": len(own_panel["scores"]),
            "env_steps": steps,
            "interval": own_panel["interval"],
        }
    place = record["environments"].index(row["environment"])
    arms = {arm.removeprefix("objective:"): arm for arm in record["arms"] if arm.startswith("objective:")} | FOUND
    scores = {other: record["arms"][arm]["environment_scores"][place] for other, arm in arms.items()}
    return {
        "score": scores,
        "seeds": len(record["arms"][arms[name]]["seeds"]),
        "env_steps": steps,
        "score_range": own["score_range"],
    }


def test_what_was_compared_is_known_to_be() -> None:
    assert {"dqn", "double_dqn", "dqnreg_paper", "dqn_added_discount", "ppo_clip", "dpo"} <= {
        name for name, _ in TESTED
    }


@pytest.mark.parametrize(("name", "row"), TESTED, ids=[f"{name}-{row['environment']}" for name, row in TESTED])
def test_figures_are_those_of_the_record(name: str, row: dict[str, Any]) -> None:
    known, fields = on_record(name, row), ("seeds", "env_steps", "score_range")
    assert row["score"] == pytest.approx(known["score"][name], abs=1e-4)
    assert [row.get(field) for field in fields] == [known.get(field) for field in fields]
    assert ("interval" in row) == (known.get("interval") is not None)
    if "interval" in row:
        assert row["interval"] == pytest.approx(known["interval"], rel=1e-3, abs=1e-4)
    for text in row["against"].split(", "):
        other, score = text.split()
        assert float(score) == pytest.approx(known["score"][other], rel=6e-3, abs=1e-4)
