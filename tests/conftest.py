"""What every test runs under: four host devices, a CPU, a cache of compiled programs. Imports no jax: collecting stays quick."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import hypothesis

DEVICES_FLAG = "--xla_force_host_platform_device_count"


def _set_up_jax() -> None:
    """Set what jax reads when it is first imported, here and in the processes that tests start; the environment's word counts."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    flags = os.environ.get("XLA_FLAGS", "")
    if DEVICES_FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {DEVICES_FLAG}=4".strip()
    cache = _private_folder(Path(tempfile.gettempdir()) / f"autorl-tests-{os.getuid()}")
    if cache is not None:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")


def _private_folder(path: Path) -> Path | None:
    """Return ``path`` as a folder that only this user can write, or None: compiled programs are run, so they must be ours."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except OSError:
        return None
    safe = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
    return path if safe else None


_set_up_jax()

# Shared machines stall: a deadline would fail at random. `make test` draws the same examples every time, `make test-all` new ones.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=300)
hypothesis.settings.load_profile("default")
