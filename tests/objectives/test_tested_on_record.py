"""Where the catalogue says that an objective was tested, the figures are those of the experiments' records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autorl.objectives.loader import load_objective, names

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TESTED = [(name, row) for name in names() for row in load_objective(name).provenance.get("tested", ())]


def on_record(name: str, row: dict[str, Any]) -> tuple[float, int]:
    """Return score and seeds of an objective in an environment, as the experiment's record has them."""
    record = json.loads((EXPERIMENTS / f"{row['command'].split()[-1]}.result.json").read_text())
    record = record.get("result", record)
    if "panels" in record:
        own = record["panels"]["given"]["objectives"][name]["environments"][row["environment"]]
        return own["iqm"], len(own["scores"])
    arm = record["arms"].get(f"objective:{name}") or record["arms"]["method"]
    return arm["environment_scores"][record["environments"].index(row["environment"])], len(arm["seeds"])


def test_what_was_compared_is_known_to_be() -> None:
    assert {"dqn", "double_dqn", "dqnreg_paper", "dqn_added_discount", "ppo_clip", "dpo"} <= {
        name for name, _ in TESTED
    }


@pytest.mark.parametrize(("name", "row"), TESTED, ids=[f"{name}-{row['environment']}" for name, row in TESTED])
def test_figures_are_those_of_the_record(name: str, row: dict[str, Any]) -> None:
    score, seeds = on_record(name, row)
    assert (row["score"], row["seeds"]) == (pytest.approx(score, abs=1e-4), seeds)
