"""Cells from files: four formats, and everything that is refused, in one line that names the key."""

import io
import json
import os
import pickle
import struct
import zipfile

import h5py
import jax
import jax.numpy as jnp
import jaxtyping
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from gru_sweep.records import InputError
from gru_sweep.systems import weights
from gru_sweep.systems.weights import load

CELL = {
    "U_h": np.array([[3.0, -1.25], [0.5, 2.0]]),
    "U_r": np.array([[0.0, 1e6], [-1e9, 2.0]]),
    "b_z": np.array([0.1, -0.2]),
    "b_hn": np.array([1.0, 2.0]),
    "W_h": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
}


def write_json(path, parts, reset=None):
    document = {key: np.asarray(value).tolist() for key, value in parts.items()}
    path.write_text(json.dumps(document | ({"reset": reset} if reset else {})))


def write_npz(path, parts, reset=None):
    np.savez(path, **parts, **({"reset": reset} if reset else {}))


def write_h5(path, parts, reset=None):
    with h5py.File(path, "w") as file:
        for key, value in parts.items():
            file[key] = value
        if reset:
            file["reset"] = reset


def write_safetensors(path, parts, reset=None):
    arrays = {key: np.ascontiguousarray(value) for key, value in parts.items()}
    save_file(arrays, path, metadata={"reset": reset} if reset else None)


WRITERS = {
    ".json": write_json,
    ".npz": write_npz,
    ".h5": write_h5,
    ".safetensors": write_safetensors,
}


@pytest.fixture(params=WRITERS)
def ending(request):
    return request.param


@pytest.fixture
def write(tmp_path):
    """Writes parts to a file of an ending and gives its path."""

    def write(ending, parts, reset=None, name="cell"):
        path = tmp_path / f"{name}{ending}"
        WRITERS[ending](path, parts, reset)
        return path

    return write


def refused(path, *words, member=None):
    """The one line with which a file is refused; every word is in it."""
    with pytest.raises(InputError) as caught:
        load(path, member)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text
    return caught.value


def test_every_format_gives_the_cell_that_was_written(write, ending):
    cell = load(write(ending, CELL, "after"))
    assert cell.reset == "after"
    for part in weights.PARTS:
        found = getattr(cell, part)
        if part in CELL:
            np.testing.assert_array_equal(found, CELL[part])
            assert found.dtype == np.float64
        else:
            assert found is None


def test_what_is_missing_is_zero_and_the_reset_gate_comes_first(write, ending):
    cell = load(str(write(ending, {"U_h": np.eye(2)})))
    assert cell.reset == "before"
    h = jnp.array([0.3, -0.4])
    np.testing.assert_allclose(cell(h), (jnp.tanh(h / 2) - h) / 2, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float16", "float32", ">f8"])
def test_any_real_type_will_do(write, dtype):
    matrix = np.array([[1, 2], [3, 4]], dtype)
    for ending in (".npz", ".h5"):
        np.testing.assert_array_equal(load(write(ending, {"U_h": matrix})).U_h, [[1, 2], [3, 4]])


def test_bfloat16_is_real_too(write):
    cell = load(write(".safetensors", {"U_h": np.array([[1, 2], [3, 0.5]], ml_dtypes.bfloat16)}))
    np.testing.assert_array_equal(cell.U_h, [[1, 2], [3, 0.5]])


def test_json_integers_of_any_length_are_numbers(tmp_path):
    path = tmp_path / "c.json"
    path.write_text('{"U_h": [[1, 100000000000000000000000000], [0, 2.5]]}')
    np.testing.assert_array_equal(load(path).U_h, [[1, 1e26], [0, 2.5]])


def test_the_endings_case_does_not_matter(write, tmp_path):
    path = write(".npz", CELL, "after").rename(tmp_path / "CELL.NPZ")
    assert load(path).dimension == 2


def test_the_place_of_the_reset_gate_may_be_an_attribute_of_h5(write):
    path = write(".h5", CELL)
    with h5py.File(path, "a") as file:
        file.attrs["reset"] = "after"
    assert load(path).reset == "after"
    with h5py.File(path, "a") as file:
        file["reset"] = "after"
    refused(path, "--weights", "once", "reset")


def test_a_member_of_a_file_of_several(write, ending, tmp_path):
    path = tmp_path / f"many{ending}"
    cells = {"small": {"U_h": np.eye(2)}, "large": {"U_h": 2 * np.eye(2), "b_r": np.ones(2)}}
    if ending == ".json":
        path.write_text(
            json.dumps({name: {k: v.tolist() for k, v in c.items()} for name, c in cells.items()})
        )
    else:
        flat = {f"{name}/{key}": value for name, cell in cells.items() for key, value in cell.items()}
        WRITERS[ending](path, flat)
    np.testing.assert_array_equal(load(path, "large").U_h, 2 * np.eye(2))
    assert load(path, "small").b_r is None
    assert refused(path, "small", "did you mean 'large'", member="lagre").argument == "member"
    assert refused(path, "one of", "small", "large", "nothing").argument == "member"
    refused(write(ending, CELL, "after"), "None", member="large")


def test_the_parts_of_a_members_name_may_come_in_any_order(write, ending, tmp_path):
    path = tmp_path / f"many{ending}"
    cells = {f"dim=2,seed={i}": {"U_h": i * np.eye(2)} for i in range(30)}
    if ending == ".json":
        path.write_text(json.dumps({n: {k: v.tolist() for k, v in c.items()} for n, c in cells.items()}))
    else:
        flat = {f"{name}/{key}": value for name, cell in cells.items() for key, value in cell.items()}
        WRITERS[ending](path, flat)
    np.testing.assert_array_equal(load(path, "seed=3, dim=2").U_h, 3 * np.eye(2))
    error = refused(path, "18 more", "seed=30", member="dim=2,seed=30")
    assert len(str(error)) < 400


def test_the_company_of_a_cell_is_passed_over(tmp_path):
    """A file of trained networks: axes with names, a readout and snapshots beside each cell."""
    with h5py.File(tmp_path / "many.h5", "w") as file:
        file["loss"] = np.zeros(3)
        cell = file.create_group("dim=2,seed=0")
        cell["U_h"] = 2 * np.eye(2)
        cell["unit"] = np.arange(2)
        cell["unit"].make_scale()
        cell.create_group("readout")["C"] = np.eye(2)
    np.testing.assert_array_equal(load(tmp_path / "many.h5", "dim=2,seed=0").U_h, 2 * np.eye(2))
    with h5py.File(tmp_path / "many.h5", "a") as file:
        file["dim=2,seed=0/strange"] = np.zeros(3)
    refused(tmp_path / "many.h5", "strange", member="dim=2,seed=0")


BAD_PARTS = {
    "not square": ({"U_h": np.zeros((2, 3))}, ["U_h", "square", "(2, 3)"]),
    "one row": ({"U_h": np.zeros(4)}, ["U_h", "square", "(4,)"]),
    "disagreeing": ({"U_h": np.eye(2), "U_r": np.eye(3)}, ["U_r", "(2, 2)", "(3, 3)"]),
    "bias": ({"U_h": np.eye(2), "b_h": np.zeros(3)}, ["b_h", "(2)", "(3,)"]),
    "input": ({"U_h": np.eye(2), "W_h": np.zeros((3, 1))}, ["W_h", "(3, 1)"]),
    "missing": ({"U_r": np.eye(2)}, ["key U_h", "got U_r"]),
    "nan": ({"U_h": np.array([[1, np.nan], [0, 1]])}, ["U_h", "finite", "nan"]),
    "infinite": ({"U_h": np.eye(2), "b_r": np.array([0, -np.inf])}, ["b_r", "finite", "-inf"]),
    "unknown": ({"U_h": np.eye(2), "U_hh": np.eye(2)}, ["'U_hh'", "did you mean 'U_h'"]),
    "empty": ({"U_h": np.zeros((0, 0))}, ["U_h", "(0"]),
    "b_hn": ({"U_h": np.eye(2), "b_hn": np.zeros(2)}, ["b_hn", "reset='before'"]),
}


@pytest.mark.parametrize("case", BAD_PARTS)
def test_bad_parts_are_refused_in_every_format(write, ending, case):
    parts, words = BAD_PARTS[case]
    path = write(ending, parts)
    assert refused(path, str(path), *words).argument == "--weights"


BAD_TYPES = {
    "complex": np.array([[1j, 0], [0, 1]]),
    "boolean": np.array([[True, False], [False, True]]),
    "text": np.array([["1", "0"], ["0", "1"]], "S1"),
}


@pytest.mark.parametrize("case", BAD_TYPES)
@pytest.mark.parametrize("ending", [".npz", ".h5", ".safetensors"])
def test_types_that_are_no_real_numbers_are_refused(write, ending, case):
    if (ending, case) == (".safetensors", "text"):
        pytest.skip("the format has no text")
    value = BAD_TYPES[case].astype(np.complex64) if case == "complex" else BAD_TYPES[case]
    refused(write(ending, {"U_h": value}), "U_h", "real numbers")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"U_h": [[1, 2], [3]]}', ["U_h", "unequal"]),
        ('{"U_h": [[1, [2]], [3, 4]]}', ["U_h", "unequal"]),
        ('{"U_h": [[true, 0], [0, 1]]}', ["U_h", "a boolean"]),
        ('{"U_h": [["1", 0], [0, 1]]}', ["U_h", "a string"]),
        ('{"U_h": [[null, 0], [0, 1]]}', ["U_h", "null"]),
        ('{"U_h": [[{"re": 1}, 0], [0, 1]]}', ["U_h", "an object"]),
        ('{"U_h": 3}', ["U_h", "the number 3"]),
        ('{"U_h": []}', ["U_h", "(0,)"]),
        ('{"U_h": [[]]}', ["U_h", "(1, 0)"]),
        ('{"U_h": [[NaN]]}', ["U_h", "nan"]),
        ('{"U_h": [[1e999]]}', ["U_h", "inf"]),
        ('{"U_h": [[1' + "0" * 400 + "]]}", ["U_h", "too large"]),
        ('{"U_h": [[1' + "0" * 5000 + "]]}", [".json"]),
        ('{"U_h": [[1]], "U_h": [[2]]}', ["'U_h' 2 times"]),
        ('{"U_h": [[1]], "reset": "behind"}', ["reset", "'behind'"]),
        ('{"U_h": [[1]], "reset": 1}', ["reset", "'1'"]),
        ("[[1, 2], [3, 4]]", ["one JSON object", "a list"]),
        ("3", ["one JSON object", "the number 3"]),
        ("{}", ["U_h", "no keys"]),
        ('{"U_h": [[1]]', [".json", "line 1"]),
        ("U_h = [[1]]", [".json", "line 1"]),
        ("[" * 100_000, [".json"]),
        ('{"U_h": ' + "[" * 200 + "]" * 200 + "}", ["U_h"]),
        ('{"\\u001b[31m' + "x" * 500 + '": 1}', ["every key"]),
    ],
)
def test_bad_json_is_refused(tmp_path, text, words):
    path = tmp_path / "c.json"
    path.write_text(text)
    shown = str(refused(path, "--weights", *words))
    assert len(shown) < 600
    assert "\x1b" not in shown


class Trap:
    """What a pickle can do."""

    def __reduce__(self):
        return os.system, ("touch trapped",)


def test_pickles_are_refused_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("c.pkl", "c.pt", "c.pth", "c.json", "c.npz", "c.h5", "c.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps({"U_h": Trap()}))
        refused(name, "--weights", name)
    for name in ("c.pkl", "c.pt", "c.pth"):
        refused(name, "a pickle is a program")
    np.savez("o.npz", U_h=np.array([[Trap()]], object))
    refused("o.npz", "U_h", "pickled")
    with zipfile.ZipFile("t.npz", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Trap()))
    refused("t.npz", "not pickles", "archive/data.pkl")
    assert not (tmp_path / "trapped").exists()


def test_a_file_that_is_not_what_its_ending_says(write, tmp_path):
    for ending in WRITERS:
        content = write(ending, CELL, "after").read_bytes()
        for other in set(WRITERS) - {ending}:
            path = tmp_path / f"other{other}"
            path.write_bytes(content)
            refused(path, "--weights", f"a {other} file")
        cut = tmp_path / f"cut{ending}"
        cut.write_bytes(content[: len(content) // 2])
        refused(cut, "--weights", f"a {ending} file")


def test_paths_that_are_no_files(tmp_path):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "empty.npz").touch()
    os.mkfifo(tmp_path / "pipe.h5")
    refused(tmp_path / "none.json", "does not exist")
    refused(tmp_path / "folder.json", "a folder")
    refused(tmp_path / "empty.npz", "empty")
    refused(tmp_path / "pipe.h5", "--weights")
    refused(tmp_path / "cell.txt", ".safetensors")
    refused(tmp_path, "ending in")
    refused("", "ending in")
    refused(tmp_path / ("x" * 300 + ".json"), "--weights")


def test_a_path_without_permission(write, monkeypatch):
    path = write(".json", CELL)

    def denied(self, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", denied)
    refused(path, "can be read", "Permission denied")


def test_what_is_no_path_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    refused(3, "a path", "got 3")


def test_huge_files_are_refused_before_they_are_read(tmp_path, write, monkeypatch):
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(2**33)
    refused(huge, "268435456 bytes", str(2**33))
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("U_h", (2**20, 2**20), "f8", chunks=(64, 64))
    refused(tmp_path / "huge.h5", "268435456 bytes")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**20, 2**21)}
    )
    with zipfile.ZipFile(tmp_path / "huge.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("U_h.npy", header.getvalue())
    refused(tmp_path / "huge.npz", "--weights", "huge.npz")
    monkeypatch.setattr(weights, "MAX_BYTES", 2000)
    zeros = tmp_path / "bomb.npz"
    np.savez_compressed(zeros, U_h=np.zeros((100, 100)))
    assert zeros.stat().st_size < 2000
    refused(zeros, "2000 bytes")


def test_an_h5_group_or_a_dangling_link_is_no_array(tmp_path):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_group("U_h")
    refused(tmp_path / "c.h5", "U_h", "a group")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["U_h"] = h5py.SoftLink("/nowhere")
    refused(tmp_path / "d.h5", "--weights")
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file["U_h"] = h5py.Empty("f8")
    refused(tmp_path / "e.h5", "U_h")


def test_names_that_are_there_twice_are_refused(tmp_path):
    array = io.BytesIO()
    np.save(array, np.eye(2))
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("U_h.npy", array.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("U_h.npy", array.getvalue())
    refused(tmp_path / "c.npz", "'U_h' 2 times")
    one = '"U_h":{"dtype":"F64","shape":[1,1],"data_offsets":[0,8]}'
    header = f"{{{one},{one}}}".encode()
    (tmp_path / "c.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    refused(tmp_path / "c.safetensors", "'U_h' 2 times")


def test_numbers_that_the_precision_cannot_hold_are_refused(write, ending):
    path = write(ending, {"U_h": np.array([[1e300, 0], [0, 1]])})
    assert load(path).U_h[0, 0] == 1e300
    with jax.enable_x64(False):
        refused(path, "U_h", "float32", "1e+300")
        single = load(write(ending, {"U_h": np.eye(2) * 1e6}, name="single"))
    assert single.U_h.dtype == np.float32
