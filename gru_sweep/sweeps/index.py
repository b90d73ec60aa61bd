"""The index of an unfinished sweep: FILE.h5 as virtual datasets over its parts, there or not yet there."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py

from gru_sweep.records import Column
from gru_sweep.sweeps import refined_schema, schema
from gru_sweep.sweeps.grid import Block
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.points import Points
from gru_sweep.sweeps.schema import Labeller, described


def image(
    parts: Sequence[tuple[Path, Block]],
    layout: Layout,
    labeller: Labeller | None,
    attributes: Mapping[str, Any],
    configuration: str,
) -> bytes:
    """The index file's content, over files and the region of the grid that each holds.

    The parts are named relative to the file, so both move together.
    """
    # HDF5 reads % in the name of a source as the start of a pattern.
    names = [f"{path.parent.name}/{path.name}".replace("%", "%%") for path, _ in parts]
    # HDF5 tells files in memory apart by their names, and threads may write theirs at the same time.
    with h5py.File(
        f"index-{uuid.uuid4()}", "w", driver="core", backing_store=False, track_order=True
    ) as file:

        def dataset(column: Column) -> h5py.Dataset:
            virtual = h5py.VirtualLayout(layout.grid.shape + column.shape, column.dtype)
            for name, (_, region) in zip(names, parts, strict=True):
                virtual[region.slices] = h5py.VirtualSource(
                    name, column.name, region.shape + column.shape, column.dtype
                )
            return file.create_virtual_dataset(column.name, virtual, fillvalue=column.fill)

        schema.write(file, layout, dataset, labeller, (), {**attributes, "complete": 0}, configuration)
        if isinstance(layout.grid, Points):
            refined_schema.write_points(file, layout.grid, described(layout, labeller))
        file.flush()
        return file.id.get_file_image()
