"""The benchmark of training tasks: its matrices, its oracle, its record; one published figure."""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import _mbtl_training
import mbtl
import numpy as np
import pytest


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbtl, "SIDE", 3)
    monkeypatch.setattr(mbtl, "POLICIES", 4)
    monkeypatch.setattr(mbtl, "TRIALS", 3)
    mbtl.made.cache_clear()


def options(**changes: Any) -> argparse.Namespace:
    given = {"only": ["mgp_mbtl"], "trials": 2, "first_trial": 0, "noise": 5, "record": None, "json": True}
    return argparse.Namespace(**{**given, **changes})


def score(setting: tuple[int, int, str], x: tuple[int, ...], y: tuple[int, ...]) -> float:
    """The published formula, one pair at a time."""
    f, g, kind = setting
    lower = (-3, -3, -3) if kind == "L1" else (1, 1, -3)
    distance = sum((3 if a > b else w) * (a - b) for a, b, w in zip(x, y, lower, strict=True))
    return 500 - distance + 4 * f * sum(x) + 3 * g * sum(y)


@pytest.mark.usefixtures("small")
def test_matrices_follow_the_published_formula() -> None:
    points = list(itertools.product(range(3), repeat=3))
    for setting in mbtl.SETTINGS:
        raw = np.array([[score(setting, x, y) for y in points] for x in points])
        scaled = (raw - raw.min()) / (raw.max() - raw.min())
        made = mbtl.matrices(setting, 0)
        assert made.shape == (3, 27, 27)
        assert made[1] == pytest.approx(scaled)


@pytest.mark.usefixtures("small")
def test_noise_is_the_legacy_stream_of_the_trial() -> None:
    quiet, loud = mbtl.matrices((0, 0, "L1"), 0), mbtl.matrices((0, 0, "L1"), 5)
    drawn = np.random.RandomState(2).normal(0, 1, (27, 27))
    residual = loud[2] - np.polyval(np.polyfit(quiet[2].ravel(), loud[2].ravel(), 1), quiet[2])
    assert np.corrcoef(residual.ravel(), drawn.ravel())[0, 1] > 0.99


@pytest.mark.usefixtures("small")
def test_nobody_beats_the_oracle_and_the_record_is_read_instead_of_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "scores.jsonl"
    lines = mbtl.measured(options(record=file))
    assert len(lines) == 8 * 3
    found = mbtl.summary(lines)
    assert found["random"]["aggregate"] == 0
    assert found["oracle"]["aggregate"] == 1
    assert found["mgp_mbtl"]["aggregate"] < 1.2, "noise aside; it does not know the rows before it trains"
    assert len(found["mgp_mbtl"]["means"]) == 8
    monkeypatch.setattr(mbtl, "play", lambda *_: pytest.fail("recorded already"))
    again = mbtl.measured(options(record=file))
    assert [line["scores"] for line in again] == [line["scores"] for line in lines]
    fewer = mbtl.measured(options(record=file, trials=1))
    assert [line["scores"] for line in fewer] == [line["scores"][:1] for line in lines]
    assert len(file.read_text().splitlines()) == len(lines)
    assert all(json.loads(line)["policies"] == 4 for line in file.read_text().splitlines())


@pytest.mark.slow
def test_the_oracle_of_one_setting_is_the_published_one() -> None:
    mbtl.check()


def test_methods_are_compared_on_trained_policies_at_equal_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[Any] = []

    class Fake:
        def __init__(self, transfer: Any, devices: Any) -> None:
            self.transfer = transfer

        def __call__(self, sources: Any, done: Any) -> None:
            for index, source in enumerate(sources):
                trained.append(source)
                row = 1 - np.abs(self.transfer.cells - self.transfer.cells[source.tasks[-1]]).sum(axis=1) / 10
                steps = {"train_env_steps": self.transfer.env_steps, "evaluation_env_steps": 9}
                done(index, {"status": "completed", "shown": row.tolist(), "judged": row.tolist(), **steps})

    monkeypatch.setattr(_mbtl_training, "Training", Fake)
    file = tmp_path / "policies.jsonl"
    given = options(train="contextual:CartPole-v1", vary=["length", "masspole"], scales=[0.2, 2.0], side=3, only=None)
    given = argparse.Namespace(**{**vars(given), "budget": 64, "policies": 6, "scores": [0.0, 500.0], "record": file})
    rows = _mbtl_training.run(given)
    assert list(rows) == list(mbtl.ALL)
    assert all(rows[name]["trainings"] == [6, 6] for name in rows if name != "rolling_horizon")
    assert all(row["env_steps"]["train"] == [64 * count for count in row["trainings"]] for row in rows.values())
    assert all(1 < count <= 6 for count in rows["rolling_horizon"]["trainings"]), "shared lessons are trained once"
    assert max(len(tasks) for tasks in rows["rolling_horizon"]["tasks"][0]) == 2, "policies go on"
    assert len(file.read_text().splitlines()) == len(trained) == len(set(trained)) < 2 * 5 * 6
    assert _mbtl_training.run(given) == rows
    assert len(file.read_text().splitlines()) == len(trained), "recorded already"
    _mbtl_training.show(rows, given)
    out = capsys.readouterr().out
    assert "0.000 ± 0.000" in out.splitlines()[1], "random is what the others are compared with"
    assert "9 tasks; 2 seeds" in out
