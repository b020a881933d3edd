"""What every test runs under: four host devices, a CPU, a compilation cache of its own. Imports no jax: collecting stays quick."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.metadata import version

import hypothesis
import pytest

from autorl.engine.devices import xla_flags

DEVICES_FLAG = "--xla_force_host_platform_device_count"
LEVEL_FLAG = "--xla_backend_optimization_level"
EMITTERS_FLAG = "--xla_cpu_use_fusion_emitters"


def _set_up_jax() -> str:
    """Set what jax reads when it is first imported, here and in the processes that tests start; return the cache's folder."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    flags = os.environ.get("XLA_FLAGS", "")
    # Compiling is most of what tests do: without LLVM's passes it takes two thirds of the time, and with XLA's older way to emit loops
    # two thirds of that. What is about the bits of compiled programs (the mark `bits`) `make test` runs as users compile, and
    # `make test-all` everything.
    wanted = {DEVICES_FLAG: "4"}
    if os.environ.get("AUTORL_TESTS") != "as-users":
        wanted[LEVEL_FLAG] = "0"
        if version("jaxlib").startswith("0.10."):  # a flag that XLA does not know ends the process
            wanted[EMITTERS_FLAG] = "false"
    for flag, value in [*wanted.items(), *(flag.split("=", 1) for flag in xla_flags())]:
        if flag not in flags:
            flags = f"{flags} {flag}={value}"
    os.environ["XLA_FLAGS"] = flags.strip()
    # Never the user's cache, nor that of a neighbour: jax does not write entries atomically, and tests kill processes.
    os.environ["AUTORL_CACHE"] = tempfile.mkdtemp(prefix="autorl-tests-")
    return os.environ["AUTORL_CACHE"]


_CACHE = _set_up_jax()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the compilation cache of this test run."""
    shutil.rmtree(_CACHE, ignore_errors=True)


# Shared machines stall: a deadline would fail at random. `make test` draws the same examples every time, `make test-all` new ones.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=300)
hypothesis.settings.load_profile("default")
