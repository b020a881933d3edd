"""Starting jax so that every core works: on a CPU the cores are devices, and a population is sharded over them.

XLA's own threading hurts networks as small as an agent's; one host device for each core, each with its share of the population, gives
about twice the throughput on two cores. This must happen before jax makes its first array, so the command line calls `start` first.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

LOOPS_FLAG = (
    "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1000000000000000,"
    "xla_force_enable_experimental_llvm_ir_gemm=true"
)
"""What `in_one_piece` needs: every loop counts as small, whatever it holds, and every matrix product can be emitted among other code."""
NO_LIBRARY = "xla_cpu_experimental_ynn_fusion_type"
"""Empty, no product is left to XLA's library. What the user set stands."""
ONE_THREAD_FLAG = "--xla_cpu_multi_thread_eigen=false"
LEVEL = "xla_backend_optimization_level"


def xla_flags() -> tuple[str, ...]:
    """Return the flags that `start` gives XLA, each only where the user has not set it.

    Wider vectors; no threads inside a device, as the cores are devices already; and with the jaxlib that it was measured with, what
    `in_one_piece` needs, by which loops without a library's product, a sort or a scatter are functions of their own in every program. None
    relaxes arithmetic.
    """
    always = ("--xla_cpu_prefer_vector_width=512", ONE_THREAD_FLAG)
    return (*always, LOOPS_FLAG) if version("jaxlib").startswith("0.10.") else always


def cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cache_folder() -> Path | None:
    """Return the folder of compiled programs (``$AUTORL_CACHE``, else the user's cache), or None where nothing can be written."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # the name tells of `unsplit`: what was compiled without it would be found under the same keys
    folder = Path(os.environ.get("AUTORL_CACHE") or os.path.join(home, "autorl")) / "xla-unsplit"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


@contextlib.contextmanager
def mended_cache() -> Iterator[None]:
    """Empty the folder of compiled programs if one in it proves damaged while compiling.

    jax does not write its entries atomically: a kill can leave half of one, which costs a warning and a compilation every time.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    damaged = [w for w in caught if str(w.message).startswith("Error reading persistent compilation cache entry")]
    folder = cache_folder() if damaged else None
    if folder is not None:
        for entry in folder.glob("*"):
            with contextlib.suppress(OSError):
                entry.unlink()
    for warning in caught:
        if warning not in damaged:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


@contextlib.contextmanager
def unsplit() -> Iterator[None]:
    """Compile without splitting operations among threads; on Linux, elsewhere this does nothing.

    XLA splits operations on large arrays among the cores that the compiling thread may use. Here the cores are busy with other lanes, so
    the parts wait for one another; and parts of unequal length are compiled without vector instructions. No option turns it off, so while
    compiling all threads share one core, which makes compiling longer. The numbers are the same, bit by bit.
    ``benchmarks/wide_networks.py`` measures both times and compares the results.
    """
    tasks = Path("/proc/self/task")
    if not hasattr(os, "sched_setaffinity") or not tasks.is_dir():
        yield
        return
    ours = os.sched_getaffinity(0)
    one = {sorted(ours)[os.getpid() % len(ours)]}  # programs compiled by several processes do not share a core
    before: dict[int, set[int]] = {}
    for thread in _threads(tasks):
        with contextlib.suppress(OSError):  # it has ended
            before[thread] = os.sched_getaffinity(thread)
            os.sched_setaffinity(thread, one)
    try:
        yield
    finally:
        for thread in _threads(tasks):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, before.get(thread, ours))


def in_one_piece() -> dict[str, str]:
    """Return the compiler options by which XLA's CPU backend makes one function of a loop; none where it cannot.

    Otherwise it runs the body of a loop operation by operation, matrix products by a library: for networks as small as an agent's, going
    from one to the next costs about as much as the arithmetic. Sorts, scatters and calls of libraries cannot be part of such a function;
    a loop that holds one is left as it was, but for its products, which are slower then. ``benchmarks/one_piece.py`` measures both.
    LLVM's first level compiles such a function sooner than its third, and what it makes is no slower.

    Needs `xla_flags` from before jax started; without threads, too: with them products among other code are plain loops, far slower.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if LOOPS_FLAG not in flags or ONE_THREAD_FLAG not in flags or NO_LIBRARY in flags:
        return {}
    return {NO_LIBRARY: ""} if LEVEL in flags else {NO_LIBRARY: "", LEVEL: "1"}


def _threads(tasks: Path) -> list[int]:
    return [int(entry.name) for entry in tasks.iterdir()]


def start(count: int | None = None) -> list[Any]:
    """Start jax and return the devices a population is sharded over.

    Args:
        count: Host devices to make on a CPU; when None as many as ``XLA_FLAGS`` says or as there are cores, and never one: XLA compiles a
            program for one device by other rules than for several, so two devices on a single core keep the numbers the same on every
            machine. Ignored once jax has started, and where there is an accelerator.

    Returns:
        The devices, a power of two of them (lanes are padded to powers of two, so a third device would idle).
    """
    flags = os.environ.get("XLA_FLAGS", "")
    wanted = [flag for flag in xla_flags() if flag.split("=")[0] not in flags]  # what the user set stands
    os.environ["XLA_FLAGS"] = " ".join([flags, *wanted]).strip()
    import jax

    stands = re.search(r"--xla_force_host_platform_device_count=(\d+)", flags)
    asked = count or (int(stands[1]) if stands and int(stands[1]) > 1 else cores())
    try:
        # one of the two is another number than it has, and a change is refused once jax has started
        for number in (max(2, asked) + 1, max(2, asked)):
            jax.config.update("jax_num_cpu_devices", number)
    except RuntimeError:
        # jax has started (a notebook, a test): its devices are used as they are, and the flags came too late
        os.environ["XLA_FLAGS"] = flags
    folder = cache_folder()
    if folder is not None and not jax.config.values["jax_compilation_cache_dir"]:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    devices = jax.devices()
    return devices[: 1 << (len(devices).bit_length() - 1)]
