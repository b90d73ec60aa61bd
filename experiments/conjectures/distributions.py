"""The distributions that the census draws planar gated units from: (seed, distribution, index) -> cell.

Every cell is a function of standard normal deviates g that a counting generator makes of the seed, the
distribution's number and the index, so that any cell can be drawn again by itself. A uniform number is the
angle of two of them. Entries are rounded: what a table prints is the cell that was computed.

Readings, from the narrowest to the widest: `no reset gate` (r constant, no update gate), `no update gate`
(U_z = 0, b_z = 0: sections 3 and 4 of Jordan, Sokol & Park 2021) and `update gate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from gru_sweep.records import InputError
from gru_sweep.systems.families import deviate

from .cells import ELEVEN, FIFTEEN, THIRTEEN, Parts, assembled
from .draws import (
    Deviates,
    beside_hopf,
    dense,
    heavy_tailed,
    log_uniform,
    near,
    no_reset_gate,
    odd,
    one_update_gate,
    quarter_turns,
    reflection,
    rotations,
    sharp,
    sharp_swap_symmetric,
    sparse,
    swap_symmetric,
    with_update_gate,
)

READINGS = ("no reset gate", "no update gate", "update gate")
DEVIATES = 40
"""Of one cell; the most demanding distribution takes 36."""
STREAMS = 256
"""Distributions that one seed has room for."""
MAX_SEED = 2**63 // STREAMS - 1


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A way to draw cells.

    - `number`: its stream of deviates, never given anew. `share`: of the cells drawn.
    - `paired`: whether every cell is looked at again without its update gate.
    """

    number: int
    name: str
    formula: str
    reading: str
    parts: Callable[[Deviates], Parts]
    share: float = 1.0
    paired: bool = False

    def draw(self, seed: int, index: np.ndarray) -> np.ndarray:
        """The cells of these indices, (n, 18), columns `NAMES`. Refuses a seed out of range."""
        check_seed(seed)
        rows = deviate(seed * STREAMS + self.number, np.asarray(index), DEVIATES)
        return assembled(self.parts(Deviates(rows)), len(rows))


def check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise InputError("seed", f"an integer from 0 to {MAX_SEED}", seed)


_BASE, _PAPER, _UPDATE = READINGS
_CONSTRUCTED = "J of the fixed point at U(-0.95, 0.95)^2: trace +-10^U(-3,-0.5), determinant 10^U(-2.5,0.7)"
_NEAR = "entries e + s g |e|, biases e + s g (|e| + 1), s = 10^U(-2.5,-0.2), of "
DISTRIBUTIONS: tuple[Distribution, ...] = (
    *(
        Distribution(k, f"dense, {s:g}", f"U_h, U_r = {s:g} g; b_h, b_r = {b:g} g", _PAPER, dense(s, b))
        for k, (s, b) in enumerate(((2.0, 0.5), (4.0, 1.0), (8.0, 0.5), (16.0, 1.0)))
    ),
    Distribution(
        4, "heavy tails", "U = 4 t, b_h = 0.5 t, b_r = t; t: Student, 2 degrees", _PAPER, heavy_tailed
    ),
    Distribution(
        5, "sparse", "U_h = 8 g, U_r = 16 g, each kept with 1/2; b_h = 0.5 g, b_r = g", _PAPER, sparse
    ),
    Distribution(
        6,
        "log-uniform scales",
        "U_h = 10^U(0,1.6) g, U_r = 10^U(-0.5,1.8) g, b_h = 10^U(-2,0.6) g, b_r = 10^U(-1,1.2) g",
        _PAPER,
        log_uniform,
    ),
    Distribution(
        7, "no reset gate", "U_h = 10^U(0.3,1.8) g, b_h = 10^U(-2,1) g, r = 1/2", _BASE, no_reset_gate, 2.0
    ),
    Distribution(8, "odd symmetry", "U_h = 10^U(0.3,1.8) g, b_r = g, b_h = 0, U_r = 0", _BASE, odd),
    Distribution(
        9,
        "sharp reset gates",
        "U_h: own U(2,12), other 12 U(-0.5,0.5) g; U_r: rows of length 10^U(1,1.7), shut along lines through "
        "U(-1.2,1.2)^2; b_h = 10^U(-1,0.5) g",
        _PAPER,
        sharp,
        2.0,
    ),
    Distribution(
        10,
        "swap symmetry",
        "U = [[a, b], [b, a]]: U_h 10^U(0.5,1.5) g, U_r 10^U(0.5,1.7) g; equal b_h = 10^U(-1,0.7) g, "
        "b_r = 10^U(0,1.3) g",
        _PAPER,
        swap_symmetric,
    ),
    Distribution(
        11,
        "rotations",
        "U = [[a, -b], [b, a]]: U_h 10^U(0.3,1.3) g, U_r 10^U(-0.5,1.3) g; equal b_h = 10^U(-2,0.3) g, "
        "b_r = g",
        _PAPER,
        rotations,
    ),
    Distribution(
        12,
        "quarter turns",
        "U_h = 10^U(0.3,1.5) [[a, -b], [b, a]], equal b_r = g, U_r = 0, b_h = 0",
        _BASE,
        quarter_turns,
    ),
    Distribution(
        13,
        "reflection",
        "symmetric in h_2: U_h = 10^U(0.5,1.7) diag(g), U_r = 10^U(0,1.7) [[g, 0], [g, 0]], "
        "b_h = (10^U(-1.5,0.5) g, 0), b_r = 2 g",
        _PAPER,
        reflection,
    ),
    Distribution(14, "near eleven", f"{_NEAR}{ELEVEN}", _PAPER, near(ELEVEN)),
    Distribution(15, "near thirteen", f"{_NEAR}{THIRTEEN}", _PAPER, near(THIRTEEN)),
    Distribution(
        16,
        "beside Hopf",
        f"{_CONSTRUCTED}; U_r = 10^U(-0.5,1.2) g, b_r = g",
        _PAPER,
        beside_hopf(True, False),
        1.5,
    ),
    Distribution(
        17, "beside Hopf, no reset gate", f"{_CONSTRUCTED}; r = 1/2", _BASE, beside_hopf(False, False), 1.5
    ),
    Distribution(
        18,
        "beside Hopf, unequal b_z",
        f"{_CONSTRUCTED}; r = 1/2, b_z = 10^U(-0.5,0.5) g",
        _UPDATE,
        beside_hopf(False, True),
        1.0,
        paired=True,
    ),
    Distribution(
        19,
        "update gate",
        "U_h, U_r = 6 g, U_z = g; b_h, b_r, b_z = 0.5 g",
        _UPDATE,
        with_update_gate(1.0, 0.5),
        paired=True,
    ),
    Distribution(
        20,
        "sharp update gate",
        "U_h, U_r = 6 g, U_z = 3 g; b_h, b_r = 0.5 g, b_z = g",
        _UPDATE,
        with_update_gate(3.0, 1.0),
        0.3,
        paired=True,
    ),
    Distribution(
        21,
        "unequal b_z",
        "U_h, U_r = 6 g, U_z = 0; b_h, b_r = 0.5 g, b_z = 1.5 g",
        _UPDATE,
        with_update_gate(0.0, 1.5),
        paired=True,
    ),
    Distribution(
        22,
        "one update gate for both units",
        "U_h, U_r = 6 g; b_h, b_r = 0.5 g; rows of U_z equal, g; b_z equal, g",
        _UPDATE,
        one_update_gate,
        paired=True,
    ),
    Distribution(
        23,
        "sharp reset gates, swap symmetry",
        "U_h = [[U(2,16), U(-6,6)], ...], rows of U_r of length 10^U(1,1.7), shut along a line through "
        "U(-1.2,1.2)^2; equal b_h = 10^U(-1,0.5) g",
        _PAPER,
        sharp_swap_symmetric,
        2.0,
    ),
    Distribution(24, "near fifteen", f"{_NEAR}{FIFTEEN}", _PAPER, near(FIFTEEN)),
)
