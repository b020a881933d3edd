from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from _landscape_files import EXCLUDED, load_landscape, load_landscapes
from synthetic_landscape import COLUMNS, CONFIGURATIONS, STEPS, landscape_rows, write_landscape

from autorl.errors import UsageError
from autorl.spaces import Bool, Categorical, Condition, Float


def test_reads_returns_space_and_steps(tmp_path: Path) -> None:
    rows = landscape_rows()
    landscape = load_landscape(write_landscape(tmp_path / "toy.csv.gz", rows[::-1]))  # in any order
    assert landscape.name == "toy"
    assert landscape.returns.shape == (CONFIGURATIONS, 10, 10)
    assert landscape.env_steps == 10 * STEPS
    assert landscape.returns[2, 7, 4] == next(r[3] for r in rows if r[:3] == [2, 7, 5 * STEPS])
    dimensions = landscape.space.dimensions
    assert dimensions["learning_rate"] == Float(1e-5, 1e-1, "log")
    assert dimensions["batch"] == Categorical((16, 32, 64))
    assert dimensions["replay"] == Bool()
    assert isinstance(dimensions["alpha"], Float)
    assert landscape.space.conditions == {"alpha": Condition("replay", (True,))}


def test_configurations_are_points_of_the_space(tmp_path: Path) -> None:
    landscape = load_landscape(write_landscape(tmp_path / "toy.csv.gz", landscape_rows()))
    assert "alpha" not in landscape.configurations[1]
    assert landscape.units.shape == (CONFIGURATIONS, 4)
    for candidate, unit in zip(landscape.configurations, landscape.units, strict=True):
        assert landscape.space.validate(candidate) == []
        np.testing.assert_array_equal(landscape.space.to_unit(candidate), unit)
    assert landscape.units[0, 0] == 1.0


def cell(rows: list[list[object]], row: int, column: str, value: object) -> list[list[object]]:
    rows[row][COLUMNS.index(column)] = value
    return rows


def test_a_failed_evaluation_gets_the_worst_return(tmp_path: Path) -> None:
    rows = cell(cell(landscape_rows(), 9, "mean_return", ""), 8, "mean_return", math.inf)
    landscape = load_landscape(write_landscape(tmp_path / "toy.csv.gz", rows))
    worst = min(float(str(r[3])) for i, r in enumerate(rows) if i not in (8, 9))
    assert landscape.returns[0, 0, 9] == landscape.returns[0, 0, 8] == landscape.returns.min() == worst


@pytest.mark.parametrize(
    ("task", "value", "expected"),
    [("brax_toy", -9e9, -2000.0), ("box2d_toy", -9e9, -200.0), ("cc_toy", -9e9, -9e9)],
)
def test_returns_of_simulators_that_blow_up_are_clipped(
    tmp_path: Path, task: str, value: float, expected: float
) -> None:
    rows = cell(landscape_rows(), 9, "mean_return", value)
    assert load_landscape(write_landscape(tmp_path / f"{task}.csv.gz", rows)).returns[0, 0, 9] == expected


@pytest.mark.parametrize("task", ["cc_pendulum_sac", "cc_continuous_mountain_car_sac"])
def test_a_failure_recorded_as_zero_is_no_perfect_score(tmp_path: Path, task: str) -> None:
    rows = landscape_rows()
    for row in rows:
        row[3] = float(str(row[3])) - 500
    landscape = load_landscape(write_landscape(tmp_path / f"{task}.csv.gz", cell(rows, 9, "mean_return", 2e-308)))
    assert landscape.returns[0, 0, 9] == landscape.returns.min() < -400


def test_flawed_tasks_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    for name in ("toy", *EXCLUDED):
        write_landscape(tmp_path / f"{name}.csv.gz", landscape_rows(3))
    assert [landscape.name for landscape in load_landscapes(tmp_path)] == ["toy"]
    assert [landscape.name for landscape in load_landscapes(tmp_path, EXCLUDED[:1])] == [EXCLUDED[0]]
    with pytest.raises(UsageError, match="--tasks nothing"):
        load_landscapes(tmp_path, ["nothing"])


def test_a_missing_or_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(UsageError, match="Remedy: give the folder that holds"):
            load_landscapes(folder)


BROKEN = {
    "no hyperparameters": (landscape_rows(3), COLUMNS[:4], "row 2: expected 4 cells|its columns"),
    "other columns": (landscape_rows(3), ("x", *COLUMNS[1:]), "its columns are x"),
    "no rows": ([], COLUMNS, "no rows"),
    "a cut row": ([*landscape_rows(3), [1, 2]], COLUMNS, "row 302: expected 8 cells, got 2"),
    "a missing row": (landscape_rows(3)[:-1], COLUMNS, "expected one row for each"),
    "a doubled row": ([*landscape_rows(3), landscape_rows(3)[0]], COLUMNS, "expected one row for each"),
    "no number": (cell(landscape_rows(3), 5, "mean_return", "good"), COLUMNS, "could not convert"),
    "no configuration": (cell(landscape_rows(3), 5, "configuration", ""), COLUMNS, "rows without configuration"),
    "one seed short": ([r for r in landscape_rows(3) if r[1] != 9], COLUMNS, "seeds 0 to 9"),
    "uneven checkpoints": ([r for r in landscape_rows(3) if r[2] != 200], COLUMNS, "equally spaced"),
    "unexplained gaps": (cell(landscape_rows(4), 0, "batch", ""), COLUMNS, "column batch: empty"),
    "a word": ([[*r[:5], "abc", *r[6:]] for r in landscape_rows(3)], COLUMNS, "could not convert"),
    "a constant": ([[*r[:5], 7, *r[6:]] for r in landscape_rows(3)], COLUMNS, "column batch: expected numbers"),
    "flat": ([[*r[:3], 1.0, *r[4:]] for r in landscape_rows(3)], COLUMNS, "nothing to search"),
    "all failed": ([[*r[:3], "", *r[4:]] for r in landscape_rows(3)], COLUMNS, "no evaluation succeeded"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, case: str) -> None:
    rows, columns, expected = BROKEN[case]
    path = write_landscape(tmp_path / "toy.csv.gz", rows, columns)
    with pytest.raises(UsageError, match=expected) as caught:
        load_landscapes(tmp_path)
    assert str(path) in str(caught.value)
    assert "Remedy" in str(caught.value)


def test_a_file_that_is_no_gzip_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "toy.csv.gz").write_text("configuration,seed")
    with pytest.raises(UsageError, match="Remedy"):
        load_landscapes(tmp_path)
    whole = write_landscape(tmp_path / "toy.csv.gz", landscape_rows(3)).read_bytes()
    (tmp_path / "toy.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="Remedy"):
        load_landscapes(tmp_path)
