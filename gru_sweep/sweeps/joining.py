"""The end of a refined sweep: its rounds become one ordinary file.

Rounds are of any size, so that their columns are read and written anew, a block of points at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gru_sweep.sweeps import atomic, refined_schema, schema
from gru_sweep.sweeps.grid import Block
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.pieces import create_column, put, require_room
from gru_sweep.sweeps.points import Points
from gru_sweep.sweeps.schema import Labeller
from gru_sweep.sweeps.tree import Leaves


def join(
    target: atomic.Lasting,
    parts: Sequence[tuple[Path, Block]],
    points: Points,
    layout: Layout,
    labeller: Labeller | None,
    classes: Sequence[str],
    label: np.ndarray,
    leaves: Leaves,
    attributes: Mapping[str, Any],
    configuration: str,
) -> None:
    """Write the finished file of `points` to the empty `target`, from files and the region that each holds.

    `label` (n,) is the place of each point's label in `classes`, -1 for none. The attribute `seconds` is the
    computing time of all rounds, whichever runs computed them. Refuses, with `OSError`, a disk without room
    for a second copy of the rounds.
    """
    require_room(Path(target.name), [path for path, _ in parts])
    with ExitStack() as stack, h5py.File(target, "w", track_order=True) as file:
        rounds = [(stack.enter_context(h5py.File(path)), region) for path, region in parts]
        seconds = sum(float(one.attrs["seconds"]) for one, _ in rounds)
        schema.write(
            file,
            layout,
            lambda column: create_column(file, layout.hdf5_chunk(column), column, layout.grid.shape),
            labeller,
            classes,
            {**attributes, "complete": 1, "seconds": seconds},
            configuration,
        )
        refined_schema.write_points(file, points, schema.described(layout, labeller))
        refined_schema.write_leaves(file, points, leaves)
        targets = [file[column.name] for column in layout.columns]
        for block in layout.blocks:
            put(targets, layout.form, block.start, block.shape, _gathered(rounds, layout, block))
        if labeller is not None:
            file[labeller.name][...] = label


def _gathered(
    rounds: Sequence[tuple[h5py.File, Block]], layout: Layout, block: Block
) -> dict[str, np.ndarray]:
    """The columns of a block of all points, from the rounds that it meets."""
    (start,), (size,) = block.start, block.shape
    pieces = []
    for file, region in rounds:
        (first,), (n,) = region.start, region.shape
        a, b = max(start, first), min(start + size, first + n)
        if a < b:
            pieces.append((file, slice(a - first, b - first)))
    return {
        column.name: np.concatenate([file[column.name][here] for file, here in pieces])
        for column in layout.columns
    }
