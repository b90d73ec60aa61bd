r"""Where the eigenvalues of a large random gated network lie: its cloud's edge, its radius, its slow modes.

**Edge.** Let l not be an eigenvalue, and drive the network by a little noise that grows as exp(l t). Fields
are w_k = U_k v_k + noise, with v = T_i(l) w at every site (`sites`). The entries of the matrices are
independent with mean squares g_k^2 / N and mean zero, so that for N to infinity the w_ki are independent over
sites and fields, with mean squares q_k = g_k^2 <|v_k|^2> + noise. With the gains in T, as `sites` has them,

    q = M(l) q + noise,    M_kj(l) = <|T_kj(l)|^2>, an average over sites.                                 (1)

M is a K x K matrix without negative entries. The answer to the noise is finite as long as the spectral radius
of M is below 1, and the cloud is where

    rho(M(l)) >= 1.                                                                                        (2)

Averages are over what single sites do: correlations between the factors of one site count as they are. That
the state comes from the same matrices as its Jacobian does not matter to leading order in N: it ties few
directions of each matrix, not its bulk. The cells, with <.> over sites and L the eigenvalue of map or field:

- LSTM. All its matrices see h, so M has rank 1, and (2) is exactly that its trace is 1 or more:
  1 = <o^2 tanh'(c')^2 [a_f^2 f'^2 c^2 + a_i^2 i'^2 tanh(g)^2 + a_g^2 i^2 tanh'(g)^2] / |L - f|^2>
  + a_o^2 <o'^2 tanh(c')^2> / |L|^2, with c' the next c.
- GRU. With u = 1 - z, y the field of h and D = |L - z|^2, rows and columns in the order h, z, r,

      a_h^2 <r^2 u^2 tanh'(y)^2 / D>   a_h^2 <r^2 z'^2 (h - tanh y)^2 / D>   a_h^2 <h^2 r'^2>
      a_z^2 <u^2 tanh'(y)^2 / D>       a_z^2 <z'^2 (h - tanh y)^2 / D>       0
      a_r^2 <u^2 tanh'(y)^2 / D>       a_r^2 <z'^2 (h - tanh y)^2 / D>       0.

  U_r makes no other field than r's: for N to infinity r of a site is independent of its h, y and z. Then all
  averages with r or r' are products, and (2) is
  1 = a_z^2 <z'^2 (h - tanh y)^2 / D> + a_h^2 (<r^2> + a_r^2 <h^2> <r'^2>) <u^2 tanh'(y)^2 / D>.
  There the products end. What a unit holds depends on its z: z, h and y of one site are independent at fixed
  points, but not along trajectories.
- Gated RNN. The same, with sig_r independent of h, z and eta, the field of h:
  1 = <(sig_z phi')^2 / |L + sig_z|^2> (<sig_r^2> + <phi^2> <sig_r'^2> / |1 + L tau_r|^2)
  + <(sig_z' phi' (eta - h))^2 / |L + sig_z|^2> / |1 + L tau_z|^2.

These are the edges of Can, Krishnamurthy & Schwab (2020) and Krishnamurthy, Can & Schwab (2022), reached by
another way.

**Outermost point.** Every entry of T is a constant or a product of factors 1 / (l - a), a real. On a vertical
line right of all a, each is largest on the real axis; on a circle about 0 of the map's plane likewise, since
all its poles L = 1 + a are in [0, 1]. So the largest Re L, and the largest |L| of a map, are the real root of
(2) right of the poles, where rho(M) falls from infinity to 0.

**Inside.** With Q = diag(q) and P = diag(p), det(l - J) = prod det(l - A_i) det(1 - T U), and the mean of its
logarithm is

    <log|det(l - A)|> + ext_{q, p} (1/2) [<log det(1 + P T Q T*)> - sum q_k p_k],

over q, p >= 0: zero outside of (2), and inside the solution of

    q_k = <[T Q T* (1 + P T Q T*)^-1]_kk>,   p_k = <[T* (1 + P T Q T*)^-1 P T]_kk>,                        (3)

which for small q and p is (1) and its transpose. Its derivative by l, in which q and p may be held,

    G(l) = <tr (l - A)^-1> + <tr (1 + P T Q T*)^-1 P T' Q T*>,

is the sum of 1 / (l - eigenvalue) over N (Hermitisation: Feinberg & Zee 1997; for D + L X R with one random
X, Ahmadian, Fumarola & Miller 2015). A disc holds 1 / (2 pi i) times the integral of G over its rim.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
from jaxtyping import Complex, Float

from ..records import InputError
from .crossings import crossing
from .sites import Sites

BLOCK = 2**21
"""Numbers of one temporary array: points times sites."""
NEAR = 1e-14
"""Distance to the rightmost pole, over the scale of the poles, below which no root is looked for."""
FAR = 1e8
"""And above."""
HUGE = 1e100
"""Stands for infinity, which M is at a pole."""
ANGLES = 48
"""Of the rule on half a rim: a rim that crosses the edge has kinks, which cost about 1 / ANGLES^2."""
ROUNDS = 200
"""Of the iteration for (3), more than it takes but just inside of the edge, where q p goes to 0."""
SOLVED = 1e-7
"""Change of log q and log p in a round that ends it: shares are then as exact as the rule."""
MEMORY = 5
"""Rounds that are mixed."""
RANK = 1e-10
"""Singular values below that share of the largest are noise in a mixture."""
LONGEST = 2.0
"""Of what mixing adds to log q or log p: it is no better than the line through the last rounds."""


def variance_map(at: Sites, l: Complex[np.ndarray, " n"]) -> Float[np.ndarray, "n k k"]:
    """M of (1) at growth rates l, which for maps are eigenvalues less 1."""
    poles, residues = at.modes
    through = at.through
    poles = np.where(at.hidden, np.inf, poles)
    used = [p for p in range(poles.shape[1]) if residues[:, p].any()]
    k = through.shape[-1]

    def table(values: np.ndarray) -> np.ndarray:
        return (values * at.weight[:, None, None]).reshape(-1, k * k)

    squares = {(p, o): table(residues[:, p] * residues[:, o]) for p in used for o in used if o <= p}
    crossed = {p: table(2.0 * residues[:, p] * through) for p in used}
    constant = table(through**2).sum(axis=0)
    found = np.empty((l.size, k * k))
    block = max(1, BLOCK // poles.shape[0])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start in range(0, l.size, block):
            some = l[start : start + block, None]
            answers = {p: 1.0 / (some - poles[:, p]) for p in used}
            total = np.tile(constant, (some.shape[0], 1))
            for (p, o), values in squares.items():
                if values.any():
                    twice = 1.0 if p == o else 2.0
                    total += (twice * (answers[p] * answers[o].conj()).real) @ values
            for p, values in crossed.items():
                if values.any():
                    total += answers[p].real @ values
            found[start : start + block] = total
    found = np.nan_to_num(found, nan=HUGE, posinf=HUGE, neginf=0.0)
    return np.clip(found, 0.0, HUGE).reshape(-1, k, k)


def spread(
    at: Sites, eigenvalue: Complex[np.ndarray, "*n"] | Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """rho(M) of (2): above 1 inside of the cloud, below 1 outside."""
    values = np.asarray(eigenvalue, dtype=complex)
    maps = variance_map(at, values.reshape(-1) - at.origin)
    return np.abs(np.linalg.eigvals(maps)).max(axis=-1).reshape(values.shape)


def outermost(at: Sites) -> float:
    """Spectral radius of a map, largest real part of a field's eigenvalues, for N to infinity.

    To rounding: by bisection of (2) right of the rightmost pole. Hidden modes count. Refused: gains that
    bring the edge beyond `FAR`.
    """
    hidden = at.modes[0][at.hidden]
    last = float(hidden.max()) if hidden.size else -math.inf
    if not at.hidden.all():
        pole = float(at.modes[0][~at.hidden].max())
        scale = max(1.0, abs(pole))

        def outside(distance: float) -> float:
            # not by `spread`, whose eigenvalue of a map would round what is left of a rate beside 1
            maps = variance_map(at, np.array([complex(pole + distance)]))
            return 1.0 - float(np.abs(np.linalg.eigvals(maps)).max())

        if outside(FAR * scale) < 0.0:
            raise InputError("gains", f"numbers well below {FAR:g}", at.gains.tolist())
        root = crossing(outside, NEAR * scale, FAR * scale)
        last = max(last, pole if root is None else pole + root)
    return at.origin + last


@dataclasses.dataclass(frozen=True)
class Stability:
    """What one round through the sites' states makes of a variance that neither grows nor decays.

    K is the spectral radius of (1 - e)^-1 (M - e) at l = 0, with those columns of M in e whose field does not
    reach itself: reset gates do not count as a round of their own. Since e^2 = 0, K is 1 where rho(M) is; at
    fixed points of GRU and gated RNN it is the K of `mean_field`.
    """

    K: float
    """At the gates' gains as they are: unstable where above 1."""
    K_held: float
    """For an infinitely sharp update or forget gate, that no longer lets closed units move."""

    @property
    def stable(self) -> bool:
        return self.K < 1.0

    @property
    def marginal_with_sharp_gate(self) -> bool:
        """The marginal window: unstable, but only through units that a sharp gate would hold."""
        return self.K > 1.0 > self.K_held


def stability(at: Sites) -> Stability:
    """Of the state whose sites these are."""
    return Stability(K=_round_gain(at), K_held=_round_gain(at.held))


def _round_gain(at: Sites) -> float:
    M = variance_map(at, np.zeros(1, dtype=complex))[0]
    passing = np.where(np.diag(M) == 0.0, M, 0.0)
    rest = M - passing
    return float(np.abs(np.linalg.eigvals(rest + passing @ rest)).max())


def pinched(at: Sites) -> float:
    """Share of the units that a sharp update or forget gate holds: modes at 1 of a map, at 0 of a field."""
    return float(at.weight[-at.A[:, at.clock, at.clock] < 0.5].sum())


def share_within(at: Sites, centre: float, radius: float) -> float:
    """Share of all eigenvalues, for N to infinity, in the disc of that radius about a real centre.

    By (3). About `at.origin` these are the slow modes. Not from `sites.mean_field_sites`, unless at zero.
    """
    if not radius > 0.0:
        raise InputError("radius", "a number > 0", radius)
    angle = (np.arange(ANGLES) + 0.5) * np.pi / ANGLES
    rim = radius * np.exp(1j * angle)
    total = 0.0
    block = max(1, BLOCK // (at.weight.size * at.gains.size**2))
    for start in range(0, ANGLES, block):
        some = rim[start : start + block]
        total += float((some * mean_resolvent(at, centre + some)).real.sum())
    return total / ANGLES / at.A.shape[1]


def mean_resolvent(at: Sites, eigenvalue: Complex[np.ndarray, " n"]) -> Complex[np.ndarray, " n"]:
    """G: the sum of 1 / (l - eigenvalue) over all eigenvalues, over N."""
    l = eigenvalue - at.origin
    poles, residues = at.modes
    answer = 1.0 / (l[:, None, None] - poles)
    found = np.einsum("lnp,n->l", answer, at.weight)
    M = variance_map(at, l)
    # matrices that nothing drives or nothing reads have no part in (3)
    used = M.any(axis=(0, 1)) & M.any(axis=(0, 2))
    inside = np.flatnonzero(np.abs(np.linalg.eigvals(M)).max(axis=-1) > 1.0)
    if not inside.size:
        return found
    residues = residues[:, :, used][..., used]
    through = at.through[:, used][..., used]
    T = np.einsum("lnp,npkj->lnkj", answer[inside], residues) + through
    slope = -np.einsum("lnp,npkj->lnkj", answer[inside] ** 2, residues)
    q, p = _solution(T, at.weight)
    scale = np.sqrt(p[:, None, :, None] * q[:, None, None, :])
    turned = _answer(scale * T)
    found[inside] += np.einsum("lnij,lnij,n->l", turned.conj(), scale * slope, at.weight)
    return found


def _answer(S: np.ndarray) -> np.ndarray:
    """(1 + S S*)^-1 S."""
    return np.linalg.solve(np.eye(S.shape[-1]) + S @ S.conj().swapaxes(-1, -2), S)


def _round(T: np.ndarray, weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One round of (3) for x = (log q, log p) (l, 2k).

    With S = P^1/2 T Q^1/2 the means of S o conj((1 + S S*)^-1 S) have the row sums p_k q_k', and the column
    sums q_k p_k', of new q' and p'. The plain round turns back and forth for large q p; its geometric mean
    with the start does not. Only products of a q and a p mean something: their scales are kept alike.
    """
    q, p = np.exp(np.split(x, 2, axis=1))
    S = np.sqrt(p[:, None, :, None] * q[:, None, None, :]) * T
    share = np.einsum("lnij,n->lij", (S.conj() * _answer(S)).real, weight)
    new_q, new_p = (0.5 * np.log(q / p * share.sum(axis=2)), 0.5 * np.log(p / q * share.sum(axis=1)))
    drift = 0.5 * (new_q - new_p).mean(axis=1, keepdims=True)
    return np.concatenate([new_q - drift, new_p + drift], axis=1)


def _solution(T: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """q and p (l, k) of (3) for T (l, n, k, k), by `_round` with Anderson's (1965) mixing."""
    x = np.zeros((T.shape[0], 2 * T.shape[-1]))
    left = np.arange(T.shape[0])
    points: list[np.ndarray] = []
    steps: list[np.ndarray] = []
    for _ in range(ROUNDS):
        step = _round(T[left], weight, x[left]) - x[left]
        points, steps = [*points[-MEMORY:], x[left]], [*steps[-MEMORY:], step]
        new = x[left] + step
        if len(steps) > 1:
            d_step = np.stack([b - a for a, b in itertools.pairwise(steps)], axis=-1)
            d_point = np.stack([b - a for a, b in itertools.pairwise(points)], axis=-1)
            mixed = np.linalg.pinv(d_step, rcond=RANK) @ step[..., None]
            change = ((d_point + d_step) @ mixed)[..., 0]
            new -= np.clip(change, -LONGEST, LONGEST)
        x[left] = new
        going = np.abs(step).max(axis=1) > SOLVED
        left = left[going]
        points, steps = [y[going] for y in points], [y[going] for y in steps]
        if not left.size:
            break
    return tuple(np.exp(np.split(x, 2, axis=1)))
