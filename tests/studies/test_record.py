"""The record keeps every trial exactly, in whole transactions, and refuses what it could not give back."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autorl.errors import StudyError
from autorl.outer.protocol import Status
from autorl.studies.record import VERSION, Record
from autorl.studies.trial import Curve, Ledger, Stage, Trial


def running(number: int, arm: str = "method", phase: str = "search", **fields) -> Trial:
    candidate = {
        "learning_rate": 0.1 / 3 * (number + 1),
        "n_steps": 2 ** (number % 5),
        "normalize": True,
        "act": "tanh",
    }
    return Trial(arm, phase, number, candidate, 1000, seeds=(3, 5), **fields)


def completed(trial: Trial, score: float = 1 / 3) -> Trial:
    return replace(trial, status=Status.COMPLETED, score=score, scores=((score, score),))


@pytest.fixture
def record(tmp_path: Path):
    with Record.create(tmp_path / "record.sqlite") as opened:
        yield opened


def test_a_full_trial_comes_back_equal(record: Record) -> None:
    trial = Trial(
        arm="random",
        phase="finalists",
        number=7,
        candidate={
            "a": {"$array": {"dtype": "<f4", "shape": [2], "data": "AACAPw=="}},
            "b": None,
            "c": [1, 2.5, "é\u2028"],
        },
        env_steps=2**31 - 1,
        parent=3,
        generation=4,
        origin="exploit",
        schedule=(Stage(10, {"lr": 0.1}), Stage(2**31 - 1, {"lr": 5e-324})),
        source=0,
        seeds=(2**30, 2**31 - 1),
    )
    done = replace(
        trial,
        status=Status.COMPLETED,
        scores=((0.1, None), (-0.0, 1.7976931348623157e308)),
        score=-0.0,
        curves=(Curve(0, 2**30, (5, 10), (None, 0.1 + 0.2)), Curve(1, 1, (), ())),
        ledger=Ledger(10**12, 7, 3, 0.1, 1e-9),
        message="",
    )
    record.add([trial])
    assert record.trials() == [trial]
    record.finish([done])
    (found,) = record.trials()
    assert found == done
    assert math.copysign(1, found.score) == -1
    assert math.copysign(1, found.scores[1][0]) == -1
    assert type(found.env_steps) is int
    assert type(found.ledger.updates) is int
    assert type(found.ledger.wall_seconds) is float


@given(value=st.floats(allow_nan=False, allow_infinity=False), text=st.text(), whole=st.integers(-(2**62), 2**62))
def test_every_float_text_and_integer_survives(tmp_path_factory, value: float, text: str, whole: int) -> None:
    path = tmp_path_factory.mktemp("record") / "record.sqlite"
    trial = replace(running(0), candidate={"x": value, text: [whole, {"deep": text}]}, origin=text)
    with Record.create(path) as record:
        record.add([trial])
        record.finish([completed(trial, value)])
        record.set_meta(text, [value, text])
    with Record.open(path, readonly=True) as record:
        (found,) = record.trials()
        assert found == completed(trial, value)
        assert repr(found.candidate) == repr(trial.candidate)
        assert record.meta(text) == [value, text]


def test_raw_scores_that_are_not_finite_become_none(record: Record) -> None:
    record.add([running(0)])
    failed = replace(
        running(0),
        status=Status.DIVERGED,
        scores=((math.nan, math.inf, 2.0),),
        curves=(Curve(0, 3, (1, 2, 3), (-math.inf, math.nan, 1.0)),),
        message="not finite \udcff",
    )
    record.finish([failed])
    found = record.trial("method", "search", 0)
    assert found.scores == ((None, None, 2.0),)
    assert found.curves[0].scores == (None, None, 1.0)
    assert found.message == "not finite \\udcff"


@pytest.mark.parametrize("candidate", [{"x": math.nan}, {"x": [math.inf]}, {"x": {1: 2}}, {"x": object()}, {2: 1}])
def test_a_candidate_that_json_cannot_hold_is_refused_by_name(record: Record, candidate: dict) -> None:
    with pytest.raises(StudyError, match=r"candidate of trial 1 \(method, search\)"):
        record.add([running(0), replace(running(1), candidate=candidate)])
    assert record.count() == 0


@pytest.mark.parametrize(
    ("status", "score"),
    [(Status.COMPLETED, None), (Status.COMPLETED, math.nan), (Status.COMPLETED, math.inf), (Status.CRASHED, 1.0)],
)
def test_exactly_the_completed_have_a_finite_score(record: Record, status: Status, score: float | None) -> None:
    record.add([running(0)])
    with pytest.raises(StudyError, match="a completed trial has a finite score, any other has none"):
        record.finish([replace(running(0), status=status, score=score)])
    assert record.trial("method", "search", 0).status is Status.RUNNING


def test_trials_are_ordered_filtered_and_counted(record: Record) -> None:
    some = [
        running(2),
        running(0),
        running(1, arm="random"),
        running(0, phase="test"),
        running(0, arm="default", phase="test"),
    ]
    record.add(some)
    record.finish([completed(running(2))])
    keys = [(t.arm, t.phase, t.number) for t in record.trials()]
    assert keys == sorted(keys)
    assert len(keys) == len(some)
    assert [t.number for t in record.trials("method", "search")] == [0, 2]
    assert [t.arm for t in record.trials(phase="test")] == ["default", "method"]
    assert [t.number for t in record.trials(status=Status.COMPLETED)] == [2]
    assert record.count(arm="method") == 3
    assert record.count(status=Status.RUNNING) == 4
    assert record.trials(arm="nobody") == []
    with pytest.raises(StudyError, match=r"no trial 9 \(method, search\)"):
        record.trial("method", "search", 9)


def test_telling_numbers_each_arm_and_phase_apart_in_the_order_given(record: Record) -> None:
    record.add([running(n) for n in range(4)] + [running(n, arm="random") for n in range(2)])
    record.finish([completed(running(2)), completed(running(0, arm="random")), completed(running(0))], told=True)
    record.finish([completed(running(3))])
    assert record.trial("method", "search", 3).told is None
    record.finish([completed(running(1))], told=True)
    record.tell([("method", "search", 3)])
    told = {(t.arm, t.number): t.told for t in record.trials()}
    assert told == {("method", n): i for i, n in enumerate([2, 0, 1, 3])} | {("random", 0): 0, ("random", 1): None}


def test_trials_that_ended_are_told_of_once_however_they_were_stored(record: Record) -> None:
    told: list[tuple[int, Status]] = []
    record.ended = lambda trials: told.extend((t.number, t.status) for t in trials)
    trials = [running(number) for number in range(3)]
    record.add(trials)
    record.finish([completed(trials[0])])
    record.advance([replace(trials[1], scores=((0.5, 0.5),)), replace(trials[2], status=Status.DIVERGED)])
    assert told == [(0, Status.COMPLETED), (2, Status.DIVERGED)], "a trial under a policy that goes on has not ended"
    record.advance([completed(trials[1])])
    assert told[2:] == [(1, Status.COMPLETED)]


def test_a_refused_batch_changes_nothing(record: Record) -> None:
    record.add([running(n) for n in range(3)])
    record.finish([completed(running(0))], told=True)
    before = record.trials()
    with pytest.raises(StudyError, match=r"trial 1 .* is in the record already"):
        record.add([running(5), running(1)])
    with pytest.raises(StudyError, match=r"trial 0 .* is not running in the record: never added, or ended already"):
        record.finish([completed(running(1)), completed(running(0))], told=True)
    with pytest.raises(StudyError, match=r"trial 9 .* never added"):
        record.finish([completed(running(1)), completed(running(9))])
    with pytest.raises(StudyError, match=r"trial 1 .* cannot be told: unknown, still running, or told before"):
        record.tell([("method", "search", 1)])
    with pytest.raises(StudyError, match=r"trial 0 .* cannot be told"):
        record.tell([("method", "search", 0)])
    with pytest.raises(StudyError, match="still running"):
        record.finish([running(1)])
    with pytest.raises(StudyError, match="only a running trial can be added"):
        record.add([running(8), completed(running(9))])
    with pytest.raises(StudyError, match="arm must be method, random, default or objective:NAME"):
        record.add([running(8, arm="nobody")])
    assert record.trials() == before


def test_meta_is_replaced_and_has_a_default(record: Record) -> None:
    assert record.meta("state", {"none": 1}) == {"none": 1}
    record.set_meta("state", {"phase": "search", "list": [1, None]})
    record.set_meta("state", None)
    assert record.meta("state", "default") is None
    with pytest.raises(StudyError, match="meta 'bad' cannot be stored"):
        record.set_meta("bad", math.nan)


def work(path: Path, count: int) -> dict[str, int]:
    """Return how many hundreds of SQLite's instructions ``count`` trials cost: the same on every machine, unlike seconds."""
    trials = [running(n) for n in range(count)]
    spent = dict.fromkeys(("add", "read", "finish"), 0)
    doing = "add"

    def tick() -> int:
        spent[doing] += 1
        return 0

    with Record.create(path) as record:
        record._connection.set_progress_handler(tick, 100)
        record.add(trials)
        doing = "read"
        assert record.trials() == trials
        doing = "finish"
        record.finish([completed(t) for t in trials], told=True)
    return spent


def test_work_grows_no_faster_than_the_number_of_trials(tmp_path: Path) -> None:
    few, many = work(tmp_path / "few.sqlite", 500), work(tmp_path / "many.sqlite", 5_000)
    for part, spent in few.items():
        assert spent > 20
        assert many[part] < 15 * spent, part  # ten times as many, and the logarithm of an index


def test_readers_come_and_go_while_the_writer_works(record: Record) -> None:
    with Record.open(record.path, readonly=True) as reader:
        for number in range(5):
            record.add([running(number)])
            assert reader.count() == number + 1
        with pytest.raises(StudyError, match="opened for reading only"):
            reader.add([running(9)])
        with pytest.raises(StudyError, match="opened for reading only"):
            reader.set_meta("x", 1)
    script = (
        "import sys; from autorl.studies.record import Record; print(Record.open(sys.argv[1], readonly=True).count())"
    )
    done = subprocess.run([sys.executable, "-c", script, str(record.path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "5"


def test_a_second_writer_gets_a_clear_error_and_the_first_goes_on(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("autorl.studies.record._BUSY_SECONDS", 0.05)
    with Record.create(tmp_path / "r.sqlite") as first, Record.open(tmp_path / "r.sqlite") as second:
        with first._transaction("hold"), pytest.raises(StudyError, match=r"locked.*Another program holds it"):
            second.add([running(0)])
        first.add([running(0)])


def test_what_is_no_record_is_refused_with_its_path(tmp_path: Path) -> None:
    missing, empty, text, other = (tmp_path / name for name in ("missing", "empty", "text", "other"))
    empty.touch()
    text.write_text("trials: none\n" * 100)
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    for path, message in [
        (missing, "No such file"),
        (empty, "is not a database"),
        (text, "is not a database"),
        (other, "is a database, but no AutoRL record"),
        (tmp_path, "Is a directory"),
    ]:
        for readonly in (False, True):
            with pytest.raises(StudyError, match=message) as caught:
                Record.open(path, readonly=readonly)
            assert str(path) in str(caught.value)
    assert not missing.exists()


def test_another_version_is_refused_by_number(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    Record.create(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 6}")
    connection.close()
    with pytest.raises(StudyError, match=rf"record version {VERSION + 6}; this one reads {VERSION}"):
        Record.open(path)


def test_creating_over_a_record_is_refused_and_leftovers_are_cleared(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    for name in ("record.sqlite.tmp", "record.sqlite.tmp-journal", "record.sqlite-wal"):
        (tmp_path / name).write_bytes(b"left by a killed process" * 50)
    with Record.create(path) as record:
        record.add([running(0)])
    with pytest.raises(StudyError, match="already"):
        Record.create(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["record.sqlite"]
    with Record.open(path) as record:
        assert record.count() == 1


def test_a_damaged_cell_is_named(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    with Record.create(path) as record:
        record.add([running(0), running(1)])
    for column, value in [
        ("candidate", "{"),
        ("candidate", '{"x": NaN}'),
        ("ledger", "[1]"),
        ("status", "exploded"),
        ("scores", "[1]"),
        ("seeds", "[" * 100_000),
    ]:
        connection = sqlite3.connect(path)
        (old,) = connection.execute(f"SELECT {column} FROM trials WHERE number = 1").fetchone()
        connection.execute(f"UPDATE trials SET {column} = ? WHERE number = 1", (value,))
        connection.commit()
        with Record.open(path) as record:
            assert record.trial("method", "search", 0) == running(0)
            with pytest.raises(StudyError, match=r"trial 1 \(method, search\).* is damaged"):
                record.trials()
        connection.execute(f"UPDATE trials SET {column} = ? WHERE number = 1", (old,))
        connection.commit()
        connection.close()


@settings(max_examples=40)
@given(data=st.data())
def test_flipped_and_missing_bytes_give_an_error_or_a_readable_record(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("record")
    with Record.create(folder / "whole.sqlite") as record:
        record.add([running(n) for n in range(50)])
        record.finish([completed(running(n)) for n in range(25)], told=True)
    content = bytearray((folder / "whole.sqlite").read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    (folder / "hurt.sqlite").write_bytes(content)
    trials = []
    message = "hurt.sqlite"
    try:
        with Record.open(folder / "hurt.sqlite") as record:
            trials = record.trials()
    except StudyError as error:
        message = str(error)
    assert all(isinstance(trial, Trial) for trial in trials)
    assert "hurt.sqlite" in message or "trial" in message


def test_rows_are_plain_enough_to_read_with_sqlite_alone(record: Record) -> None:
    record.add([running(0)])
    record.finish([completed(running(0), 480.0)], told=True)
    connection = sqlite3.connect(record.path)
    row = connection.execute("SELECT number, status, score, candidate, told FROM trials").fetchone()
    connection.close()
    assert row[:3] == (0, "completed", 480.0)
    assert json.loads(row[3]) == running(0).candidate
    assert row[4] == 0
