"""gymnax without the libraries that it draws with: importing it whole takes twice as long, and training draws nothing.

Import gymnax from here. What its drawing functions need is imported when one of them is called.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stands for a module, in the modules that imported it, until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # `inspect` asks every module for its file
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:  # used at once, within the block
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Put off the imports of ``names`` by what is imported within; modules that are loaded already, and imports after it, are as ever."""
    put_off = [name for name in names if name not in sys.modules]
    sys.modules.update({name: _Deferred(name) for name in put_off})
    try:
        yield
    finally:
        for name in put_off:
            if isinstance(sys.modules.get(name), _Deferred):
                del sys.modules[name]


with deferred("matplotlib.pyplot", "seaborn"):
    import gymnax
    from gymnax.environments import spaces
    from gymnax.environments.bsuite.deep_sea import DeepSea

__all__ = ["DeepSea", "deferred", "gymnax", "spaces"]
