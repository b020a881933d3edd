"""The benchmark of training tasks: its matrices, its oracle, its record; one published figure."""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

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
