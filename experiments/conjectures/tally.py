"""Counts of topologies by distribution, of which a killed run loses no more than its last block.

Only integers are kept: a cell is known by its distribution and index, so that the tally of any number of
cells is as large as the table that it prints. It is the same whatever the blocks.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xarray as xr

import gru_sweep as gs
from gru_sweep.records import InputError
from gru_sweep.sweeps import atomic

from .cells import without_update_gate
from .distributions import DISTRIBUTIONS
from .portraits import Columns, Portraits, paired

NOWHERE = -1
"""The index of a cell that was not met."""
FEATURES = (
    "n_fixed_points",
    "n_sinks",
    "n_sources",
    "n_saddles",
    "n_stable_cycles",
    "n_unstable_cycles",
    "hidden_cycle",
    "hidden_basin",
    "cycle_pair",
)
"""What a label tells, in the order of a row of `features`: counts; a stable cycle without an unstable fixed
point inside; one whose basin comes near no fixed point; two neighbouring cycles of opposite stability."""
STATUSES = ("ok", "unresolved", "near_bifurcation", "failed")


class Tally:
    """How many cells of each distribution have which status and which topology, and the first that does."""

    def __init__(self, seed: int):
        n = len(DISTRIBUTIONS)
        self.seed = seed
        self.drawn = np.zeros(n, np.int64)
        self.status = np.zeros((n, len(STATUSES)), np.int64)
        self.compared, self.changed = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.first_changed = np.full(n, NOWHERE, np.int64)
        self.count: dict[str, np.ndarray] = {}
        self.first: dict[str, np.ndarray] = {}
        self.features: dict[str, np.ndarray] = {}

    @property
    def portraits(self) -> int:
        """Complete portraits, those of paired cells without their update gates left out."""
        return int(self.status[:, gs.Status.OK].sum())

    def add(self, look: Portraits, takes: np.ndarray) -> None:
        """Draw the next `takes` (distributions,) cells of each distribution, and count them."""
        cells, twins = [], []
        for d, begin, take in zip(DISTRIBUTIONS, self.drawn, takes):
            cells.append(d.draw(self.seed, np.arange(begin, begin + take)))
            twins.append(without_update_gate(cells[-1]) if d.paired else cells[-1][:0])
        found = look(np.concatenate([*cells, *twins]))
        ends = np.cumsum([len(some) for some in (*cells, *twins)])
        parts = [slice(end - len(some), end) for end, some in zip(ends, (*cells, *twins))]
        features = featured(found)
        for k, part in enumerate(parts[: len(DISTRIBUTIONS)]):
            begin = int(self.drawn[k])
            label, twin = found["label"][part], found["label"][parts[len(DISTRIBUTIONS) + k]]
            self.status[k] += np.bincount(found["status"][part], minlength=len(STATUSES))
            self._count(k, begin, label, features[part])
            if DISTRIBUTIONS[k].paired:
                both = (label != "") & (twin != "")
                other = np.flatnonzero(both & (label != twin))
                self.compared[k] += both.sum()
                self.changed[k] += other.size
                if other.size and self.first_changed[k] == NOWHERE:
                    self.first_changed[k] = begin + other[0]
            self.drawn[k] += len(label)

    def _count(self, k: int, begin: int, labels: np.ndarray, features: np.ndarray) -> None:
        known, first, counts = np.unique(labels.astype(str), return_index=True, return_counts=True)
        for label, index, count in zip(known.tolist(), first, counts):
            if not label:
                continue
            if label not in self.count:
                self.count[label] = np.zeros(len(DISTRIBUTIONS), np.int64)
                self.first[label] = np.full(len(DISTRIBUTIONS), NOWHERE, np.int64)
                self.features[label] = features[index]
            self.count[label][k] += count
            if self.first[label][k] == NOWHERE:
                self.first[label][k] = begin + index

    def dataset(self) -> xr.Dataset:
        """All of it, in an order that does not depend on what was met when."""
        labels = sorted(self.count)
        stacked = lambda of, width: np.array([of[name] for name in labels]).reshape(-1, width)  # noqa: E731
        many = len(DISTRIBUTIONS)
        return xr.Dataset(
            {
                "count": (("topology", "distribution"), stacked(self.count, many)),
                "first_index": (("topology", "distribution"), stacked(self.first, many)),
                "features": (("topology", "feature"), stacked(self.features, len(FEATURES)).astype(np.int64)),
                "status_count": (("distribution", "status"), self.status),
                "drawn": ("distribution", self.drawn),
                "compared": ("distribution", self.compared),
                "changed": ("distribution", self.changed),
                "first_changed": ("distribution", self.first_changed),
            },
            coords={
                "topology": np.array(labels, dtype=object),
                "distribution": [d.name for d in DISTRIBUTIONS],
                "feature": list(FEATURES),
                "status": list(STATUSES),
            },
            attrs={"title": "topologies of planar gated units drawn at random", **fingerprint(self.seed)},
        )

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        atomic.write(path, bytes(self.dataset().to_netcdf(engine="h5netcdf")))

    @classmethod
    def load(cls, path: Path, seed: int) -> Tally:
        """What `save` wrote. Refuses a file of another seed or of other distributions."""
        try:
            ds = xr.load_dataset(path, engine="h5netcdf")
        except (OSError, ValueError):
            raise InputError("--resume", "a census that this program wrote", path.name) from None
        for key, value in fingerprint(seed).items():
            if (got := ds.attrs.get(key)) != value:
                raise InputError("--resume", f"a file whose {key} is {value}", f"{path.name} with {got}")
        tally = cls(seed)
        tally.drawn, tally.status = ds.drawn.values, ds.status_count.values
        tally.compared, tally.changed = ds.compared.values, ds.changed.values
        tally.first_changed = ds.first_changed.values
        for row, label in enumerate(ds.topology.values.tolist()):
            tally.count[label], tally.first[label] = ds["count"].values[row], ds.first_index.values[row]
            tally.features[label] = ds.features.values[row]
        return tally


def fingerprint(seed: int) -> dict[str, str | int]:
    """What two runs must share for one to continue the other."""
    formulas = {f"{d.number} {d.name}": d.formula for d in DISTRIBUTIONS}
    return {"seed": seed, "distributions": json.dumps(formulas), "gru_sweep_version": gs.__version__}


def featured(found: Columns) -> np.ndarray:
    """The `FEATURES` of every portrait, (n, 9)."""
    counts = [found[name] for name in FEATURES[:6]]
    flags = [(found[name] == 1).any(axis=1) for name in ("cycle_hidden", "cycle_basin_hidden")]
    return np.stack([*counts, *flags, paired(found)], axis=1).astype(np.int64)


def shares(systems: int) -> np.ndarray:
    """How many of `systems` cells each distribution has, (distributions,): in all as many or a few more."""
    share = np.array([d.share for d in DISTRIBUTIONS])
    return np.ceil(systems * share / share.sum()).astype(np.int64)


def takes(left: np.ndarray, size: int) -> np.ndarray:
    """How many cells of each distribution are next where `left` are left, so that their portraits, paired
    ones twice, fit into one call of `size`, and all distributions end together."""
    twice = 1 + np.array([d.paired for d in DISTRIBUTIONS])
    calls = -(-int((left * twice).sum()) // (size - int(twice.sum())))
    return -(-left // calls)
