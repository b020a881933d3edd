"""`autorl resume`: a stopped study ends as if it had not been; a finished one is left alone and its result printed."""

import json

from command_line import call, experiment, program, without_clock, write

import autorl
from autorl.cli.live import Live


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and not p.name.endswith(("-shm", "-wal"))}


def test_a_finished_study_is_left_alone_and_its_result_printed(finished, monkeypatch):
    def never():
        raise AssertionError("a finished study starts no jax")

    monkeypatch.setattr("autorl.engine.devices.start", never)
    before = contents(finished)
    done = call("resume", finished)
    assert done.code == 0
    assert done.err == f"study {finished} is finished; this is its result\n"
    assert autorl.load(finished).result["headline"] in done.out
    assert f"Report: {finished / 'report.html'}" in done.out
    assert contents(finished) == before
    asked = call("resume", "tuned", "--root", finished.parent, "--json")
    assert (asked.code, asked.err) == (0, "")
    assert asked.json == {
        "study": "tuned",
        "path": str(finished),
        "best": autorl.load(finished).best,
        "result": json.loads(json.dumps(autorl.load(finished).result)),
    }


def test_a_report_that_a_kill_prevented_is_written(finished):
    (finished / "report.html").unlink()
    assert call("resume", finished, "--quiet").code == 0
    assert (finished / "report.html").stat().st_size > 1000


def test_a_study_stopped_in_the_middle_ends_as_if_it_had_not_been(finished, tmp_path, monkeypatch):
    path = write(tmp_path, "tuned", experiment(description="A small one."))
    shown = []

    def second_ctrl_c(self, event):
        shown.append(event)
        if event.trials == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Live, "__call__", second_ctrl_c)
        stopped = call("run", path, "--root", tmp_path)
    assert shown[-1].trials == 2
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-1] == "stopped at once; every finished trial is saved"
    assert not autorl.load(tmp_path / "tuned").finished
    assert "not finished" in call("show", tmp_path / "tuned").out

    assert call("resume", tmp_path / "tuned", "--quiet").code == 0
    ours, theirs = autorl.load(tmp_path / "tuned").summary(), autorl.load(finished).summary()
    for key in ("specification", "trials", "best", "result"):
        assert without_clock(ours[key]) == without_clock(theirs[key])


def test_a_study_of_ones_own_objective_is_not_run(tmp_path):
    space = {"dimensions": {"x": {"type": "float", "low": 0.0, "high": 1.0}}}
    search = {"space": space, "method": "random"}
    autorl.create({"name": "own", "search": search, "budget": {"trainings": 3, "env_steps": 1}}, root=tmp_path)
    done = program("resume", "own", "--root", tmp_path, cwd=tmp_path)
    assert done.code == 2
    assert "only study.ask() and study.tell() can drive it" in done.err


def test_a_study_resumed_is_recorded_beside_its_experiment_but_beside_no_other(finished):
    own = finished.parent.parent / "tuned.yaml"
    done = call("resume", finished, "--record", own, "--quiet")
    assert done.code == 0, done.err
    recorded = own.with_name("tuned.result.json")
    outcome = json.loads(recorded.read_text())
    recorded.unlink()
    assert outcome["result"] == json.loads(json.dumps(autorl.load(finished).result))
    assert outcome["specification"] == autorl.load(finished).plain_specification()
    other = write(finished.parent.parent, "other", experiment(description="A small one.", evaluation={"episodes": 7}))
    refused = call("resume", finished, "--record", other)
    other.unlink()
    assert (refused.code, refused.out) == (2, "")
    assert "different evaluation, name" in refused.err
    assert not other.with_name("other.result.json").exists()
