"""Checkpoints give back the exact arrays, or an error that names the file: whatever was done to the bytes."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorl.errors import StudyError, UsageError
from autorl.studies import checkpoint
from autorl.studies.checkpoint import CheckpointError

DTYPES = ["?", "i1", "u1", "<i2", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16", ">f4", ">i8"]


def example() -> dict[str, np.ndarray]:
    return {
        "params/Dense_0/kernel": np.arange(12, dtype=np.float32).reshape(3, 4) / 7,
        "['opt'][0].mu": np.asfortranarray(np.array([[np.nan, np.inf], [-0.0, 5e-324]])),
        "step": np.int32(5),
        "flag": np.array(True),
        "empty": np.zeros((0, 3), np.uint32),
    }


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return list(found) == list(expected) and all(
        found[k].dtype == np.asarray(v).dtype
        and found[k].shape == np.asarray(v).shape
        and found[k].tobytes() == np.asarray(v).tobytes()
        for k, v in expected.items()
    )


def test_arrays_and_meta_come_back_exactly(tmp_path: Path) -> None:
    meta = {"trial": 3, "x": 0.1 + 0.2, "list": [None, True]}
    path = checkpoint.save(tmp_path, "trial-3", example(), meta)
    arrays, found = checkpoint.load(tmp_path, "trial-3")
    assert same(arrays, example())
    assert found == meta
    assert all(a.flags.writeable and a.flags.c_contiguous for a in arrays.values())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trial-3.npz"]
    with np.load(path, allow_pickle=False) as opened:  # numpy reads it without us
        np.testing.assert_array_equal(opened["params/Dense_0/kernel"], example()["params/Dense_0/kernel"])
        assert opened["step"] == 5


@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(0, 4), max_size=4),
    key=st.text(st.characters(codec="utf-8", exclude_characters="\\/"), min_size=1, max_size=20).filter(
        lambda s: s.isprintable() and s != ".."
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_array_survives(tmp_path_factory, dtype: str, shape: list[int], key: str, seed: int) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    kind = np.dtype(dtype)
    data = np.random.default_rng(seed).bytes(int(np.prod(shape, dtype=int)) * kind.itemsize)
    array = np.frombuffer(data, kind).reshape(shape) if kind.kind != "b" else np.zeros(shape, bool)
    checkpoint.save(folder, "a", {key: array})
    arrays, meta = checkpoint.load(folder, "a")
    assert same(arrays, {key: array})
    assert meta is None


def test_equal_content_makes_equal_files(tmp_path: Path) -> None:
    first = checkpoint.save(tmp_path, "a", example(), {"k": 1}).read_bytes()
    time.sleep(0.01)
    assert checkpoint.save(tmp_path, "b", example(), {"k": 1}).read_bytes() == first


def test_saving_replaces_and_pruning_keeps_what_is_named(tmp_path: Path) -> None:
    for number in range(5):
        checkpoint.save(tmp_path, f"g{number}", {"x": np.full(3, number)})
    checkpoint.save(tmp_path, "g1", {"x": np.full(3, 10)})
    assert checkpoint.load(tmp_path, "g1")[0]["x"].tolist() == [10, 10, 10]
    (tmp_path / "g9.npz.tmp").write_bytes(b"left by a killed process")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "Not Ours.npz").write_text("mine")
    assert checkpoint.names(tmp_path) == [f"g{n}" for n in range(5)]
    assert checkpoint.prune(tmp_path, ["g1", "g4", "unknown"]) == ["g0", "g2", "g3"]
    assert checkpoint.names(tmp_path) == ["g1", "g4"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Not Ours.npz", "g1.npz", "g4.npz", "notes.txt"]


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "A", "a" * 65, "a\n", "a\0", "/a", "ä"])
def test_unsafe_names_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for attempt in (lambda: checkpoint.save(folder, name, {}), lambda: checkpoint.load(folder, name)):
        with pytest.raises(UsageError, match=r"checkpoint name .* is not allowed"):
            attempt()
    assert [p.name for p in tmp_path.rglob("*")] == ["checkpoints"]


@pytest.mark.parametrize("key", ["", "/a", "a/../b", "..", "a\\b", "a\0", "a\n", "x" * 513, 3])
def test_unsafe_array_paths_are_refused(tmp_path: Path, key: object) -> None:
    with pytest.raises(UsageError, match="array path"):
        checkpoint.save(tmp_path, "a", {key: np.zeros(1)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.array(["text"]),
        np.zeros(2, "V2"),
        np.zeros(1, [("a", "f4")]),
        np.array(["2026-01-01"], "M8[D]"),
        np.zeros(1, np.longdouble),
        None,
    ],
)
def test_what_is_no_number_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(UsageError, match=r"array 'x' has dtype .* only booleans and numbers"):
        checkpoint.save(tmp_path, "a", {"x": value})
    assert list(tmp_path.iterdir()) == []


def test_links_are_neither_read_nor_written_through(tmp_path: Path) -> None:
    real, linked = tmp_path / "real", tmp_path / "linked"
    real.mkdir()
    linked.symlink_to(real)
    checkpoint.save(real, "a", example())
    (real / "b.npz").symlink_to(real / "a.npz")
    for attempt in (
        lambda: checkpoint.load(real, "b"),
        lambda: checkpoint.save(real, "b", {}),
        lambda: checkpoint.load(linked, "a"),
        lambda: checkpoint.save(linked, "a", {}),
        lambda: checkpoint.prune(linked, []),
    ):
        with pytest.raises(CheckpointError, match="symbolic link"):
            attempt()
    (real / "c.npz.tmp").symlink_to(tmp_path / "elsewhere")  # a planted temporary file is replaced, not followed
    checkpoint.save(real, "c", example())
    assert not (tmp_path / "elsewhere").exists()
    assert same(checkpoint.load(real, "a")[0], example())
    assert checkpoint.names(real) == ["a", "c"]


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a\.npz.*No such file"):
        checkpoint.load(tmp_path, "a")
    with pytest.raises(CheckpointError, match="No such file"):
        checkpoint.save(tmp_path / "missing", "a", {})
    with pytest.raises(CheckpointError, match="No such file"):
        checkpoint.names(tmp_path / "missing")
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(CheckpointError, match=r"d\.npz"):
        checkpoint.load(tmp_path, "d")


def load_or_error(folder: Path, content: bytes) -> dict[str, np.ndarray] | None:
    """Return what ``content`` loads as, or None after a `CheckpointError` that names the file."""
    (folder / "hurt.npz").write_bytes(content)
    try:
        return checkpoint.load(folder, "hurt")[0]
    except CheckpointError as error:
        message = str(error)
    assert "hurt.npz" in message
    assert "damaged" in message
    return None


def test_truncated_anywhere_is_an_error(tmp_path: Path) -> None:
    content = checkpoint.save(tmp_path, "a", example(), {"k": 1}).read_bytes()
    for length in (*range(0, len(content), 7), *range(len(content) - 60, len(content))):
        assert load_or_error(tmp_path, content[:length]) is None, length


def test_any_flipped_byte_gives_an_error_or_the_exact_arrays(tmp_path: Path) -> None:
    arrays = {"x": np.array([[1.5, -0.0]], np.float32), "n": np.int32(5)}
    content = checkpoint.save(tmp_path, "a", arrays, {"k": 1}).read_bytes()
    draws = random.Random(3)
    errors = 0
    for position in range(len(content)):
        hurt = bytearray(content)
        hurt[position] ^= draws.randrange(1, 256)
        found = load_or_error(tmp_path, bytes(hurt))
        errors += found is None
        assert found is None or same(found, arrays), position
    assert errors > len(content) / 2  # the rest are dates and flags of the zip format that mean nothing here


@given(data=st.data())
def test_mangled_files_give_an_error_or_the_exact_arrays(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    content = bytearray(checkpoint.save(folder, "a", example(), {"k": 1}).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(len(content), start + 64)))
        content[start:stop] = data.draw(st.binary(max_size=64))
    found = load_or_error(folder, bytes(content))
    assert found is None or same(found, example())


@given(content=st.binary(max_size=400))
def test_random_bytes_are_an_error(tmp_path_factory, content: bytes) -> None:
    assert load_or_error(tmp_path_factory.mktemp("checkpoints"), content) is None


def forged(index: object, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("index.json", index if isinstance(index, bytes) else json.dumps(index))
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy(descr: str, shape: str, data: bytes) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def leaf(**changes: object) -> dict[str, object]:
    return {"path": "x", "dtype": "<f4", "shape": [1], "sha256": "0" * 64, **changes}


def index_of(*leaves: dict[str, object], version: object = 1) -> dict[str, object]:
    return {"version": version, "leaves": list(leaves), "meta": None}


HUGE = 2**62
FORGERIES = {
    "a shape far beyond the file": (index_of(leaf(shape=[HUGE])), {"x.npy": npy("'<f4'", f"({HUGE},)", b"1234")}),
    "a shape whose product overflows": (index_of(leaf(shape=[HUGE, 4])), {"x.npy": npy("'<f4'", f"({HUGE}, 4)", b"")}),
    "a negative dimension": (index_of(leaf(shape=[-1])), {"x.npy": npy("'<f4'", "(-1,)", b"1234")}),
    "a dimension that is no integer": (index_of(leaf(shape=[True])), {"x.npy": npy("'<f4'", "(True,)", b"1234")}),
    "a pickled object": (index_of(leaf(dtype="|O")), {"x.npy": npy("'|O'", "(1,)", b"cos\nsystem\n(S'true'\ntR.")}),
    "a header of another type": (index_of(leaf()), {"x.npy": npy("'<i4'", "(1,)", b"1234")}),
    "a text array": (index_of(leaf(dtype="<U1")), {"x.npy": npy("'<U1'", "(1,)", b"1234")}),
    "a record type": (index_of(leaf(dtype="f4,f4")), {"x.npy": npy("'f4,f4'", "(1,)", b"12345678")}),
    "a wrong hash": (index_of(leaf()), {"x.npy": npy("'<f4'", "(1,)", b"1234")}),
    "bytes left over": (index_of(leaf()), {"x.npy": npy("'<f4'", "(1,)", b"12345")}),
    "a member outside": (index_of(leaf(path="../x")), {"../x.npy": npy("'<f4'", "(1,)", b"1234")}),
    "an absolute member": (index_of(leaf(path="/x")), {"/x.npy": npy("'<f4'", "(1,)", b"1234")}),
    "a member that the index lacks": (index_of(), {"x.npy": b""}),
    "a member that is missing": (index_of(leaf()), {}),
    "the same leaf twice": (index_of(leaf(), leaf()), {"x.npy": npy("'<f4'", "(1,)", b"1234")}),
    "another version": (index_of(version=2), {}),
    "an index that is a list": ([], {}),
    "an index without leaves": ({"version": 1}, {}),
    "leaves that are numbers": ({"version": 1, "leaves": [1], "meta": None}, {}),
    "an index nested too deep": (b"[" * 200_000, {}),
    "an index that is no text": (b"\xff\xfe", {}),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_forged_files_are_refused_before_memory_is_taken(tmp_path: Path, case: str) -> None:
    content = forged(*FORGERIES[case])
    tracemalloc.start()
    try:
        assert load_or_error(tmp_path, content) is None
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    bomb = forged(
        index_of(leaf(shape=[10**8])), {"x.npy": npy("'<f4'", "(100000000,)", bytes(4 * 10**7))}, zipfile.ZIP_DEFLATED
    )
    assert len(bomb) < 100_000
    assert load_or_error(tmp_path, bomb) is None


WRITER = """
import sys
import numpy as np
from autorl.studies import checkpoint

print("go", flush=True)
number = int(sys.argv[2])
while True:
    number += 1
    checkpoint.save(sys.argv[1], "state", {"x": np.full(50_000, number), "y": np.full(7, -number)}, {"number": number})
    print(number, flush=True)
"""


def test_sigkill_leaves_the_old_checkpoint_or_the_new_one(tmp_path: Path) -> None:
    draws = random.Random(5)
    checkpoint.save(tmp_path, "state", {"x": np.full(50_000, 0), "y": np.full(7, 0)}, {"number": 0})
    number = 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "go\n"
        time.sleep(draws.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        printed = process.communicate()[0].split()
        arrays, meta = checkpoint.load(tmp_path, "state")
        written = max([number, *map(int, printed)])
        number = meta["number"]
        assert written <= number <= written + 1
        assert arrays["x"].tolist() == [number] * 50_000
        assert arrays["y"].tolist() == [-number] * 7
        assert checkpoint.names(tmp_path) == ["state"]
    assert number > 0
    checkpoint.prune(tmp_path, ["state"])
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


LIMITED = """
import resource, sys
import numpy as np
from autorl.studies import checkpoint

folder = sys.argv[1]
for limit in (0, 10, 100, 1000, 5000, 8500, 9000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        checkpoint.save(folder, "a", {"x": np.ones(1000)})
        print("saved")
    except checkpoint.CheckpointError as error:
        print(error)
"""


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, "a", {"x": np.zeros(1000)})
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *messages, last = done.stdout.strip().splitlines()
    assert len(messages) == 6
    assert all("File too large. The disk, a quota or a file size limit is full" in message for message in messages)
    assert all(str(tmp_path / "a.npz") in message for message in messages)
    assert last == "saved"
    assert done.stderr == ""
    assert checkpoint.load(tmp_path, "a")[0]["x"].sum() == 1000
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_a_failed_rename_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch) -> None:
    checkpoint.save(tmp_path, "a", {"x": np.zeros(3)})

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(StudyError, match="No space left on device"):
            checkpoint.save(tmp_path, "a", {"x": np.ones(3)})
    assert checkpoint.load(tmp_path, "a")[0]["x"].sum() == 0
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
