"""The comparison of ways to choose among finalists: which seeds it reads, and what it calls what."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import finalists as command
import numpy as np
import pytest
from _landscape import Landscape
from _landscape_files import load_landscapes
from _landscape_priors import learned_elsewhere
from synthetic_landscape import landscape_rows, write_landscape

from autorl.engine.selection import pooled
from autorl.outer.priors import Prior


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a_dqn", "b_dqn"):
        write_landscape(tmp_path / f"{name}.csv.gz", landscape_rows(120))
    return tmp_path


@pytest.fixture
def task(folder: Path) -> Landscape:
    return load_landscapes(folder)[0]


@pytest.fixture
def prior(folder: Path) -> Prior:
    return learned_elsewhere(load_landscapes(folder), "a_dqn")


def test_finalists_are_the_best_of_the_search_on_the_fresh_seeds(task: Landscape, prior: Prior) -> None:
    seen = replace(task, tuning=(0, 1, 2, 3, 4))
    found = command.search(seen, 32, 5, prior)
    final = command.finalists(found, [6, 7])
    merits = found.joined.policy.merits(tuple(found.runs.values()))
    assert [t.source for t in final] == sorted(merits, key=lambda n: -merits[n])[: command.COUNT]
    for trial in final:
        returns = task.returns[trial.candidate["configuration"]]
        assert found.configurations[trial.source or 0] == trial.candidate["configuration"]
        assert trial.scores == ((returns[6, -3:].mean(), returns[7, -3:].mean()),)
    raced = found.joined.policy.raced(tuple(found.runs.values()), command.AVERAGED)
    for number, scores in raced.items():
        returns = task.returns[found.configurations[number], list(found.seeds)]
        assert scores == pytest.approx(returns[1 : 1 + len(scores), -3:].mean(axis=1).tolist())
    assert max(count for _, count in pooled(final, raced).values()) > 3


@pytest.mark.parametrize("judge", ["test", "tuning"])
def test_judges_take_no_part_and_tuning_reads_no_test_seed(
    task: Landscape, prior: Prior, judge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []
    searched, chosen = command.search, command.finalists

    def watched(landscape, trainings, seed, prior):
        parts.append((landscape.tuning, landscape.test))
        return searched(landscape, trainings, seed, prior)

    def final(found, fresh):
        parts.append((tuple(fresh), found.work.landscape.test))
        return chosen(found, fresh)

    monkeypatch.setattr(command, "search", watched)
    monkeypatch.setattr(command, "finalists", final)
    found = command.compare(task, 0, 32, judge, prior)
    assert found.keys() == {"fresh", "pooled", "search"}
    (of_search, judges), (same, again), (fresh, last) = parts
    assert (of_search, judges) == (same, again)
    assert judges == last
    assert (len(of_search), len(fresh), len(judges)) == command.SPLITS[judge]
    assert len({*of_search, *fresh, *judges}) == sum(command.SPLITS[judge])
    if judge == "tuning":
        assert max(*of_search, *fresh, *judges) < 5
        without = replace(
            task, returns=np.concatenate([task.returns[:, :5], np.full_like(task.returns[:, 5:], 1e9)], axis=1)
        )
        assert command.compare(without, 0, 32, judge, prior) == found


def test_where_there_is_no_noise_all_find_the_best(folder: Path, prior: Prior) -> None:
    task = load_landscapes(folder)[0]
    still = replace(task, returns=np.repeat(task.returns.mean(axis=1, keepdims=True), 10, axis=1))
    found = command.compare(still, 1, 48, "test", prior)
    assert found["fresh"] == found["pooled"] == found["search"] == pytest.approx(1.0, abs=0.02)


def test_the_command_prints_differences(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["finalists.py", "--data", str(folder), "--trainings", "32", "--repeats", "2"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--json"])
    command.main()
    found = json.loads(capsys.readouterr().out)
    assert found["fresh"]["over_fresh"]["score"] == 0.0
    for way in ("pooled", "search"):
        assert found[way]["over_fresh"]["score"] == pytest.approx(found[way]["score"] - found["fresh"]["score"])
        assert found[way]["score"] == pytest.approx(np.mean(list(found[way]["tasks"].values())))
    monkeypatch.setattr(sys, "argv", arguments)
    command.main()
    assert "pooled" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*arguments[:3], "--trainings", "8"])
    with pytest.raises(SystemExit) as stop:
        command.main()
    assert stop.value.code == 2
    assert "--trainings 8" in capsys.readouterr().err
