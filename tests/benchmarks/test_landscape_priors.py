from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import landscapes as command
import numpy as np
import pytest
from _landscape import TEST_SEEDS, Landscape, judged_by_tuning
from _landscape_files import load_landscape, load_landscapes
from _landscape_nevergrad import search_ngopt
from _landscape_priors import learned_elsewhere, tried, write_priors
from _landscape_rows import Rows
from synthetic_landscape import landscape_rows, write_landscape

from autorl.errors import MissingDependencyError, UsageError
from autorl.outer.prior_files import load_prior


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tasks of dqn that are alike, and one of ppo."""
    for name in ("a_dqn", "b_dqn", "c_ppo"):
        write_landscape(tmp_path / f"{name}.csv.gz", landscape_rows(80))
    return tmp_path


@pytest.fixture
def tasks(folder: Path) -> list[Landscape]:
    return load_landscapes(folder)


def test_a_prior_for_a_task_never_saw_it(tasks: list[Landscape]) -> None:
    prior = learned_elsewhere(tasks, "a_dqn")
    assert [task.name for task in prior.tasks] == ["b_dqn"]
    shuffled = replace(tasks[0], returns=tasks[0].returns[::-1])
    assert learned_elsewhere([shuffled, *tasks[1:]], "a_dqn") == prior
    with pytest.raises(UsageError, match="no other task of ppo than c_ppo"):
        learned_elsewhere(tasks, "c_ppo")


def test_a_prior_never_saw_the_test_seeds(tasks: list[Landscape]) -> None:
    prior = learned_elsewhere(tasks, "a_dqn")
    for landscape in tasks:
        landscape.returns[:, list(TEST_SEEDS)] *= -1
    assert learned_elsewhere(tasks, "a_dqn") == prior


def test_an_unseen_configuration_is_judged_by_a_prior_that_did_not_see_it(tasks: list[Landscape]) -> None:
    own, other = tasks[:2]
    prior = learned_elsewhere(tasks, "a_dqn", unseen=True)
    before = [prior.utility(own.space, c) for c in own.configurations]
    other.returns[7] += 1e6  # it becomes the best of all: judged by others it is what it was
    after_prior = learned_elsewhere(tasks, "a_dqn", unseen=True)
    after = [after_prior.utility(own.space, c) for c in own.configurations]
    assert after[7] == before[7]
    assert sum(a != b for a, b in zip(after, before, strict=True)) > 40
    assert np.corrcoef(before, tried(own).merits)[0, 1] > 0.7


def test_the_shipped_files_are_what_all_tasks_teach(tasks: list[Landscape], tmp_path: Path) -> None:
    paths = write_priors(tasks, tmp_path / "out")
    assert [path.name for path in paths] == ["dqn.yaml", "ppo.yaml"]
    assert [task.name for task in load_prior(str(paths[0])).tasks] == ["a_dqn", "b_dqn"]


def test_tuning_seeds_can_judge(tasks: list[Landscape]) -> None:
    own = tasks[0]
    judged = judged_by_tuning(own, 2)
    assert (judged.tuning, judged.test, judged.returns.shape[1]) == ((0, 1, 2, 3), (4,), 5)
    np.testing.assert_array_equal(judged.returns[:, 4], own.returns[:, 2])
    outcome = command.searched_by_auto(judged, 0, 16, None, None)
    own.returns[:, list(TEST_SEEDS)] = 0.0
    assert command.searched_by_auto(judged_by_tuning(own, 2), 0, 16, None, None) == outcome
    assert 14.5 < outcome.spent <= 16


def test_what_is_drawn_is_on_record(folder: Path) -> None:
    landscape = load_landscape(folder / "a_dqn.csv.gz")
    drawn = [landscape.space.sample(key) for key in range(300)]
    assert {landscape.space.fingerprint(c) for c in drawn} <= {
        landscape.space.fingerprint(dict(c)) for c in landscape.configurations
    }
    assert len({landscape.space.fingerprint(c) for c in drawn}) > 60


def test_kept_repeats_are_not_searched_again(tmp_path: Path) -> None:
    path, what = tmp_path / "rows.jsonl", {"method": "auto", "trainings": 8}
    rows = Rows.of(path, what)
    rows.keep(0, {"a": (0.5, 8.0)})
    Rows.of(path, {**what, "trainings": 9}).keep(1, {"a": (0.7, 9.0)})
    with path.open("a") as file:
        file.write('{"method": "auto", "trai')  # a kill
    kept = Rows.of(path, what)
    assert kept.found == {0: {"a": (0.5, 8.0)}}
    assert kept.has(0, ["a"])
    assert not kept.has(0, ["a", "b"])
    assert not kept.has(1, ["a"])
    path.write_text('{"repeat": {}}\n')
    with pytest.raises(UsageError, match="line 1 is no row"):
        Rows.of(path, what)


def test_the_command_measures_auto_and_records_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "rows.jsonl"
    arguments = ["landscapes.py", "--data", str(folder), "--method", "auto", "--trainings", "12", "--repeats", "2"]
    arguments += ["--tasks", "a_dqn", "--json", "--record", str(record)]
    found = {}
    for more in ((), ("--no-prior",), ("--unseen",), ()):
        monkeypatch.setattr(sys, "argv", [*arguments, *more])
        command.main()
        printed = json.loads(capsys.readouterr().out)
        if printed["prior"] in found:
            assert printed == found[printed["prior"]], "read from the record"
        found[printed["prior"]] = printed
    assert set(found) == {"tasks", "none", "unseen"}
    assert len(record.read_text().splitlines()) == 2 * 3 + 2  # and the baseline once


def test_autos_settings_are_measured_apart(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "rows.jsonl"
    arguments = ["landscapes.py", "--data", str(folder), "--method", "auto", "--trainings", "12", "--repeats", "2"]
    arguments += ["--tasks", "a_dqn", "--json", "--record", str(record)]
    for given in ("{}", '{"prior_fraction": 0}', '{"n_startup_trials": 5, "drawn_fraction": 0.5}'):
        monkeypatch.setattr(sys, "argv", [*arguments, "--settings", given])
        command.main()
        printed = json.loads(capsys.readouterr().out)
        assert printed["method"] == (
            "auto" if given == "{}" else f"auto {json.dumps(json.loads(given), sort_keys=True)}"
        )
    assert len(record.read_text().splitlines()) == 2 * 3 + 2
    monkeypatch.setattr(sys, "argv", [*arguments[:4], "tpe", "--settings", given])
    with pytest.raises(SystemExit):
        command.main()
    assert "beside --method auto" in capsys.readouterr().err


def test_no_share_of_the_prior_is_no_prior(tasks: list[Landscape]) -> None:
    taught = learned_elsewhere(tasks, tasks[0].name)
    none, without = (
        command.searched_by_auto(tasks[0], 3, 16, None, prior, given)
        for prior, given in ((None, {"prior_fraction": 0.5}), (taught, {"prior_fraction": 0.0}))
    )
    assert none == without


def test_ngopt_says_what_it_needs(tasks: list[Landscape], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nevergrad", None)
    with pytest.raises(MissingDependencyError, match=r"'\.\[benchmarks\]'"):
        search_ngopt(tasks[0], 4, 0)
