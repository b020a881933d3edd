"""AutoRL in Python: `run`, `resume`, `load`, `create`, and the `Study` they return. The command line calls exactly these."""

from __future__ import annotations

import operator
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from autorl.errors import StudyError, UsageError
from autorl.outer.protocol import Candidate, Proposal, Result, Status
from autorl.studies import manifest
from autorl.studies.folder import ROOT, StudyFolder, write_text_atomic
from autorl.studies.lock import StudyLock
from autorl.studies.pinned_guide import with_pinned_guide
from autorl.studies.record import Record
from autorl.studies.seeds import seed_roles
from autorl.studies.specification import Specification, SpecificationError, from_mapping, to_mapping, to_yaml
from autorl.studies.specification import load as load_specification
from autorl.studies.trial import COMPILED, Arm, Phase, Trial, lessons_key

if TYPE_CHECKING:
    from types import TracebackType

    from autorl.engine.progress import Reporter
    from autorl.interop.loggers.registry import Logs
    from autorl.spaces import Space

Experiment = str | Path | Mapping[str, Any] | Specification
Overrides = Mapping[str, Any] | Sequence[str]


def run(
    experiment: Experiment,
    overrides: Overrides = (),
    *,
    name: str | None = None,
    root: Path | str = ROOT,
    report: Reporter | None = None,
) -> Study:
    """Run a whole study and return it.

    Args:
        experiment: Name of a catalogued experiment, path of a YAML file, a mapping of the same form, or a `Specification`.
        overrides: ``{"search.method": "tpe"}`` or ``["search.method=tpe"]``.
        name: Name of the study's folder below ``root``; by default the experiment's. A number is added if there is one already.
        root: Where studies are kept.
        report: Told the progress (see `autorl.engine.progress.Event`).

    Raises:
        SpecificationError: Listing all problems of the experiment.
        StudyInterrupted: Stopped by Ctrl-C; everything is saved, `resume` goes on.
    """
    study = create(experiment, overrides, name=name, root=root, to_run=True)
    study.run(report)
    return study


def resume(study: str | Path, *, root: Path | str = ROOT, report: Reporter | None = None) -> Study:
    """Go on with a study that was stopped, however it was stopped; a finished one is returned as it is."""
    opened = Study(StudyFolder.open(study, root))
    opened.run(report)
    return opened


def load(study: str | Path, *, root: Path | str = ROOT) -> Study:
    """Open a study, finished or not (also one that another process is running), for reading, or to `Study.ask` and `Study.tell`."""
    return Study(StudyFolder.open(study, root))


def create(
    experiment: Experiment,
    overrides: Overrides = (),
    *,
    name: str | None = None,
    root: Path | str = ROOT,
    to_run: bool = False,
) -> Study:
    """Make a study without running it: for `Study.ask` and `Study.tell`, or to `Study.run` later.

    Args:
        experiment: As for `run`.
        overrides: As for `run`.
        name: As for `run`.
        root: As for `run`.
        to_run: Whether to refuse, before there is a folder, what only ask and tell can drive.
    """
    from autorl.engine.auto import self_contained
    from autorl.engine.warm_start import warm_started

    specification, earlier = warm_started(self_contained(specify(experiment, overrides, root)), root)
    if specification.log:
        from autorl.interop.loggers.registry import check

        check(specification.log)
    if to_run:
        _check_runnable(specification)
    # an experiment may have capitals in its name, a folder may not: some file systems do not tell them apart
    folder = StudyFolder.create(root, specification.name.lower() if name is None else name)
    with Record.create(folder.record) as record:
        record.take_over(earlier)
    manifest.write(folder.manifest, manifest.manifest(seeds=seed_roles(specification)))
    # the specification last: a folder is a study from the moment it is there
    write_text_atomic(folder.specification, to_yaml(specification))
    return Study(folder)


def specify(experiment: Experiment, overrides: Overrides = (), root: Path | str | None = None) -> Specification:
    """Return the resolved specification of an experiment, all its references checked (see `run`), a guide below ``root`` pinned.

    Raises:
        SpecificationError: Listing all problems of the experiment.
    """

    def read(references: bool) -> Specification:
        if isinstance(experiment, Specification | Mapping):
            return from_mapping(experiment, overrides, references=references)
        return load_specification(experiment, overrides, references=references)

    try:
        specification = read(references=False)
        overrides, learns = with_pinned_guide(specification, overrides, root), specification.learner is not None
    except SpecificationError:
        learns = True  # the whole list of problems is made below
    if learns:
        from autorl.engine.devices import start

        start()  # checking an environment makes arrays, and devices can only be made before the first one
    return read(references=True)


def _check_runnable(specification: Specification) -> None:
    if specification.learner is None:
        raise UsageError("learner: this study has none, so only study.ask() and study.tell() can drive it")


def resume_command(path: Path) -> str:
    """Return the command that goes on with the study at ``path``, as it can be typed where this one was."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "autorl" else "autorl"
    found = shutil.which("autorl")
    if found is not None and Path(found).resolve() == Path(program).resolve():
        program = "autorl"  # it is on the path: no need to say where
    return f"{shlex.quote(program)} resume {shlex.quote(str(path))}"


class Study:
    """One whole search, a folder on disk.

    Reading needs no lock. `run`, `ask` and `tell` make this object the study's one writer, until `close` (or the end of a ``with``
    block, or of the process).
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder
        try:
            self.specification = load_specification(folder.specification, references=False)
        except SpecificationError as error:
            raise StudyError(f"the specification of study {folder.name!r} is damaged: {error}") from error
        self._lock = StudyLock(folder.path)
        self._writer: Record | None = None
        self._logs: Logs | None = None
        self._asking: Any = None

    @property
    def path(self) -> Path:
        """The study's folder."""
        return self.folder.path

    def __repr__(self) -> str:
        return f"Study({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop being the writer. Closing twice is fine."""
        if self._logs is not None:
            self._logs.close()
            self._logs = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._asking = None
        self._lock.release()

    def run(self, report: Reporter | None = None) -> None:
        """Run every phase that is not finished, then write the report; a finished study is left as it is.

        See `autorl.run` for what it raises.
        """
        from autorl.engine.devices import start
        from autorl.engine.progress import silent
        from autorl.engine.session import Session, Stopper
        from autorl.engine.study_run import run_study

        _check_runnable(self.specification)
        if self.finished:
            if not self.folder.report.exists():  # somebody removed it
                self.report()
            return
        devices = start()
        specify(self.specification)
        with self, Stopper(f"Go on with: {resume_command(self.path)}") as stopper:
            record = self._write()
            manifest.note_start(self.folder.manifest, [str(d) for d in devices])
            session = Session(self.specification, self.folder, record, devices, report or silent, stopper)
            run_study(session)
            record.set_meta("programs", session.trainer.trace_counts())
            self.report()
            record.set_meta("finished", True)  # the last step: until then, resuming writes the report again

    @property
    def finished(self) -> bool:
        """Whether every phase has ended."""
        with Record.open(self.folder.record, readonly=True) as record:
            return bool(record.meta("finished", False))

    def trials(self, arm: Arm | None = "method", phase: Phase | None = "search") -> list[Trial]:
        """Return trials as plain data, by number; None stands for all arms or phases."""
        with Record.open(self.folder.record, readonly=True) as record:
            return record.trials(arm, phase)

    @property
    def space(self) -> Space | None:
        """The space searched; None without a search."""
        from autorl.spaces import load_space

        return None if self.specification.search is None else load_space(self.specification.search.space)

    @property
    def best(self) -> Candidate | None:
        """The best candidate: the winner among the finalists, or of the search trials so far; None before any completed."""
        trial = self.best_trial
        return None if trial is None else trial.candidate

    @property
    def best_trial(self) -> Trial | None:
        """The trial of `best`."""
        from autorl.engine.merit import best_trial

        return best_trial(self.specification, self.space, self.trials("method", None))

    @property
    def result(self) -> dict[str, Any]:
        """The result: scores on test seeds with intervals, beside the baselines; what is missing if the study is not finished."""
        from autorl.analysis.held_out import lessons_summary
        from autorl.analysis.proposals import proposals_of
        from autorl.analysis.result import summarise

        specification, trials = self.plain_specification(), self.trials(None, None)
        lessons = lessons_summary(self._tested(trials), specification)
        return {**summarise(trials, specification), **lessons, "proposals": proposals_of(self.folder.record)}

    def _tested(self, trials: Sequence[Trial]) -> dict[Arm, list[dict[str, Any]]]:
        return {t.arm: self.lessons(t) for t in trials if t.phase == "test"}

    def lessons(self, trial: Trial) -> list[dict[str, Any]]:
        """Return what became of a trial's held-out tasks, and what its teacher had played, for each training; empty without either."""
        with Record.open(self.folder.record, readonly=True) as record:
            return list(record.meta(lessons_key(trial.arm, trial.phase, trial.number), []))

    def curriculum(self, trial: Trial, environment: int = 0) -> dict[str, Any]:
        """Return which tasks the trainings of ``trial`` played in an environment (index): `autorl.analysis.curriculum.curriculum_of`."""
        from autorl.analysis.curriculum import curriculum_of

        return curriculum_of(self.specification, self.lessons(trial), environment, trial)

    def plain_specification(self) -> dict[str, Any]:
        """Return the resolved specification as plain JSON data."""
        return to_mapping(self.specification)

    def report(self) -> Path:
        """Write ``report.html`` (one self-contained file) and the Optuna storage beside the record; return the report's path."""
        from autorl.analysis.curriculum_page import readings
        from autorl.analysis.proposals import proposals_of
        from autorl.analysis.report import write_report
        from autorl.interop import optuna_storage

        trials = self.trials(None, None)
        about = manifest.read(self.folder.manifest)
        with Record.open(self.folder.record, readonly=True) as record:
            compiled = record.meta(COMPILED, [])
        plain, tested = self.plain_specification(), self._tested(trials)
        curricula, made = readings(self.specification, trials, tested), proposals_of(self.folder.record)
        write_report(
            self.folder.report, trials, plain, about, self.space, self.folder.figures, compiled, tested, curricula, made
        )
        if self.space is not None:
            started = datetime.fromisoformat(about["started"])
            optuna_storage.write(self.folder.optuna, self.folder.name, trials, self.space, started=started)
        return self.folder.report

    def export(self, to: str = "experiment") -> str:
        """Return the winner as text.

        Args:
            to: ``experiment``, YAML of its configuration or schedule, ready for ``autorl run``; ``sb3``, Stable-Baselines3's keyword
                arguments in Python; ``rl-zoo``, YAML of RL Baselines3 Zoo; ``cleanrl``, a command line; ``objective``, the loss graph that
                a search over losses found, as JSON (`export_objective` writes it with its provenance).

        Raises:
            StudyError: No trial has completed yet.
            UsageError: What cannot be written so, and what can.
        """
        from autorl.interop.export import EXPORTS

        return EXPORTS.load(to)(self.specification, self.best_trial, self.trials())

    def export_objective(self, folder: Path | str) -> Path:
        """Write the loss that a search over losses found as an objective of the catalogue; return its folder.

        Args:
            folder: ``./learned_objectives/NAME`` makes it known by name in the working directory. Its last part is the objective's name.

        Raises:
            StudyError, UsageError: As `autorl.interop.learned_objective.write`.
        """
        from autorl.interop.learned_objective import write

        about = manifest.read(self.folder.manifest)
        return write(Path(folder), self.specification, self.best_trial, self.trials(), self.result, about)

    def ask(self) -> Proposal:
        """Return the next candidate to try, for an objective function of your own (no jax needed).

        A trial that an earlier process asked for and never told is given out again first.

        Raises:
            UsageError: The budget is spent, or the method must be told pending trials before it can go on.
        """
        return self._asker().ask()

    def tell(self, trial: Proposal | int, score: float | None, status: Status | None = None) -> None:
        """Report a trial's score (higher is better). None or a non-finite score is a failure, ranked last, never an error.

        Args:
            trial: What `ask` returned, or its number.
            score: The score.
            status: Why it failed, where there is no score (`Status.CRASHED` unless given; a non-finite score is `Status.DIVERGED`).

        Raises:
            UsageError: No such pending trial.
        """
        self._asker().tell(trial.number if isinstance(trial, Proposal) else operator.index(trial), score, status)

    def results(self) -> list[Result]:
        """Return all told search trials as a search method is told them, in the order of telling."""
        from autorl.engine.methods import result_of

        space = self.space
        told = sorted((t for t in self.trials() if t.told is not None), key=lambda t: t.told or 0)
        return [] if space is None else [result_of(t, space) for t in told]

    def summary(self) -> dict[str, Any]:
        """Return everything as plain data: the specification, every trial, the best and the result."""
        best = self.best_trial
        return {
            "study": self.folder.name,
            "path": str(self.path),
            "finished": self.finished,
            "specification": self.plain_specification(),
            "trials": [asdict(trial) for trial in self.trials(None, None)],
            "best": None if best is None else asdict(best),
            "result": self.result,
        }

    def _write(self) -> Record:
        if self._writer is None:
            self._lock.acquire()
            self._writer = Record.open(self.folder.record)
            if self.specification.log:
                from autorl.interop.loggers.registry import start

                self._logs = start(self.specification, self.folder, self._writer)
        return self._writer

    def _asker(self) -> Any:
        from autorl.engine.asking import Asker

        if self._asking is None:
            if self.specification.learner is not None:
                raise UsageError(
                    "learner: this study trains agents by itself (study.run()); ask and tell are for studies without"
                )
            if self.specification.search is None:
                raise UsageError("search: this experiment has none, so there is nothing to ask for")
            self._asking = Asker(self.specification, self._write())
        return self._asking
