r"""Portraits of many one-unit LSTMs at once, labelled as GRUs are, and of as many planar GRUs.

Where the forget gate f is all but open, c has room up to 1 / (1 - f), and no box of h and c is good for
interval arithmetic. With c = sinh(u) the same system is

    dh/dt = o tanh(f sinh(u) + i g) - h,   du/dt = i g / cosh(u) - (1 - f) tanh(u),

since c + dc/dt = f c + i g. A change of coordinates changes neither topology nor frequency.
"""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from conjectures.cells import COLUMNS
from conjectures.cells import NAMES as ENTRIES
from conjectures.portraits import Columns, Portraits
from jax.nn import sigmoid
from matplotlib.figure import SubFigure

import gru_sweep as gs
from gru_sweep.analysis import portrait, topology
from gru_sweep.analysis.fixed_points import Planar
from gru_sweep.measures import MEASURES
from gru_sweep.sweeps import devices
from gru_sweep.sweeps.lanes import Chain

NAMES = tuple(f"{part}_{k}" for part in "Ub" for k in "gfio")
"""The columns of an array of cells, (n, 8)."""
BATCH = 512
SIDE = 1.02
"""Half the box in h: a little beyond 1, which an open unit reaches within rounding."""
BEYOND = 1.06
"""|h| up to which the box in u is a bound: the search for fixed points looks a little beyond the box."""
NODES = 2001
"""Points of h at which signs are compared."""
BLOCK = 2048
"""Cells whose lines are held in memory together."""
GALLERY, COLUMNS_OF_GALLERY = 24, 6


class Unit(eqx.Module):
    """One LSTM unit as a field of (h, u), c = sinh(u): its eight numbers, each ()."""

    U_g: jax.Array
    U_f: jax.Array
    U_i: jax.Array
    U_o: jax.Array
    b_g: jax.Array
    b_f: jax.Array
    b_i: jax.Array
    b_o: jax.Array

    def __call__(self, state: jax.Array) -> jax.Array:
        h, u = state[0], state[1]
        forget = self.U_f * h + self.b_f
        into = sigmoid(self.U_i * h + self.b_i) * jnp.tanh(self.U_g * h + self.b_g)
        grow, shrink = jnp.exp(u), jnp.exp(-u)
        cell = sigmoid(forget) * (0.5 * (grow - shrink)) + into
        rate = sigmoid(self.U_o * h + self.b_o) * jnp.tanh(cell) - h
        return jnp.stack([rate, into * (2.0 / (grow + shrink)) - sigmoid(-forget) * jnp.tanh(u)])

    @property
    def corner(self) -> jax.Array:
        """The upper corner of a trapping box, the lower one is its opposite: |c| < 1 / (1 - f)."""
        most = jnp.arcsinh(1.0 / sigmoid(-(BEYOND * jnp.abs(self.U_f) + self.b_f)))
        return jnp.stack([SIDE * jnp.ones_like(most), most])


def _planar(**numbers: jax.Array) -> Planar:
    unit = Unit(**numbers)
    return Planar(unit, -unit.corner, unit.corner)


class Lstm:
    """Columns of the measure `portrait` of cells (n, 8), and their `label`, empty where status is not ok."""

    def __init__(self) -> None:
        stages, device = MEASURES["portrait"].stages(), devices.chosen()[0]
        self._chain = Chain(
            _planar,
            stages.solvers,
            stages.links,
            stages.record,
            names=NAMES,
            dtype="float64",
            size=BATCH,
            device=device,
            threads=devices.threads(device),
        )

    @staticmethod
    def widths(weight: float, bias: float) -> np.ndarray:
        """Standard deviations of the entries."""
        return np.repeat([weight, bias], 4)

    def __call__(self, cells: np.ndarray) -> Columns:
        columns = portrait.audit(self._chain(dict(zip(NAMES, np.asarray(cells).T, strict=True))))
        words = topology.labels(columns)
        words[columns["status"] != gs.Status.OK] = ""
        return columns | {"label": words}


class Gru(Portraits):
    """The same of planar GRUs, (n, 18), without update gate: most of those with sharp ones are too slow for a
    portrait (sections 3 and 4 of the paper leave it out as well)."""

    def __init__(self) -> None:
        super().__init__(BATCH)

    @staticmethod
    def widths(weight: float, bias: float) -> np.ndarray:
        """Standard deviations of the entries."""
        found = np.zeros(len(ENTRIES))
        for part, width in (("U_h", weight), ("U_r", weight), ("b_h", bias), ("b_r", bias)):
            found[COLUMNS[part]] = width
        return found


@jax.jit
def _along(cells: jax.Array) -> tuple[jax.Array, jax.Array]:
    h = jnp.linspace(-SIDE, SIDE, NODES)
    u_g, u_f, u_i, u_o, b_g, b_f, b_i, b_o = cells.T[..., None]
    into = lambda h: sigmoid(u_i * h + b_i) * jnp.tanh(u_g * h + b_g)  # noqa: E731
    leak = sigmoid(-(u_f * h + b_f))
    rest = into(h) / leak

    def drive(h):
        """o tanh(f c + i g) where c is held at `rest`."""
        return sigmoid(u_o * h + b_o) * jnp.tanh(sigmoid(u_f * h + b_f) * rest + into(h))

    value, slope = jax.jvp(drive, (jnp.broadcast_to(h, rest.shape),), (jnp.ones_like(rest),))
    above = value > h
    falls = above[:, :-1] & ~above[:, 1:]
    # of the Jacobian, on both sides of the crossing
    repels = slope - 1.0 - leak > 0.0
    source = falls & repels[:, :-1] & repels[:, 1:]
    return jnp.sum(above[:, 1:] != above[:, :-1], axis=1), jnp.any(source, axis=1)


def along(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Along dc/dt = 0, (n,) each: sign changes of o tanh(i g / (1 - f)) - h, at each of which there is a
    fixed point at least; and whether at one where it falls, so that the Jacobian's determinant is positive,
    the trace is too, on both sides: a source."""
    parts = [_along(jnp.asarray(cells[k : k + BLOCK])) for k in range(0, len(cells), BLOCK)]
    numbers, sources = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in range(2))
    return numbers, sources


def draw_gallery(figure: SubFigure, cells: dict[str, np.ndarray]) -> None:
    """The portrait of one cell of each label, in the order given."""
    shown = list(cells)[:GALLERY]
    rows = math.ceil(len(shown) / COLUMNS_OF_GALLERY)
    panels = figure.subplots(rows, COLUMNS_OF_GALLERY, squeeze=False).ravel()
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    for axes, label in zip(panels, shown):
        unit = Unit(*(jnp.asarray(v) for v in cells[label]))
        one = gs.phase_portrait(unit, -unit.corner, unit.corner)
        gs.plot.portrait(one, ax=axes, title="", legend=False, colorbar=False, trajectories=False)
        axes.set(xlabel="$h$", ylabel="arsinh $c$", aspect="auto")
        axes.set_title(label.replace(",s", ",\ns").replace(",u", ",\nu"), fontsize=8)


def draw_plane(figure: SubFigure, plane: dict[str, Any], names: tuple[str, str]) -> None:
    """Topologies, and frequency where there is a stable cycle."""
    x, y = (np.array(plane["axes"][name]) for name in names)
    labels = np.array(plane["label"])
    words, index = np.unique(labels, return_inverse=True)
    left, right = figure.subplots(1, 2)
    image = left.pcolormesh(x, y, index.reshape(labels.shape).T, cmap="tab20", vmin=-0.5, vmax=19.5)
    bar = figure.colorbar(image, ax=left, boundaries=np.arange(len(words) + 1) - 0.5, ticks=range(len(words)))
    bar.ax.set_yticklabels([word or "not ok" for word in words], fontsize=7)
    frequency = np.array([[np.nan if v is None else v for v in line] for line in plane["frequency"]])
    figure.colorbar(right.pcolormesh(x, y, frequency.T), ax=right, label="frequency (1/time)")
    for axes in (left, right):
        axes.set(xlabel=f"${names[0]}$", ylabel=f"${names[1]}$")
