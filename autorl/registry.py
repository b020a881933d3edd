"""A typed table from names to lazily imported factories. Adding an entry is one line in one registry."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

from autorl.errors import UnknownNameError, UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Immutable mapping of public names to ``"module:attribute"`` strings, imported on first use."""

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def with_those_of(self, other: Registry[Any]) -> Registry[Any]:
        """Return the registry of both, these first."""
        return Registry(self.kind, {**self._entries, **other._entries})

    def load(self, name: str) -> T:
        """Import and return the entry called ``name``; raise `UnknownNameError` with a suggestion otherwise."""
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        return cast(T, load_attribute(self._entries[name]))


def load_attribute(reference: str) -> object:
    """Import ``package.module:attribute``; raise `UsageError` that says which half is wrong."""
    module_name, separator, attribute = reference.partition(":")
    if not separator or not module_name or not attribute:
        raise UsageError(f"expected 'module:attribute', got {reference!r}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and not (module_name + ".").startswith(error.name + "."):
            raise  # the module exists; something that it imports does not
        raise UsageError(f"no module named {module_name!r} (from {reference!r})") from error
    try:
        found: object = getattr(module, attribute)
    except AttributeError as error:
        raise UsageError(f"module {module_name!r} has no attribute {attribute!r}") from error
    return found
