"""The registry of loggers, and the study's end of them: a logger that fails is left out from then on, and the study goes on."""

from __future__ import annotations

import contextlib
import importlib.util
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from autorl.errors import MissingDependencyError, UnknownNameError, UsageError
from autorl.interop.loggers.protocol import Logger, Run, entry_of
from autorl.registry import Registry
from autorl.studies.folder import StudyFolder
from autorl.studies.record import Record
from autorl.studies.specification import Specification, to_mapping
from autorl.studies.trial import Trial

LOGGERS: Registry[type[Logger]] = Registry(
    "logger",
    {
        "tensorboard": "autorl.interop.loggers.tensorboard:TensorBoard",
        "wandb": "autorl.interop.loggers.wandb:WeightsAndBiases",
        "mlflow": "autorl.interop.loggers.mlflow:MLflow",
    },
)
"""Name -> class, made with a `Run`. A new logger is one new file and one line here."""


def check(names: Sequence[str]) -> None:
    """Check that all loggers of ``names`` are known and their packages installed, without importing these.

    Raises:
        UsageError: No such logger; the message suggests one.
        MissingDependencyError: Its package is not installed; the message says which extra brings it.
    """
    for name in names:
        if name not in LOGGERS:
            raise UsageError(f"log: {UnknownNameError('logger', name, LOGGERS)}")
        logger = LOGGERS.load(name)
        if importlib.util.find_spec(logger.package) is None:
            raise MissingDependencyError(
                f"log: {name!r} needs the package {logger.package!r}, which is not installed. "
                f"Remedy: pip install 'autorl[{logger.extra}]'"
            )


def to_standard_error(text: str) -> None:
    """Print a warning where progress is shown."""
    with contextlib.suppress(OSError):
        print(f"warning: {text}", file=sys.stderr, flush=True)


def start(specification: Specification, folder: StudyFolder, record: Record) -> Logs:
    """Start the loggers of a study; they are told of every trial that ``record`` stores from now on.

    A resumed study has the identity of its first start, by which services go on in the same run.
    """
    identity = record.meta("log identity") or secrets.token_hex(8)
    record.set_meta("log identity", identity)
    logs = Logs(specification.log, Run(folder.name, identity, folder.logs, to_mapping(specification)))
    record.ended = logs.ended
    return logs


class Logs:
    """The loggers of one running study. Use as a context manager, or `close`."""

    def __init__(self, names: Sequence[str], run: Run, say: Callable[[str], None] = to_standard_error) -> None:
        self._say = say
        self._loggers: dict[str, Logger] = {}
        for name in dict.fromkeys(names):
            with self._patiently(name):
                run.folder.mkdir(parents=True, exist_ok=True)
                # through a name of the class's own: a protocol says nothing of how it is made
                factory: Callable[[Run], Logger] = LOGGERS.load(name)
                self._loggers[name] = factory(run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ended(self, trials: Sequence[Trial]) -> None:
        """Write trials that have ended (and are saved)."""
        for name, logger in list(self._loggers.items()):
            with self._patiently(name):
                for trial in trials:
                    logger.trial(entry_of(trial))

    def close(self) -> None:
        """Close every logger. Closing twice is fine."""
        for name, logger in list(self._loggers.items()):
            with self._patiently(name):
                logger.close()
        self._loggers = {}

    @contextlib.contextmanager
    def _patiently(self, name: str) -> Iterator[None]:
        """Whatever fails inside costs the logger, never the study."""
        try:
            yield
        except Exception as error:
            self._loggers.pop(name, None)
            text = " ".join(str(error).split())[:300]
            self._say(f"logger {name!r} failed ({type(error).__name__}: {text}); the study goes on without it")
