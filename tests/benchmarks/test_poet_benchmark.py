"""The benchmark of POET, tiny: all arms at equal work, and judged on the whole grid."""

from __future__ import annotations

import json
from pathlib import Path

import poet
import pytest


@pytest.mark.slow
def test_all_arms_are_judged_at_equal_work_and_no_seed_runs_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    argv = ["poet.py", "--json", "--seeds", "1", "--rounds", "4", "--pairs", "2", "--steps", "2048"]
    monkeypatch.setattr("sys.argv", [*argv, "--record", str(tmp_path / "seeds.jsonl")])
    poet.main()
    told = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(poet, "one_seed", None)
    poet.main()
    assert json.loads(capsys.readouterr().out) == told
    assert set(told["summary"]) == {"poet", "fixed", "uniform"}
    for own in told["summary"].values():
        assert 0.0 < own["cvar"][0] <= own["mean"][0] <= 1.0
    (row,) = told["seeds"]
    assert row["env_steps"] > 4 * 2048
    for arm in ("fixed", "uniform"):  # whole rollouts of each agent, so a little less
        assert 0.8 * row["env_steps"] < row[arm]["env_steps"] <= row["env_steps"]
    assert 1 <= row["poet"]["pairs"] <= 2
