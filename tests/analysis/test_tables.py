import numpy as np
import pytest
import synthetic as sy

from autorl.analysis import scores, tables
from autorl.analysis.result import summarise
from autorl.outer.protocol import Status
from autorl.studies.trial import Trial

STUDY = sy.study(count=16)
RESULT = summarise(STUDY, sy.specification())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (493.24, "493.2"), (12.345, "12.35"), (0.123456, "0.1235"), (-146.04, "-146.0"), (12345.6, "12,346"),
        (2.5e7, "2.5e+07"), (1e-5, "1e-05"), (None, "-"), (float("nan"), "-"), (float("inf"), "-"), (-0.00004, "-4e-05"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert scores.number(value) == text


def test_both_ends_of_an_interval_have_the_same_decimals():
    assert scores.interval((0.2018, 39.57)) == "[0.20, 39.57]"
    assert scores.interval((-0.001, 120.0)) == "[0.0, 120.0]"
    assert scores.interval(None) == "-"


@pytest.mark.parametrize(
    ("value", "text"),
    [(512, "512"), (9999, "9,999"), (640_000, "640 k"), (3_200_000, "3.2 M"), (12_345_678_901, "12.35 G")],
)
def test_counts(value, text):
    assert scores.count(value) == text
    assert scores.count(4000, least=1000) == "4 k"


@pytest.mark.parametrize(
    ("value", "text"), [(4.24, "4.2 s"), (59.97, "60.0 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_seconds(value, text):
    assert scores.seconds(value) == text


def test_result_table_holds_the_results_numbers():
    table = tables.result_table(RESULT)
    assert [row[0] for row in table.rows] == ["tpe", "random search", "default configuration"]
    for row, found in zip(table.rows, RESULT["arms"].values(), strict=True):
        assert row[1] == scores.number(found["score"])
        assert row[2] == scores.interval(found["interval"])
        assert row[5] == "0 of 10"


def test_trials_are_listed_best_first_failures_last_and_none_is_lost():
    searched = [t for t in STUDY if t.phase == "search" and t.arm == "random"]
    table = tables.trials_table(searched)
    assert sorted(int(row[0]) for row in table.rows) == [t.number for t in searched]
    values = [t.score for t in sorted(searched, key=lambda t: (t.score is None, -(t.score or 0)))]
    assert [row[1] for row in table.rows] == [scores.number(v) for v in values]
    assert any(t.score is None for t in searched)
    assert table.rows[-1][2] == "diverged"
    assert "search seeds" in table.note
    short = tables.trials_table(searched, limit=3)
    assert len(short.rows) == 3
    assert "best 3 of 16" in short.note


def test_lineage_columns_only_where_trials_have_parents():
    assert "parent" not in [c.name for c in tables.trials_table(sy.search(count=3)).columns]
    table = tables.trials_table(sy.pbt(4, 2))
    assert "parent" in [c.name for c in table.columns]
    finalists = [t for t in STUDY if t.phase == "finalists" and t.arm == "method"]
    assert "of trial" in [c.name for c in tables.trials_table(finalists).columns]
    assert "tuning seeds" in tables.trials_table(finalists).note


def test_ledger_table_ends_with_the_sum():
    table = tables.ledger_table(RESULT)
    assert table.rows[-1][0] == "all"
    assert table.rows[-1][2] == str(len(STUDY))
    assert table.rows[-1][4] == scores.count(sum(t.ledger.train_env_steps for t in STUDY))


def test_failures_table_lists_every_failure():
    failed = [t for t in STUDY if t.status is Status.DIVERGED]
    table = tables.failures_table(STUDY, "tpe")
    assert len(table.rows) == len(failed) > 0
    assert all("non-finite" in row[4] for row in table.rows)


def test_winner_table_of_a_schedule_has_a_row_a_stage():
    result = summarise(sy.pbt_study(), sy.specification("pbt"))
    table = tables.winner_table(result)
    assert len(table.rows) == len(result["winner"]["schedule"]) > 1
    for name in sy.PBT_SPACE.dimensions:
        assert (name in [c.name for c in table.columns]) != (f"{name}=" in table.note)


def schedule_of_ten_stages() -> dict:
    changing = (
        "learning_rate",
        "normalize_advantage",
        "target_update_interval",
        "buffer_prio_sampling",
        "max_grad_norm",
    )
    stages = [
        {"until": 100_000 * (i + 1), "hyperparameters": {"n_steps": 128, **dict.fromkeys(changing, 0.12345 * (i + 1))}}
        for i in range(10)
    ]
    return {"winner": {"schedule": stages, "candidate": {}}}


def test_a_long_schedule_fits_80_columns_and_lists_what_stays_once():
    table = tables.winner_table(schedule_of_ten_stages())
    assert len(table.rows) == 10
    assert "n_steps" not in [c.name for c in table.columns]
    assert table.note == "The same in every stage: n_steps=128."
    parts = tables.split(table)
    assert len(parts) == 2
    assert [c for part in parts for c in part.columns[1:]] == list(table.columns[1:])
    for part in parts:
        assert max(len(line) for line in tables.plain(part).splitlines()) <= 80
        assert [row[0] for row in part.rows] == [row[0] for row in table.rows]
    assert [tuple(a + b[1:]) for a, b in zip(parts[0].rows, parts[1].rows, strict=True)] == list(table.rows)
    assert [part.note for part in parts] == ["", table.note]
    assert tables.split(tables.winner_table(RESULT)) == [tables.winner_table(RESULT)]


def test_one_hyperparameter_missing_in_a_stage_changes():
    stages = [{"until": 1, "hyperparameters": {"a": 1, "b": 2}}, {"until": 2, "hyperparameters": {"a": 1}}]
    table = tables.winner_table({"winner": {"schedule": stages, "candidate": {}}})
    assert [c.name for c in table.columns] == ["until step", "b"]
    assert [row[1] for row in table.rows] == ["2", ""]
    assert table.note == "The same in every stage: a=1."


def test_plain_text_is_aligned():
    lines = tables.plain(tables.result_table(RESULT)).splitlines()
    assert lines[0] == "Result on test seeds"
    assert len({len(line) for line in lines[2:6]}) == 1
    assert lines[3].startswith("tpe")


def test_rich_shows_text_as_it_is():
    console = pytest.importorskip("rich.console").Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    candidate = {"name": "[red]not markup[/red]"}
    trial = Trial("method", "search", 0, candidate, 1, status=Status.COMPLETED, score=1.0)
    console.print(tables.to_rich(tables.trials_table([trial])))
    console.file.close()
    assert "[red]not markup[/red]" in console.export_text()


def test_arrays_and_nested_candidates_fit_a_line():
    text = tables.describe(
        {"a": {"x": 0.25, "on": True}, "w": np.zeros(3), "s": {"$array": {"dtype": "float32", "data": "AA"}}}
    )
    assert text == "a.x=0.25, a.on=true"
    assert tables.describe({}) == "defaults"


def test_render_result_of_every_state():
    assert "No result yet" in tables.render_result(summarise([], sy.specification()))
    text = tables.render_result(RESULT)
    assert RESULT["headline"] in text
    assert RESULT["verdict"] in text
    assert "Equal work" in text
    assert "learning_rate" in text
