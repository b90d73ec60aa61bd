"""Groups of networks in training as flat arrays by name, and back: what a checkpoint holds.

A leaf of all members of d units is one array with the members first, in their order, named by its place:
`now/dim=2/networks/cell/U_h`. Lanes of padding are left out, and are filled again with the last member.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ..records import InputError
from .settings import Member


def pack(prefix: str, dims: Sequence[int], lanes: Sequence[np.ndarray], groups: Sequence[Any]) -> dict:
    """The leaves of `groups`, of `dims` units each, of whose lanes the first `len(lanes[k])` are members."""
    parts: dict[str, list[np.ndarray]] = {}
    for dim, part, group in zip(dims, lanes, groups):
        for name, leaf in _named(prefix, dim, group):
            leaf = np.asarray(leaf)
            parts.setdefault(name, []).append(leaf[: len(part)] if leaf.ndim else leaf[None])
    return {name: np.concatenate(found) for name, found in parts.items()}


def unpack(
    state: Mapping[str, np.ndarray],
    prefix: str,
    dims: Sequence[int],
    lanes: Sequence[np.ndarray],
    groups: Sequence[Any],
) -> list[Any]:
    """The groups that `pack` was given; `groups` says their shapes. Refused: a state without one of them."""
    taken: dict[int, int] = {}
    found = []
    for k, (dim, part, group) in enumerate(zip(dims, lanes, groups)):
        begin = taken.setdefault(dim, 0)
        taken[dim] += len(part)
        nth = sum(other == dim for other in dims[:k])
        leaves = []
        for name, like in _named(prefix, dim, group):
            whole, like = array(state, name), np.asarray(like)
            if like.ndim:
                rows = np.minimum(np.arange(len(like)), len(part) - 1) + begin
            else:
                rows = np.array(nth)
            if whole.dtype != like.dtype or whole.shape[1:] != like.shape[1:] or len(whole) <= rows.max():
                expected = f"{name} of {like.dtype}, shape (members, {', '.join(map(str, like.shape[1:]))})"
                raise InputError("state", expected, f"{whole.dtype}, shape {whole.shape}")
            leaves.append(whole[rows])
        found.append(jax.tree.unflatten(jax.tree.structure(group), leaves))
    return found


def array(state: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The array of a name. Refused: a state without it."""
    if name not in state:
        raise InputError("state", f"an array {name}", "none")
    return np.asarray(state[name])


def identity(
    members: Sequence[Member], series: Sequence[np.ndarray], test_every: int
) -> dict[str, np.ndarray]:
    """What a state must agree with to go on: members, key data, series (their checksum), `test_every`."""
    with jax.enable_x64(True):
        keys = [jax.random.key_data(jax.random.key(m.seed, impl="threefry2x32")) for m in members]
    return {
        "dim": np.array([m.dim for m in members], np.int64),
        "seed": np.array([m.seed for m in members], np.int64),
        "learning_rate": np.array([m.learning_rate for m in members], np.float64),
        "key": np.stack([np.asarray(key) for key in keys]),
        "series": np.array([zlib.crc32(np.ascontiguousarray(one).tobytes()) for one in series], np.int64),
        "test_every": np.array(test_every, np.int64),
    }


def check(state: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> None:
    """Refused: a state that disagrees with `wanted`, what `identity` returned."""
    for name, value in wanted.items():
        if not np.array_equal(array(state, name), value):
            raise InputError("state", f"the {name} of what is trained", f"another {name}")


def _named(prefix: str, dim: int, group: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_flatten_with_path(group)[0]
    place = lambda path: jax.tree_util.keystr(path, simple=True, separator="/")  # noqa: E731
    return [(f"{prefix}/dim={dim}/{place(path)}", leaf) for path, leaf in leaves]
