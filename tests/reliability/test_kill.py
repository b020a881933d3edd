"""Kill it whenever you like: `autorl resume` gives the same answer."""

import signal
import time

import kill_harness as harness
import pytest

import autorl


@pytest.mark.parametrize(
    "method", ["random", *(pytest.param(one, marks=pytest.mark.slow) for one in ("pbt", "taught"))]
)
def test_a_killed_study_ends_as_if_it_had_not_been(tmp_path, method):
    harness.kill_test(tmp_path, method, kills=2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("method", list(harness.SEARCHES))
def test_twenty_kills_change_nothing(tmp_path, method):
    recorded = harness.kill_test(tmp_path, method, kills=20, seed=2)
    print(f"{method}: trials recorded at each kill: {recorded}")
    ended = max(recorded)
    assert sum(0 <= trials < ended for trials in recorded) >= 8, "too few kills fell into the work: they tested little"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_saves_everything_and_prints_the_command_to_resume(tmp_path, number, code):
    experiment = harness.write_experiment(tmp_path, "random")
    process = harness.start(
        "run", str(experiment), "--name", "stopped", "--quiet", "budget.trainings=3000", cwd=tmp_path
    )
    record = tmp_path / "studies" / "stopped" / "record.sqlite"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (
            record.with_name("study.yaml").exists()
            and len(autorl.load(tmp_path / "studies" / "stopped").trials(None, None)) > 3
        ):
            break
        time.sleep(0.2)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "autorl resume studies/stopped" in err
    assert "Traceback" not in err


def test_a_second_process_is_refused_with_the_owners_pid(tmp_path):
    experiment = harness.write_experiment(tmp_path, "random")
    process = harness.start("run", str(experiment), "--name", "owned", "--quiet", "budget.trainings=3000", cwd=tmp_path)
    lock = tmp_path / "studies" / "owned" / "study.lock"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (lock.exists() and lock.read_text()):
        time.sleep(0.1)
    second = harness.start("resume", "owned", cwd=tmp_path)
    _, err = second.communicate(timeout=120)
    process.kill()
    process.communicate()
    assert second.returncode == 3
    assert str(process.pid) in err
    assert "Traceback" not in err
