from __future__ import annotations

import json
import sys
from pathlib import Path

import landscapes as command
import numpy as np
import pytest
from _landscape import TEST_SEEDS, Landscape, Work
from _landscape_files import load_landscape
from _landscape_search import search
from synthetic_landscape import CONFIGURATIONS, landscape_rows, write_landscape

from autorl.errors import AutoRLError, IncompatibleError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_landscape(tmp_path / "toy.csv.gz", landscape_rows())
    return tmp_path


@pytest.fixture
def toy(folder: Path) -> Landscape:
    return load_landscape(folder / "toy.csv.gz")


def test_scores_are_zero_on_average_and_one_at_best(toy: Landscape) -> None:
    final = toy.returns[:, :, -1]
    toy.returns[:, :, :] = final.mean(axis=1)[:, None, None]  # no noise: test seeds are like all
    scores = [toy.test_score(c) for c in range(CONFIGURATIONS)]
    assert np.mean(scores) == pytest.approx(0.0, abs=1e-9)
    assert max(scores) == pytest.approx(1.0)


def test_the_score_is_of_the_test_seeds(toy: Landscape) -> None:
    before = toy.test_score(5)
    toy.returns[5, list(TEST_SEEDS), -1] += 10
    toy.returns[5, :5, -1] -= 10  # the scale, over all seeds, stays
    assert toy.test_score(5) > before


def test_work_is_charged_by_its_share(toy: Landscape) -> None:
    work = Work(toy, 2)
    assert work.train(3, 0, 0.0, 0.3) == toy.returns[3, 0, 2]
    assert work.spent == 0.3
    assert work.train(3, 0, 0.3, 1.0) == toy.returns[3, 0, 9]
    assert work.train(3, 1, 0.0, 0.1) == toy.returns[3, 1, 0]
    assert work.spent == 1.1
    assert work.affords(0.9)
    assert not work.affords(1.0)
    np.testing.assert_array_equal(work.curve(3, 1), toy.returns[3, 1, :1])
    assert work.curve(4, 1).size == 0


def test_work_that_cannot_be_is_refused(toy: Landscape) -> None:
    work = Work(toy, 1)
    work.train(3, 0, 0.0, 0.5)
    for seed in TEST_SEEDS:
        with pytest.raises(ValueError, match="test seeds measure"):
            work.train(3, seed, 0.0, 0.1)
    for start, end, reason in (
        (0.0, 0.6, "has had 0.5"),
        (0.6, 0.7, "has had 0.5"),
        (0.5, 0.5, "has had 0.5"),
        (0.5, 0.55, "whole number of checkpoints"),
        (0.5, 1.1, "whole number of checkpoints"),
    ):
        with pytest.raises(ValueError, match=reason):
            work.train(3, 0, start, end)
    with pytest.raises(ValueError, match="no work left"):
        work.train(4, 0, 0.0, 0.6)
    assert work.spent == 0.5


def test_the_nearest_is_one_not_trained(toy: Landscape) -> None:
    work = Work(toy, 5)
    assert work.nearest(toy.units[7]) == 7
    work.train(7, 0, 0.0, 0.1)
    second = work.nearest(toy.units[7])
    assert second != 7
    assert work.nearest(toy.units[7], [second]) not in (7, second)
    with pytest.raises(ValueError, match="taken"):
        work.nearest(toy.units[7], range(CONFIGURATIONS))


@pytest.mark.parametrize("method", ["random", "sobol", "tpe", "evolution"])
def test_a_search_spends_its_trainings_and_finds_a_good_one(toy: Landscape, method: str) -> None:
    outcome = search(toy, method, 20, 1, 0)
    assert outcome.spent == 20
    assert outcome.score > 0.5
    assert outcome == search(toy, method, 20, 1, 0)


def test_the_winner_has_the_best_mean_of_its_tuning_seeds(toy: Landscape) -> None:
    outcome = search(toy, "random", CONFIGURATIONS * 5, 5, 1)
    assert outcome.configuration == toy.returns[:, :5, -1].mean(axis=1).argmax()
    assert outcome.spent == CONFIGURATIONS * 5


def test_the_test_seeds_change_no_choice(toy: Landscape) -> None:
    chosen = [search(toy, "tpe", 15, 1, seed).configuration for seed in range(3)]
    toy.returns[:, list(TEST_SEEDS)] = 0.0
    toy.returns[0, list(TEST_SEEDS)] = 1e6
    assert chosen == [search(toy, "tpe", 15, 1, seed).configuration for seed in range(3)]


def test_what_no_record_can_answer_is_refused(toy: Landscape) -> None:
    with pytest.raises(IncompatibleError, match="finished trainings"):
        search(toy, "pbt", 8, 1, 0)
    with pytest.raises(UsageError, match="24 are on"):
        search(toy, "random", CONFIGURATIONS + 1, 1, 0)
    with pytest.raises(AutoRLError, match="unknown search method"):
        search(toy, "guess", 8, 1, 0)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["landscapes.py", *arguments])
    command.main()


def test_the_command_prints_json(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(folder), "--method", "random", "--trainings", "9", "--repeats", "4", "--json"]
    call(monkeypatch, *arguments)
    found = json.loads(capsys.readouterr().out)
    assert found["low"] <= found["score"] <= found["high"]
    assert set(found["tasks"]) == {"toy"}
    assert found["tasks"]["toy"]["score"] == pytest.approx(found["score"])
    assert found["spent"] == 9
    assert found["score"] == pytest.approx(np.mean(found["repeats"]))
    assert found["baseline"]["seeds"] == 3
    call(monkeypatch, *arguments[:-1])
    assert "random, 3 seeds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (["--data", "absent"], "no such folder"),
        (["--trainings", "2"], "--trainings 2"),
        (["--repeats", "0"], "--repeats 0"),
        (["--seeds", "6"], "--seeds 6"),
        (["--trainings", "4", "--seeds", "5"], "fewer than"),
        (["--method", "guess"], "unknown search method"),
    ],
)
def test_the_command_says_what_is_wrong(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: list[str],
    expected: str,
) -> None:
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, "--data", str(folder), "--method", "random", *wrong)
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


def test_no_interval_without_repeats() -> None:
    assert command.interval([0.3]) == {"score": 0.3, "low": None, "high": None}
    known = command.interval([1.0, 2.0, 3.0])  # t(2) at 97.5 % is 4.3027
    assert known["low"] == pytest.approx(2 - 4.3027 / np.sqrt(3), abs=1e-4)
