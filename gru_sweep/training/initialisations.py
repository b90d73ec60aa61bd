r"""How a network begins: distributions of its first parameters, by name.

All are drawn in float64 on the CPU by threefry, whatever the precision of the process: a key, a size and a
number of coordinates always give the same network, which single precision then rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

from ..systems.cells import GRU
from .networks import Network

ANGLES = (math.pi / 8, math.pi / 3)
"""Between which "rotation" draws alpha: periods of 30 to 7 steps at the bifurcation, which 29 steps show."""
EXCESS = 1.25
"""Of "rotation": beta over its value at the Hopf bifurcation; below the saddle-node that ends the cycle for
every alpha of `ANGLES`."""


def uniform(key: jax.Array, dim: int, p: int = 2) -> Network:
    """Every entry of every part U(-1/sqrt(d), 1/sqrt(d)), as PyTorch begins a recurrent layer."""
    shapes = [*3 * [(dim, dim)], *3 * [(dim,)], *3 * [(dim, p)], (p, dim), (p,)]
    return _network(*(part / math.sqrt(dim) for part in _draws(key, shapes)))


def glorot(key: jax.Array, dim: int, p: int = 2) -> Network:
    """As Keras begins: input weights and readout U(-a, a), a = sqrt(6 / (rows + columns)), Glorot & Bengio
    (2010), each gate a matrix of its own; recurrences orthogonal by Haar's measure, Saxe et al. (2014);
    biases zero."""
    recurrent, rest = jax.random.split(key)
    shapes = [*3 * [(dim, p)], (p, dim)]
    around = [math.sqrt(6 / (dim + p)) * part for part in _draws(rest, shapes)]
    square = np.asarray(jax.random.orthogonal(recurrent, dim, (3,)))
    return _network(*square, *3 * [np.zeros(dim)], *around, np.zeros(p))


def rotation(key: jax.Array, dim: int, p: int = 2) -> Network:
    r"""Decoupled oscillators, in the spirit of Sokol et al. (2019): inputs, readout and biases of `glorot`,
    U_z = U_r = 0, and U_h with 2 x 2 blocks beta_j R(alpha_j) on its diagonal (Eq 8, for each pair of units).

    At the origin z = r = 1/2, so that a block has the eigenvalues lambda = (beta / 2 e^(+-i alpha) - 1) / 2:
    a Hopf bifurcation at beta cos(alpha) = 2, with angular frequency tan(alpha) / 2. Here alpha_j is drawn
    from `ANGLES` and beta_j = `EXCESS` * 2 / cos(alpha_j), past it: the origin repels, [-1, 1]^2 traps, and
    each block oscillates. An odd d leaves one unit over, with U_h = `EXCESS` * 2: two stable states.
    """
    begin, angles = jax.random.split(key)
    plain = glorot(begin, dim, p)
    alpha = np.asarray(jax.random.uniform(angles, (dim // 2,), minval=ANGLES[0], maxval=ANGLES[1]))
    beta = 2 * EXCESS / np.cos(alpha)
    U_h = np.diag(np.full(dim, 2 * EXCESS))
    for j, (a, b) in enumerate(zip(alpha, beta)):
        pair = slice(2 * j, 2 * j + 2)
        U_h[pair, pair] = b * np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    zero, cell = np.zeros((dim, dim)), plain.cell
    biases, inputs = (cell.b_z, cell.b_r, cell.b_h), (cell.W_z, cell.W_r, cell.W_h)
    return _network(U_h, zero, zero, *biases, *inputs, plain.C, plain.c)


def _draws(key: jax.Array, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Arrays of independent U(-1, 1), drawn together: a program for each size, not for each part."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    flat = np.asarray(jax.random.uniform(key, (int(ends[-1]),), minval=-1.0, maxval=1.0))
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes)]


def _network(*parts) -> Network:
    U_h, U_z, U_r, b_z, b_r, b_h, W_z, W_r, W_h, C, c = parts
    return Network(GRU(U_h, U_z, U_r, b_z, b_r, b_h, W_z=W_z, W_r=W_r, W_h=W_h), C, c)


INITIALISATIONS: dict[str, Callable[..., Network]] = {
    "uniform": uniform,
    "glorot": glorot,
    "rotation": rotation,
}


def initial(name: str, seed: int, dim: int, p: int = 2) -> Network:
    """The network, as float64 NumPy arrays, that training begins with; its key is of `seed` and `dim`."""
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), dim)
        return jax.tree.map(np.asarray, INITIALISATIONS[name](key, dim, p))
