"""Taylor series, every coefficient extended one order at a time.

For dx/dt = f(x) the coefficients obey (k + 1) x_{k+1} = [f(x)]_k (automatic differentiation of Taylor
coefficients: Moore 1966; Jorba & Zou 2005, Experimental Mathematics 14). With t = tanh v and w = 1 - t^2,

    k t_k = sum_{j=1..k} j v_j w_{k-j},      w_k = -[t^2]_k,

and for r = sigma(v) the same with w = r - r^2. Products are convolutions. Nothing is redone from order to
order: a `Tape` holds the series in the order of their making and extends each by one coefficient at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .numbers import Number


class Tape:
    """The series of one evaluation, each with its rule, in the order in which they depend on each other."""

    def __init__(self):
        self.nodes: list[tuple[list, Callable]] = []

    def variable(self, x0) -> Series:
        """An independent series whose further coefficients are appended to `.coefficients` by the caller."""
        return Series(self, [x0], None)

    def extend(self, k: int) -> None:
        """Computes coefficient k of every series on the tape."""
        for coefficients, rule in self.nodes:
            coefficients.append(rule(k))


class Series(Number):
    """sum_k c_k tau^k, as far as it has been extended."""

    __slots__ = ("tape", "coefficients", "_scaled")

    def __init__(self, tape: Tape, coefficients: list, rule: Callable | None):
        self.tape, self.coefficients = tape, coefficients
        self._scaled: dict[int, object] = {}
        if rule is not None:
            tape.nodes.append((coefficients, rule))

    def __getitem__(self, k: int):
        return self.coefficients[k]

    def _new(self, rule) -> Series:
        return Series(self.tape, [], rule)

    def scaled(self, j: int):
        """j c_j, shared by every recurrence that wants it."""
        if j not in self._scaled:
            self._scaled[j] = self[j] if j == 1 else j * self[j]
        return self._scaled[j]

    def __add__(self, other):
        if isinstance(other, Series):
            return self._new(lambda k: self[k] + other[k])
        if isinstance(other, Number):
            return NotImplemented
        return self._new(lambda k: self[0] + other if k == 0 else self[k])

    def __neg__(self):
        return self._new(lambda k: -self[k])

    def __sub__(self, other):
        if isinstance(other, Series):
            return self._new(lambda k: self[k] - other[k])
        if isinstance(other, Number):
            return NotImplemented
        return self._new(lambda k: self[0] - other if k == 0 else self[k])

    def __rsub__(self, other):
        return self._new(lambda k: other - self[0] if k == 0 else -self[k])

    def __mul__(self, other):
        if isinstance(other, Series):
            if other is self:
                return self.square()
            return self._new(lambda k: _total([self[j] * other[k - j] for j in range(k + 1)]))
        if isinstance(other, Number):
            return NotImplemented
        return self._new(lambda k: self[k] * other)

    def square(self):
        def rule(k):
            half = [self[j] * self[k - j] for j in range((k + 1) // 2)]
            middle = [self[k // 2] * self[k // 2]] if k % 2 == 0 else []
            return _total(([2.0 * _total(half)] if half else []) + middle)

        return self._new(rule)

    def reciprocal(self):
        def rule(k):
            if k == 0:
                return 1.0 / self[0]
            return -inverse[0] * _total([self[j] * inverse[k - j] for j in range(1, k + 1)])

        inverse = self._new(rule)
        return inverse

    def _solution(self, start: Callable, slope: Series, k: int):
        """Coefficient k of y with y(0) = start and dy/dt = slope(t) dv/dt, v being this series."""
        if k == 0:
            return start(self[0])
        total = _total([self.scaled(j) * slope[k - j] for j in range(1, k + 1)])
        return total if k == 1 else total * (1.0 / k)

    def tanh_with_derivative(self):
        t = self._new(lambda k: self._solution(jnp.tanh, w, k))
        squared = t.square()
        w: Series = self._new(lambda k: (1.0 - t[0]) * (1.0 + t[0]) if k == 0 else -squared[k])
        return t, w

    def logistic_with_derivative(self):
        r = self._new(lambda k: self._solution(jax.nn.sigmoid, q, k))
        squared = r.square()
        q: Series = self._new(lambda k: r[0] * (1.0 - r[0]) if k == 0 else r[k] - squared[k])
        return r, q

    def exp_with_derivative(self):
        e: Series = self._new(lambda k: self._solution(jnp.exp, e, k))
        return e, e

    def sin_with_derivative(self):
        sine, cosine = self._circular()
        return sine, cosine

    def cos_with_derivative(self):
        sine, cosine = self._circular()
        return cosine, -sine

    def _circular(self):
        sine = self._new(lambda k: self._solution(jnp.sin, cosine, k))
        cosine: Series = self._new(
            lambda k: jnp.cos(self[0]) if k == 0 else -self._solution(jnp.sin, sine, k)
        )
        return sine, cosine


def _total(terms: list):
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
