"""Every error a user can meet. Each names the field, the value and the remedy; none needs a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AutoRLError(Exception):
    """Base of all errors that are the user's to mend. The command line prints it without a traceback."""

    exit_code = 1


class UsageError(AutoRLError):
    """A wrong argument, name or value; or two choices that do not fit together."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is in no registry or catalogue."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        super().__init__(f"unknown {kind} {name!r}.{suggestion(name, self.known)}")


class IncompatibleError(UsageError):
    """A search method that cannot search the space, a learner that cannot act in the environment."""


class StudyError(AutoRLError):
    """A study on disk that cannot be opened, continued or trusted."""

    exit_code = 3


class UnknownStudyError(StudyError, UnknownNameError):
    """The name of a study that does not exist."""

    def __init__(self, name: str, root: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = "study", name, sorted(known)
        where = f"there is no study {name!r} in {root!r}."
        start = " There is none at all yet: start one with: autorl run quickstart"
        AutoRLError.__init__(self, where + (suggestion(name, self.known) if self.known else start))


class StudyLockedError(StudyError):
    """Another process is writing this study."""


class MissingDependencyError(AutoRLError):
    """An optional package that is not installed; the message says which extra brings it."""

    exit_code = 4


class StudyInterrupted(AutoRLError):
    """The study was stopped (Ctrl-C) after saving; the message says how to resume."""

    exit_code = 130


class StoppedAtOnce(StudyInterrupted):
    """The study was stopped by a second Ctrl-C, in the midst of its work; every finished trial is saved."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` or the list of known names, with a leading space."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(known) or 'none'}."
