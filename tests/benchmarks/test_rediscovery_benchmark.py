"""The count of rediscoveries: what was begun with other settings is not gone on with, nor counted with the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import rediscovery

from autorl import api

EXPERIMENT = "rediscover_td"


def line(seed: int, specification: str | None = None, **changes: Any) -> dict[str, Any]:
    counts = {f"{count}{suffix}": True for count in rediscovery.COUNTS for suffix in ("", "_scaled")}
    row = {"label": "main", "seed": seed, **counts, "seen": 100 * seed, "trained": 3000, "training_seconds": 60.0}
    return {**row, **({} if specification is None else {"specification": specification}), **changes}


def written(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / f"{EXPERIMENT}.searches.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in lines))
    return path


def counted(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int | str | None:
    """Run the command on the records in ``folder``; return what it exits with."""
    monkeypatch.setattr(rediscovery, "RECORDS", folder)
    monkeypatch.setattr("sys.argv", ["rediscovery.py", "--first-seed", "1", "--searches", "3", *arguments])
    try:
        rediscovery.main()
    except SystemExit as exit:
        return exit.code
    return 0


def test_the_hash_is_of_all_but_name_and_study_seed() -> None:
    plain = rediscovery.specification_hash(EXPERIMENT, [])
    assert rediscovery.specification_hash(EXPERIMENT, ["seeds.study=7"]) == plain
    others = ["budget.trainings=3000"], [rediscovery.space_without(minimum=False)], ["seeds.search=2"]
    assert len({plain, *(rediscovery.specification_hash(EXPERIMENT, other) for other in others)}) == 4


def test_lines_of_different_specifications_are_counted_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    evolved = {"duplicates": 3, "hit_rate": 0.5}
    at_random = {"duplicates": 0, "hit_rate": 0.0}  # passes nothing over: has no hit rate to tell
    written(tmp_path, line(1), line(2, "aa", proposals=evolved), line(3, "bb", proposals=at_random))
    assert counted(monkeypatch, tmp_path, "--only-count", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(g["specification"], g["searches"], g["hit_rates"]) for g in told["groups"]] == [
        (None, 1, []),
        ("aa", 1, [0.5]),
        ("bb", 1, []),
    ]
    assert counted(monkeypatch, tmp_path, "--only-count") == 0
    assert "of before specifications were recorded" in capsys.readouterr().out


def test_searches_that_are_missing_are_said_and_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written(tmp_path, line(1), line(2))
    assert counted(monkeypatch, tmp_path, "--only-count") == 1
    assert "2 of 3 asked" in capsys.readouterr().out


def test_a_label_is_not_gone_on_with_under_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = written(tmp_path, line(1, "aa"))
    before = path.read_text()
    refused = counted(monkeypatch, tmp_path)
    assert isinstance(refused, str)
    assert "'main', seeds 1" in refused
    assert "Remedy" in refused
    assert path.read_text() == before


def test_a_study_that_was_begun_with_other_settings_is_not_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rediscovery, "ROOT", tmp_path)
    study = api.create(EXPERIMENT, ["budget.trainings=64", "seeds.study=1"], name="begun", root=tmp_path, to_run=True)
    wanted = rediscovery.specification_hash(EXPERIMENT, ["budget.trainings=64", "seeds.study=2"])
    assert rediscovery.hash_of(study.plain_specification()) == wanted, "what a study resolves to is what is asked for"
    with pytest.raises(SystemExit, match="another specification"):
        rediscovery.one(EXPERIMENT, "begun", ["budget.trainings=32", "seeds.study=1"], None)


def test_records_lie_in_the_repository_wherever_the_command_runs(tmp_path: Path) -> None:
    repository = Path(__file__).parents[2]
    assert str(rediscovery.RECORDS) == str(repository / "experiments")
    assert rediscovery.ROOT.is_relative_to(repository)
    assert os.path.isabs(rediscovery.RECORDS)


def test_what_made_a_line_is_in_it() -> None:
    made = rediscovery.provenance()
    assert set(made["versions"]) == {"autorl", "jax"}
    assert all(made["versions"].values())
    assert len(made["date"].split("-")) == 3


def test_score_alone_can_be_had_without_the_penalty() -> None:
    with_penalty, without = (rediscovery.ABLATIONS[f"score_alone{end}"] for end in ("", "_without_penalty"))
    assert set(without) - set(with_penalty) == {"search.settings.penalty=0"}
