"""Loggers: what they write of each trial, and that one that fails costs a study nothing."""

import importlib.machinery
import struct
import sys
import types
from dataclasses import replace

import pytest

import autorl
from autorl.errors import MissingDependencyError, UsageError
from autorl.interop.loggers import registry
from autorl.interop.loggers.protocol import Run, entry_of
from autorl.outer.protocol import Status
from autorl.registry import Registry
from autorl.studies.record import Record
from autorl.studies.specification import SpecificationError, from_mapping
from autorl.studies.trial import Curve, Ledger, Trial

SPEC = {
    "name": "own",
    "search": {
        "space": {"dimensions": {"x": {"type": "float", "low": 0.0, "high": 1.0}, "kind": {"type": "categorical", "choices": ["a", "b"]}}},
        "method": "random",
    },
    "budget": {"trainings": 3, "env_steps": 1},
}  # fmt: skip
TRIAL = Trial(
    "method", "search", 7, {"x": 0.25, "kind": "a", "flag": True}, 100, status=Status.COMPLETED, score=3.0, scores=((2.0, 4.0),),
    seeds=(1, 2), origin="model", ledger=Ledger(200, 30, 12, 0.5, 1.5),
    curves=(Curve(0, 0, (50, 100), (1.0, 2.0)), Curve(0, 1, (50, 100), (3.0, 4.0))),
)  # fmt: skip
FAILED = replace(
    TRIAL, number=8, status=Status.DIVERGED, score=None, scores=((None, 4.0),), message="not finite", curves=()
)


def test_what_is_written_of_a_trial():
    entry = entry_of(TRIAL)
    assert (entry.group, entry.number, entry.curve) == ("search", 7, {50: 2.0, 100: 3.0})
    assert entry.hyperparameters == {"x": 0.25, "kind": "a", "flag": True}
    assert entry.numbers == {
        "score": 3.0, "failed": 0.0, "train_env_steps": 200, "evaluation_env_steps": 30, "updates": 12, "compile_seconds": 0.5,
        "wall_seconds": 1.5,
    }  # fmt: skip
    assert entry.texts == {"status": "completed", "origin": "model"}
    failed = entry_of(FAILED)
    assert ("score" in failed.numbers, failed.numbers["failed"], failed.texts["message"]) == (False, 1.0, "not finite")
    pruned = entry_of(replace(FAILED, status=Status.PRUNED))
    assert not {"score", "failed"} & set(pruned.numbers), "stopped at a hurdle is no failure"


def test_other_arms_have_groups_of_their_own():
    assert entry_of(replace(TRIAL, arm="random", phase="finalists")).group == "random/finalists"
    assert entry_of(replace(TRIAL, arm="objective:dqnreg", phase="test")).group == "objective/dqnreg/test"


class Told:
    """A logger that remembers; and one that fails where it is told to."""

    package, extra = "autorl", "none"
    made: list = []  # noqa: RUF012

    def __init__(self, run, fails=""):
        self.run, self.fails, self.entries, self.closed = run, fails, [], 0
        self.made.append(self)
        self._maybe("start")

    def _maybe(self, where):
        if self.fails == where:
            raise RuntimeError(f"no service\nat {where}")

    def trial(self, entry):
        self._maybe("trial")
        self.entries.append(entry)

    def close(self):
        self.closed += 1
        self._maybe("close")


def fails_at_start(run):
    return Told(run, "start")


def fails_at_a_trial(run):
    return Told(run, "trial")


def fails_at_the_end(run):
    return Told(run, "close")


for made in (fails_at_start, fails_at_a_trial, fails_at_the_end):
    made.package = "autorl"


@pytest.fixture
def loggers(monkeypatch):
    """The registry, with loggers that need nothing."""
    names = {"told": "Told", "start": "fails_at_start", "trial": "fails_at_a_trial", "close": "fails_at_the_end"}
    entries = {name: f"{__name__}:{attribute}" for name, attribute in names.items()}
    monkeypatch.setattr(registry, "LOGGERS", Registry("logger", entries))
    monkeypatch.setattr(Told, "made", [])
    return Told.made


def search(root, **changes):
    """Run a study of one's own objective to its end."""
    with autorl.create({**SPEC, **changes}, root=root) as study:
        for _ in range(3):
            trial = study.ask()
            study.tell(trial, trial.candidate["x"])
    return study


def test_every_trial_is_written_once_it_is_saved(loggers, tmp_path, capsys):
    study = search(tmp_path, log=["told"])
    (logger,) = loggers
    assert [e.numbers["score"] for e in logger.entries] == [t.score for t in study.trials()]
    assert (logger.run.name, logger.run.folder, logger.closed) == ("own", tmp_path / "own" / "logs", 1)
    assert capsys.readouterr().err == ""


def test_a_resumed_study_has_the_same_identity(loggers, tmp_path):
    with autorl.create({**SPEC, "log": "told"}, root=tmp_path) as study:
        study.tell(study.ask(), 1.0)
    with autorl.load("own", root=tmp_path) as study:
        study.tell(study.ask(), 2.0)
    first, second = loggers
    assert first.run.identity == second.run.identity
    assert [e.number for e in (*first.entries, *second.entries)] == [0, 1]
    with autorl.create({**SPEC, "log": "told"}, root=tmp_path) as other:
        other.ask()
    assert loggers[2].run.identity != first.run.identity


@pytest.mark.parametrize("where", ["start", "trial", "close"])
def test_a_logger_that_fails_is_said_once_and_costs_nothing(loggers, tmp_path, capsys, where):
    study = search(tmp_path, log=[where, "told"])
    assert [t.status for t in study.trials()] == [Status.COMPLETED] * 3
    assert study.finished
    told = loggers[-1]
    assert (len(told.entries), told.closed) == (3, 1), "the other one goes on"
    assert capsys.readouterr().err == (
        f"warning: logger {where!r} failed (RuntimeError: no service at {where}); the study goes on without it\n"
    )


def test_by_default_nothing_is_written_anywhere(loggers, tmp_path):
    search(tmp_path)
    assert loggers == []
    assert not (tmp_path / "own" / "logs").exists()
    assert from_mapping(SPEC, references=False).log == ()


def test_the_record_tells_what_it_has_stored(tmp_path):
    told = []
    with Record.create(tmp_path / "r") as record:
        record.ended = told.extend
        running = [
            replace(t, status=Status.RUNNING, score=None, scores=(), curves=(), ledger=Ledger(), message="")
            for t in (TRIAL, FAILED)
        ]
        record.add(running)
        record.finish([TRIAL])
        record.finish([FAILED], told=True)
        with pytest.raises(autorl.errors.StudyError):
            record.finish([TRIAL])
    assert told == [TRIAL, FAILED]


def test_wrong_loggers_are_refused_before_there_is_a_folder(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"log: unknown logger 'tensorbord'\. Did you mean 'tensorboard'"):
        autorl.create({**SPEC, "log": ["tensorbord"]}, root=tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingDependencyError, match=r"log: 'wandb' needs the package 'wandb'.*pip install 'autorl\[wandb\]'"
    ):
        autorl.create({**SPEC, "log": "wandb"}, root=tmp_path)
    with pytest.raises(SpecificationError, match="log"):
        from_mapping({**SPEC, "log": 3}, references=False)
    assert list(tmp_path.iterdir()) == []


def run(folder):
    specification = {
        "budget": {"trainings": 4, "env_steps": 100},
        "learner": {"algorithm": "ppo"},
        "search": {"method": "tpe"},
    }
    return Run("study", "abc123", folder, specification)


def module(monkeypatch, name, **attributes):
    made = types.ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(made).update(attributes)
    monkeypatch.setitem(sys.modules, name, made)


class Calls:
    """Remembers every call of every attribute."""

    def __init__(self, **returned):
        self.calls, self._returned = [], returned

    def __getattr__(self, name):
        def call(*arguments, **options):
            self.calls.append((name, arguments, options))
            found = self._returned.get(name)
            return found(*arguments, **options) if callable(found) else found

        return call

    def of(self, name):
        return [(arguments, options) for called, arguments, options in self.calls if called == name]


def test_weights_and_biases_has_one_run_with_a_line_a_trial(monkeypatch, tmp_path):
    wandb_run = Calls()
    service = Calls(init=lambda **options: wandb_run, Table=lambda columns, data: (columns, data))
    module(monkeypatch, "wandb", init=service.init, Table=service.Table)
    registry.check(["wandb"])
    with registry.Logs(["wandb"], run(tmp_path)) as logs:
        logs.ended([TRIAL])
        logs.ended([FAILED])
    ((_, options),) = service.of("init")
    assert (options["id"], options["resume"], options["name"], options["project"]) == (
        "abc123",
        "allow",
        "study",
        "autorl",
    )
    first, second, curves = (arguments[0] for arguments, _ in wandb_run.of("log"))
    assert (first["search/trial"], first["search/score"], first["search/hyperparameters/kind"]) == (7, 3.0, "a")
    assert (second["search/status"], second["search/message"], "search/score" in second) == (
        "diverged",
        "not finite",
        False,
    )
    assert curves["learning curves"] == (
        ["group", "trial", "env_steps", "score"],
        [["search", 7, 50, 2.0], ["search", 7, 100, 3.0]],
    )
    assert wandb_run.of("define_metric") == [(("search/trial",), {}), (("search/*",), {"step_metric": "search/trial"})]
    assert wandb_run.calls[-1][0] == "finish"


def fake_mlflow(monkeypatch, before=()):
    def info(identity):
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=identity))

    numbers = iter(range(100))
    client = Calls(
        get_experiment_by_name=lambda name: None,
        create_experiment=lambda name: "e1",
        search_runs=lambda *a, **o: [info(i) for i in before],
        create_run=lambda *a, **o: info(f"run{next(numbers)}"),
    )
    module(monkeypatch, "mlflow")
    module(monkeypatch, "mlflow.tracking", MlflowClient=lambda: client)
    entities = {name: (lambda *a, name=name: (name, *a)) for name in ("Metric", "Param", "RunTag")}
    module(monkeypatch, "mlflow.entities", **entities)
    return client


def test_mlflow_has_a_child_run_for_each_trial(monkeypatch, tmp_path):
    client = fake_mlflow(monkeypatch)
    registry.check(["mlflow"])
    with registry.Logs(["mlflow"], run(tmp_path)) as logs:
        logs.ended([TRIAL, FAILED])
    (_, parent), (_, child), _ = client.of("create_run")
    assert parent == {"tags": {"autorl.study": "abc123"}, "run_name": "study"}
    assert child == {"tags": {"mlflow.parentRunId": "run0", "group": "search"}, "run_name": "search/7"}
    (arguments, batch), _ = client.of("log_batch")
    assert arguments == ("run1",)
    metrics = {(m[1], m[4]): m[2] for m in batch["metrics"]}
    assert (metrics["score", 0], metrics["curve", 50], metrics["curve", 100], metrics["updates", 0]) == (
        3.0,
        2.0,
        3.0,
        12.0,
    )
    assert ("Param", "kind", "a") in batch["params"]
    assert ("RunTag", "status", "completed") in batch["tags"]
    ended = [(a[0], o["status"]) for a, o in client.of("set_terminated")]
    assert ended == [("run1", "FINISHED"), ("run2", "FAILED"), ("run0", "FINISHED")]
    assert (("run0", "method", "tpe"), {}) in client.of("log_param")
    assert client.of("log_metric") == [(("run0", "search/score", 3.0), {"step": 7})]


def test_mlflow_goes_on_in_the_run_of_a_resumed_study(monkeypatch, tmp_path):
    client = fake_mlflow(monkeypatch, before=["old"])
    with registry.Logs(["mlflow"], run(tmp_path)) as logs:
        logs.ended([TRIAL])
    assert client.of("update_run") == [(("old",), {"status": "RUNNING"})]
    assert [o["tags"]["mlflow.parentRunId"] for _, o in client.of("create_run")] == ["old"]


def events(folder):
    """Scalars (tag, step, value) and plugin tags of the event files directly in ``folder``, from the bytes of the format."""
    from tensorboardX.proto.event_pb2 import Event

    scalars, plugins = [], []
    for path in sorted(folder.glob("events.*")):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    scalars.append((value.tag, event.step, value.simple_value))
                elif value.metadata.plugin_data.plugin_name:
                    plugins.append((value.tag, value.metadata.plugin_data.plugin_name))
    return scalars, plugins


def test_tensorboard_event_files(tmp_path):
    pytest.importorskip("tensorboardX")
    said = []
    with registry.Logs(["tensorboard"], run(tmp_path), said.append) as logs:
        logs.ended([TRIAL, FAILED])
    assert said == []
    scalars, plugins = events(tmp_path / "tensorboard")
    assert ("search/score", 7, 3.0) in scalars
    assert ("search/failed", 8, 1.0) in scalars
    assert ("search/hyperparameters/x", 7, 0.25) in scalars
    assert ("search/train_env_steps", 7, 200.0) in scalars
    assert not [s for s in scalars if s[:2] == ("search/score", 8)]
    assert ("search/diverged/text_summary", "text") in plugins
    scalars, plugins = events(tmp_path / "tensorboard" / "search" / "00007")
    assert [s[1:] for s in scalars if s[0] == "curve"] == [(50, 2.0), (100, 3.0)]
    assert "hparams" in {plugin for _, plugin in plugins}


def test_no_adapter_imports_its_package_before_it_is_used():
    for name in registry.LOGGERS:
        registry.LOGGERS.load(name)
        assert registry.LOGGERS.load(name).package not in vars(sys.modules[registry.LOGGERS.load(name).__module__])
