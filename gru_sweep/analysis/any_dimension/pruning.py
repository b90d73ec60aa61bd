"""Branch and prune: every fixed point in a box with its proof, for a few dimensions.

Boxes are judged in batches (`krawczyk.judge`), the worklist lives on the host. What is left of a box is cut
in two across the coordinate that matters most. A box proven to hold one fixed point hands it to `Roots`,
which widens the region where it is the only one as far as a proof goes; boxes in there need no more work.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from . import krawczyk
from .roots import Roots, padded

SIZES = (64, 4096)
"""Boxes judged at a time: a batch is padded to one of these, so that compilations stay few."""
MAX_DEPTH = {"float64": 26, "float32": 12}
"""Boxes narrower than 2^-depth of the search box in every direction are not cut: they stay undecided."""
MAX_UNDECIDED = 1024
"""Undecided boxes after which the search is given up."""


@dataclasses.dataclass(frozen=True)
class Pruned:
    """`ended`: every box was excluded, proven, or is among the undecided clusters (hulls, (c, 2, d))."""

    ended: bool
    clusters: np.ndarray
    boxes: int


def prune(roots: Roots, max_boxes: int, max_depth: int | None = None) -> Pruned:
    """Searches the whole box of `roots`, testing at most about `max_boxes` boxes, and adds what is proven."""
    low, high = roots.low, roots.high
    depth = MAX_DEPTH[str(low.dtype)] if max_depth is None else max_depth
    floor = 2.0**-depth * (high - low)
    lo, hi = low[None], high[None]
    undecided: list[np.ndarray] = []
    boxes = 0
    while len(lo) and boxes < max_boxes and len(undecided) <= MAX_UNDECIDED:
        # the last ones first, which keeps the list short
        now_lo, now_hi = lo[-SIZES[-1] :], hi[-SIZES[-1] :]
        lo, hi = lo[: -SIZES[-1]], hi[: -SIZES[-1]]
        boxes += len(now_lo)
        size = next(s for s in SIZES if s >= len(now_lo))
        begin, end, least = map(jnp.asarray, (padded(now_lo, size), padded(now_hi, size), floor))
        verdict = krawczyk.judge(roots.reduced, begin, end, least)
        v = krawczyk.Verdict(*(np.asarray(x)[: len(now_lo)] for x in vars(verdict).values()))
        settled = v.excluded | _take(roots, v)
        left = ~settled & ~roots.covered(v.lo, v.hi)
        # what a larger box was contracted to is judged once more
        tiny = left & ((now_hi - now_lo) <= floor).all(axis=1)
        undecided.extend(np.stack([v.lo[tiny], v.hi[tiny]], axis=1))
        cut = left & ~tiny
        first_lo, last_hi, axis = v.lo[cut], v.hi[cut], v.axis[cut]
        rows = np.arange(len(axis))
        middle = 0.5 * (first_lo[rows, axis] + last_hi[rows, axis])
        first_hi, last_lo = last_hi.copy(), first_lo.copy()
        first_hi[rows, axis] = last_lo[rows, axis] = middle
        lo, hi = np.concatenate([lo, first_lo, last_lo]), np.concatenate([hi, first_hi, last_hi])
        keep = ~roots.covered(lo, hi)
        lo, hi = lo[keep], hi[keep]
    clusters = _clusters(undecided)
    ended = not len(lo) and len(undecided) <= MAX_UNDECIDED
    if ended:
        _settle(roots, clusters)
    return Pruned(ended, clusters, boxes)


def _take(roots: Roots, v: krawczyk.Verdict) -> np.ndarray:
    """Which boxes are settled because the one fixed point proven to be in each was enclosed."""
    settled = v.proven & (roots.covered(v.tested_lo, v.tested_hi))
    todo = np.flatnonzero(v.proven & ~settled)
    if not len(todo):
        return settled
    proofs = roots.prove(v.guess[todo])
    reach = proofs.error[:, None]
    home = (proofs.point - reach >= v.tested_lo[todo]) & (proofs.point + reach <= v.tested_hi[todo])
    # where Newton's method left the box, it is cut after all
    found = proofs.proven & home.all(axis=1)
    roots.add(proofs, found)
    settled[todo] = found
    return settled


def _clusters(undecided: list[np.ndarray]) -> np.ndarray:
    """Hulls of the groups of boxes that touch."""
    boxes, hulls = list(undecided), []
    while boxes:
        hull, grew = boxes.pop(), True
        while grew and boxes:
            rest = np.stack(boxes)
            slack = 0.5 * (rest[:, 1] - rest[:, 0])
            touch = ((rest[:, 0] - slack <= hull[1]) & (rest[:, 1] + slack >= hull[0])).all(axis=1)
            grew = bool(touch.any())
            hull = np.stack([np.minimum(hull[0], rest[touch, 0].min(axis=0, initial=np.inf)),
                             np.maximum(hull[1], rest[touch, 1].max(axis=0, initial=-np.inf))])  # fmt: skip
            boxes = list(rest[~touch])
        hulls.append(hull)
    return np.array(hulls)


def _settle(roots: Roots, clusters: np.ndarray) -> None:
    """Adds, without a proof, the point of each cluster where f cannot be told from 0."""
    if len(clusters):
        proofs = roots.prove(clusters.mean(axis=1))
        slack = roots.near * (roots.high - roots.low)
        home = (proofs.point >= clusters[:, 0] - slack) & (proofs.point <= clusters[:, 1] + slack)
        roots.add(proofs, (proofs.proven | proofs.zero) & home.all(axis=1))
