"""What a gate sees: `U h + W x + b` over the parts that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from ..records import InputError


def affine(U, h, W, x, b):
    """`U h + W x + b` over the parts that are there, None where there are none."""
    terms = []
    if U is not None:
        terms.append(U @ h)
    if W is not None and x is not None:
        terms.append(W @ x)
    if b is not None:
        terms.append(b)
    return sum(terms[1:], terms[0]) if terms else None


def gate(inner):
    """sigma(inner); a gate without parts is the constant sigma(0) = 1/2, exactly and for free."""
    return 0.5 if inner is None else jax.nn.sigmoid(inner)


def check_shapes(cell: Any, parts: Mapping[str, Sequence[str]]) -> None:
    """Refuse a cell whose parts disagree about the sizes `d` and `p`, or are empty."""
    sizes: dict[str, int] = {}
    for name, dims in parts.items():
        part = getattr(cell, name)
        if part is None:
            continue
        if part.ndim != len(dims):
            raise InputError(name, f"an array of shape ({', '.join(dims)})", f"shape {part.shape}")
        for dim, size in zip(dims, part.shape):
            if size == 0 or sizes.setdefault(dim, size) != size:
                want = ", ".join(str(sizes.get(k, k)) for k in dims)
                raise InputError(name, f"an array of shape ({want})", f"shape {part.shape}")
