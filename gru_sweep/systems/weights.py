"""Cells from files, read as data and never run as code.

A file names the parts of a GRU (see `cells.GRU`): `U_h` (d, d), and, zero where missing, `U_z`, `U_r` (d, d),
`b_z`, `b_r`, `b_h` (d,), the input weights `W_z`, `W_r`, `W_h` (d, p); `reset` ("before" or "after" the
matrix, before if missing) and then `b_hn` (d,).

| ending | a part is | `reset` is |
|---|---|---|
| .json | a member of the one object, as nested lists | a string |
| .npz | an array | an array of one string |
| .h5 | a dataset | a dataset or an attribute |
| .safetensors | a tensor | an entry of the metadata |
"""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open

from ..records import InputError, nearest
from .cells import GRU

PARTS = tuple(field.name for field in dataclasses.fields(GRU) if field.name != "reset")
KEYS = (*PARTS, "reset")
MAX_BYTES = 2**28
"""The most that is read of a file, unpacked: 256 MiB."""

MAX_LISTED = 12
"""Of a file's cells, so many are named to whoever asks for another one."""

_WHO = "--weights"
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    RecursionError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
)
"""What the libraries say of a file that is not what its ending says."""


def load(path: str | os.PathLike[str], member: str | None = None) -> GRU:
    """The cell in a .json, .npz, .h5 or .safetensors file, in JAX's current precision.

    - `member`: which cell, in a file that holds several: the key of an object in .json, a group in .h5, and
      what stands before `/` or `.` in the names of the other two.

    Refused, in one line that names the key: pickles (they are programs), a file that is not what its ending
    says, a key that is unknown or there twice, and parts that are missing, of disagreeing shapes, empty,
    or anything else than finite real numbers.
    """
    file = _checked(path)
    read = _READERS[file.suffix.lower()]
    try:
        found = read(file, member)
    except InputError:
        raise
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        raise InputError(_WHO, f"a {file.suffix} file of arrays", f"{file} ({reason})") from None
    for key in found:
        if key not in KEYS:
            raise InputError(_WHO, f"every key of {file} to be {nearest(key, KEYS)}", _quoted(key))
    if "U_h" not in found:
        raise InputError(_WHO, f"the key U_h in {file}", ", ".join(found) or "no keys")
    parts: dict[str, Any] = {key: _array(key, value, file) for key, value in found.items() if key != "reset"}
    if parts["U_h"].shape != parts["U_h"].shape[:1] * 2:
        raise InputError(_WHO, f"U_h in {file} to be square, (d, d)", f"shape {parts['U_h'].shape}")
    reset = _word(found.get("reset", "before"), file)
    try:
        return GRU(**parts, reset=reset)
    except InputError as error:
        raise InputError(_WHO, f"{error.argument} in {file} to be {error.expected}", error.got) from None


def _checked(path: str | os.PathLike[str]) -> Path:
    """The path of a file that can be read, is not too large, and has a known ending."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(_WHO, "a path", path)
    file = Path(path)
    ending = file.suffix.lower()
    if ending not in _READERS:
        why = " (a pickle is a program, and is not run)" if ending in _PICKLES else ""
        raise InputError(_WHO, f"a file ending in {', '.join(_READERS)}", f"{file}{why}")
    try:
        if not file.exists():
            raise InputError(_WHO, "a file", f"{file}, which does not exist")
        if not file.is_file():
            raise InputError(_WHO, "a file", f"{file}, which is {'a folder' if file.is_dir() else 'none'}")
        size = file.stat().st_size
        with file.open("rb"):
            pass
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(_WHO, "a file that can be read", f"{file} ({reason})") from None
    if size == 0:
        raise InputError(_WHO, f"a {ending} file of arrays", f"{file}, which is empty")
    _limit(size, file)
    return file


def _limit(size: int, file: Path) -> None:
    if size > MAX_BYTES:
        raise InputError(_WHO, f"at most {MAX_BYTES} bytes of arrays", f"{size} in {file}")


def _json(file: Path, member: str | None) -> Mapping[str, Any]:
    found = json.loads(file.read_bytes(), object_pairs_hook=_once(file))
    if isinstance(found, dict):
        cells = [key for key, value in found.items() if isinstance(value, dict)]
        chosen = _chosen(member, cells, "U_h" in found)
        found = found if chosen is None else found[chosen]
    if not isinstance(found, dict):
        raise InputError(_WHO, f"one JSON object in {file}", _kind(found))
    return found


def _npz(file: Path, member: str | None) -> Mapping[str, Any]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    for entry in entries:
        if not entry.filename.endswith(".npy"):
            raise InputError(_WHO, f"a .npz file of arrays, not pickles, in {file}", _quoted(entry.filename))
    _each_once((entry.filename.removesuffix(".npy") for entry in entries), file)
    _limit(sum(entry.file_size for entry in entries), file)
    with np.load(file, allow_pickle=False) as arrays:
        names = _inside(arrays.files, member)
        found = {}
        for key, name in names.items():
            try:
                found[key] = arrays[name]
            except ValueError as error:
                got = "pickled objects" if "allow_pickle" in str(error) else str(error)
                raise InputError(_WHO, f"{key} in {file} to be an array of numbers", got) from None
    return found


def _h5(file: Path, member: str | None) -> Mapping[str, Any]:
    with h5py.File(file, "r") as root:
        chosen = _chosen(member, _groups(root), "U_h" in root)
        group = root if chosen is None else root[chosen]
        found: dict[str, Any] = {}
        for key, node in group.items():
            if key in KEYS and not isinstance(node, h5py.Dataset):
                raise InputError(_WHO, f"{key} in {file} to be a dataset", "a group")
            if key not in KEYS and (
                isinstance(node, h5py.Group) or node.attrs.get("CLASS") == b"DIMENSION_SCALE"
            ):
                continue  # a cell may have company, and its axes names
            if key in KEYS:
                _limit(node.size * node.dtype.itemsize if node.shape is not None else 0, file)
            found[key] = node[()] if key in KEYS and node.shape is not None else np.empty(0)
        if "reset" in group.attrs:
            _each_once([*found, "reset"], file)
            found["reset"] = group.attrs["reset"]
    return found


def _safetensors(file: Path, member: str | None) -> Mapping[str, Any]:
    with safe_open(file, framework="numpy") as tensors:
        # The library checks the header, but keeps the last of two equal names.
        with file.open("rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
            json.loads(raw.read(length), object_pairs_hook=_once(file))
        found = {}
        for key, name in _inside(tensors.keys(), member).items():
            kind = tensors.get_slice(name).get_dtype()
            if kind[0] not in "IU" and kind not in ("F64", "F32", "F16", "BF16"):
                raise InputError(_WHO, f"{key} in {file} to be an array of real numbers", f"type {kind}")
            found[key] = tensors.get_tensor(name)
        metadata = tensors.metadata() or {}
        if "reset" in metadata:
            found["reset"] = metadata["reset"]
    return found


_READERS: dict[str, Callable[[Path, str | None], Mapping[str, Any]]] = {
    ".json": _json,
    ".npz": _npz,
    ".h5": _h5,
    ".safetensors": _safetensors,
}


def _groups(root: h5py.Group) -> list[str]:
    """The groups that hold a cell."""
    names: list[str] = []

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Group) and "U_h" in node:
            names.append(name)

    root.visititems(visit)
    return names


def _inside(names: Iterable[str], member: str | None) -> dict[str, str]:
    """Key -> full name, of the names that begin with `member` and a separator."""
    cut = {name: max(name.rfind("/"), name.rfind(".")) for name in names}
    chosen = _chosen(member, sorted({name[:at] for name, at in cut.items() if at > 0}), "U_h" in cut)
    if chosen is None:
        return {name: name for name in cut}
    return {name[at + 1 :]: name for name, at in cut.items() if name[: max(at, 0)] == chosen}


def _chosen(member: str | None, cells: list[str], alone: bool) -> str | None:
    """The name of the `member` among `cells`; None for the cell that is `alone`, or where there is none.

    `seed=0,dim=2` is `dim=2,seed=0`: the parts of such a name have names of their own.
    """
    if member is None:
        if cells and not alone:
            raise _unknown("nothing", cells)
        return None
    for name in cells:
        if member == name or ("=" in member and sorted(_words(member)) == sorted(_words(name))):
            return name
    raise _unknown(member, cells)


def _unknown(member: str, cells: list[str]) -> InputError:
    if not cells:
        return InputError("member", "None, for a file of one cell", member)
    more = f" or {len(cells) - MAX_LISTED} more" if len(cells) > MAX_LISTED else ""
    return InputError("member", nearest(member, cells[:MAX_LISTED]) + more, member)


def _words(member: str) -> list[str]:
    return ["".join(word.split()) for word in member.split(",")]


def _once(file: Path) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def collect(pairs):
        _each_once((key for key, _ in pairs), file)
        return dict(pairs)

    return collect


def _each_once(keys: Iterable[str], file: Path) -> None:
    for key, times in Counter(keys).items():
        if times > 1:
            raise InputError(_WHO, f"every key of {file} once", f"{_quoted(key)} {times} times")


def _array(key: str, value: Any, file: Path) -> np.ndarray:
    """`value` in float64, or `InputError` where it is not finite real numbers that JAX's precision holds."""
    wanted = f"{key} in {file} to be an array of finite real numbers"
    if isinstance(value, list):
        for leaf in _leaves(value):
            if isinstance(leaf, bool) or not isinstance(leaf, int | float):
                raise InputError(_WHO, wanted, _kind(leaf))
        try:
            value = np.array(value, dtype=np.float64)
        except ValueError:
            raise InputError(_WHO, wanted, "lists of unequal lengths") from None
        except OverflowError:
            raise InputError(_WHO, wanted, "an integer too large for a float") from None
    elif not isinstance(value, np.ndarray | np.generic):
        raise InputError(_WHO, wanted, _kind(value))
    # JAX's lattice of types, unlike NumPy's, knows bfloat16.
    if not (jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer)):
        raise InputError(_WHO, wanted, f"type {value.dtype}")
    with np.errstate(over="ignore"):
        numbers = np.asarray(value).astype(np.float64)
    bad = numbers[~np.isfinite(numbers)]
    if bad.size:
        raise InputError(_WHO, wanted, str(bad[0]))
    largest, precision = np.max(np.abs(numbers), initial=0.0), jnp.result_type(float)
    if largest > jnp.finfo(precision).max:
        raise InputError(_WHO, f"{key} in {file} to hold numbers within {precision}", f"{largest:g}")
    return numbers


def _leaves(value: list[Any]) -> Iterable[Any]:
    waiting = [value]
    while waiting:
        for one in waiting.pop():
            if isinstance(one, list):
                waiting.append(one)
            else:
                yield one


def _word(value: Any, file: Path) -> Any:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(())[()]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if str(value) not in ("before", "after"):
        raise InputError(_WHO, f"reset in {file} to be 'before' or 'after'", _quoted(value))
    return str(value)


def _kind(value: Any) -> str:
    """How JSON calls it."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), f"the number {value}")


def _quoted(value: Any) -> str:
    """`repr`, cut short: a file's words may be long, or steer a terminal."""
    text = repr(str(value))
    return text if len(text) <= 60 else f"{text[:56]} ...'"
