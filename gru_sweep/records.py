"""The ground floor: what a record is, what a status means, and how a bad argument is refused.

A *record* is an `equinox.Module` whose array fields carry their own metadata (`field`): the names of
their dimensions beyond the grid, a long name, units, the meaning of flags. The store writes one dataset
per field from that metadata, so there is no second list of columns anywhere.

A *solver* of unknown length is three pure functions on one problem (`Solver`); `sweeps.lanes` runs a
batch of them, `run` runs one.

This module imports nothing of ours.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import numpy as np

Numbers = jax.Array | np.ndarray
"""What a record's fields hold: JAX's arrays while it is computed, NumPy's when it is handed out."""

MAX_FIXED_POINTS = 16
"""Slots for fixed points in a record. A system with more is `unresolved`, never cut short."""


class InputError(ValueError):
    """A bad argument, found before any work: names it, says what was expected and what came.

    The command line prints the message as one line on stderr and exits with status 2.
    """

    def __init__(self, argument: str, expected: str, got: object):
        self.argument, self.expected, self.got = argument, expected, got
        shown = got if isinstance(got, str) and got.strip() else repr(got)
        super().__init__(" ".join(f"{argument}: expected {expected}, got {shown}".split()))


def nearest(name: str, known: Iterable[str]) -> str:
    """The phrase `one of a, b, c (did you mean 'b'?)` for an unknown `name`."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    return f"one of {', '.join(known)}{hint}"


class Status(IntEnum):
    """What is known about a grid point."""

    NOT_COMPUTED = -1
    OK = 0
    UNRESOLVED = 1
    NEAR_BIFURCATION = 2
    FAILED = 3


class Kind(IntEnum):
    """The kind of a planar fixed point, by the eigenvalues of the Jacobian there.

    A discriminant that is zero within rounding counts as a node; an eigenvalue whose real part is zero
    within its own error makes the point degenerate.
    """

    NOT_COMPUTED = -1
    STABLE_NODE = 0
    STABLE_FOCUS = 1
    UNSTABLE_NODE = 2
    UNSTABLE_FOCUS = 3
    SADDLE = 4
    DEGENERATE = 5


def meaning(member: IntEnum) -> str:
    """`stable node` for `Kind.STABLE_NODE`: the words used in files and JSON."""
    return member.name.lower().replace("_", " ")


@dataclasses.dataclass(frozen=True)
class Column:
    """One dataset of the file: what a record's field says of itself, and its shape beyond the grid."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    long_name: str
    units: str
    flags: type[IntEnum] | None = None

    @property
    def fill(self) -> Any:
        """NaN for floats, -1 for integers: what a point that was not computed reads as."""
        return np.dtype(self.dtype).type(np.nan if self.dtype.kind == "f" else -1)


def field(
    *,
    long_name: str,
    units: str = "1",
    dims: Sequence[str] = (),
    flags: type[IntEnum] | None = None,
    dtype: str | None = None,
) -> Any:
    """A record's field. `dtype` fixes an integer width in the file; floats keep the precision computed in."""
    return eqx.field(
        metadata={
            "long_name": long_name,
            "units": units,
            "dims": tuple(dims),
            "flags": flags,
            "dtype": dtype,
        }
    )


def columns(record: eqx.Module) -> tuple[Column, ...]:
    """The columns of a record of one point (arrays or `jax.ShapeDtypeStruct`s), in order of declaration."""
    found = []
    for f in dataclasses.fields(record):
        if "long_name" not in f.metadata:
            continue
        value, m = getattr(record, f.name), f.metadata
        if len(m["dims"]) != len(value.shape):
            raise TypeError(f"{type(record).__name__}.{f.name}: dims {m['dims']} for shape {value.shape}")
        found.append(
            Column(
                name=f.name,
                dims=m["dims"],
                shape=tuple(value.shape),
                dtype=np.dtype(m["dtype"] or value.dtype),
                long_name=m["long_name"],
                units=m["units"],
                flags=m["flags"],
            )
        )
    return tuple(found)


@runtime_checkable
class Solver(Protocol):
    """Work of unknown length on one problem, in the manner of optimistix: three pure functions.

    `init` starts a state with a boolean `done`; `advance` does a bounded number of steps and leaves a
    state that is done as it is; `finish` reads the record off a state, done or not. What `advance` asks
    of the compiler, by platform, stands in an attribute `compiler_options` if there is one.
    """

    def init(self, problem: Any) -> Any: ...

    def advance(self, problem: Any, state: Any) -> Any: ...

    def finish(self, problem: Any, state: Any) -> Any: ...
