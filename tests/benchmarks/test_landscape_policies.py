from __future__ import annotations

import json
import sys
from pathlib import Path

import landscapes as command
import pytest
from _landscape import TEST_SEEDS, Landscape, judged_by_tuning
from _landscape_files import load_landscape
from _landscape_policies import search_under
from synthetic_landscape import landscape_rows, write_landscape

from autorl.errors import UsageError
from autorl.outer.budget.policies import POLICIES


@pytest.fixture
def toy(tmp_path: Path) -> Landscape:
    return load_landscape(write_landscape(tmp_path / "toy.csv.gz", landscape_rows(120)))


@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize("method", ["random", "tpe"])
def test_any_method_under_any_policy_spends_its_budget(toy: Landscape, method: str, policy: str) -> None:
    outcome = search_under(toy, method, policy, 16, 0).outcome
    assert 14.5 < outcome.spent <= 16
    assert outcome.score > 0.5
    assert outcome == search_under(toy, method, policy, 16, 0).outcome


@pytest.mark.parametrize("policy", list(POLICIES))
def test_the_test_seeds_change_no_choice(toy: Landscape, policy: str) -> None:
    chosen = search_under(toy, "random", policy, 12, 0).outcome
    toy.returns[:, list(TEST_SEEDS)] *= -1
    after = search_under(toy, "random", policy, 12, 0).outcome
    assert (after.configuration, after.spent) == (chosen.configuration, chosen.spent)
    assert after.score != chosen.score


@pytest.mark.parametrize("policy", ["race", "wilcoxon"])
def test_a_policy_gets_by_with_one_seed_fewer_where_tuning_seeds_judge(toy: Landscape, policy: str) -> None:
    assert search_under(judged_by_tuning(toy, 0), "random", policy, 40, 0).outcome.spent <= 40


def test_more_starts_than_configurations_are_refused(toy: Landscape) -> None:
    with pytest.raises(UsageError, match="more than the 120 configurations"):
        search_under(toy, "random", "halving", 60, 0)


def test_the_command_takes_a_policy(
    toy: Landscape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["landscapes.py", "--data", str(tmp_path), "--method", "random", "--policy", "race"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--trainings", "16", "--repeats", "2", "--json"])
    command.main()
    found = json.loads(capsys.readouterr().out)
    assert found["policy"] == "race"
    assert 14.5 < found["spent"] <= 16
    for more, expected in ((["--seeds", "2"], "a policy decides"), (["--policy", "guess"], "unknown budget policy")):
        monkeypatch.setattr(sys, "argv", [*arguments, *more])
        with pytest.raises(SystemExit):
            command.main()
        assert expected in capsys.readouterr().err
