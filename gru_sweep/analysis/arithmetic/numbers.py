"""What a number is: the operations that a vector field may use, over whatever stands for a number.

A *plain* number is a JAX scalar (or a Python float). A `Number` is anything richer: an interval, a Taylor
series, a dual number over one of these. The functions below take either, so each primitive of a jaxpr has
one rule (`interpreter`) and each number system one class.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


class Number:
    """Base of the richer numbers.

    A subclass gives `__add__`, `__mul__`, `__neg__`, and those of `reciprocal`, `square` and the functions of
    `UNARY` that it can; each of the latter as `f_with_derivative() -> (f(x), f'(x))`.
    """

    __slots__ = ()
    __array_priority__ = 1000  # NumPy leaves the operator to us

    def __add__(self, other):
        return NotImplemented

    def __mul__(self, other):
        return NotImplemented

    def __neg__(self):
        raise TypeError(f"{type(self).__name__} has no negative")

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return (-self) + other

    def __truediv__(self, other):
        return self * reciprocal(other)

    def __rtruediv__(self, other):
        return reciprocal(self) * other

    def square(self):
        return self * self

    def reciprocal(self):
        raise TypeError(f"{type(self).__name__} has no reciprocal")


def is_zero(x) -> bool:
    """A Python zero: known when tracing, and dropped."""
    return isinstance(x, float) and bool(x == 0.0)


def multiply(x, y):
    """x y, where a Python 0 or 1 costs nothing."""
    if is_zero(x) or is_zero(y):
        return 0.0
    if isinstance(x, float) and x == 1.0:
        return y
    if isinstance(y, float) and y == 1.0:
        return x
    return x * y


def add(x, y):
    """x + y, where a Python 0 costs nothing."""
    if is_zero(x):
        return y
    if is_zero(y):
        return x
    return x + y


def reciprocal(x):
    return x.reciprocal() if isinstance(x, Number) else 1.0 / x


def square(x):
    return x.square() if isinstance(x, Number) else x * x


def integer_power(x, n: int):
    """x^n for an integer n, by repeated squaring."""
    if n < 0:
        return reciprocal(integer_power(x, -n))
    if n == 0:
        return 1.0
    root = square(integer_power(x, n // 2)) if n > 1 else None
    if root is None:
        return x
    return multiply(root, x) if n % 2 else root


def _tanh(x):
    t = jnp.tanh(x)
    return t, (1.0 - t) * (1.0 + t)


def _logistic(x):
    q = jax.nn.sigmoid(x)
    return q, q * (1.0 - q)


def _exp(x):
    e = jnp.exp(x)
    return e, e


def _sin(x):
    return jnp.sin(x), jnp.cos(x)


def _cos(x):
    return jnp.cos(x), -jnp.sin(x)


_PLAIN = {"tanh": _tanh, "logistic": _logistic, "exp": _exp, "sin": _sin, "cos": _cos}

UNARY = tuple(_PLAIN)
"""Transcendental functions that have a rule."""


def with_derivative(name: str, x):
    """(f(x), f'(x)) of the function `name`, over any number system."""
    if isinstance(x, Number):
        return getattr(x, f"{name}_with_derivative")()
    return _PLAIN[name](x)


def function(name: str, x):
    """f(x) of the function `name`."""
    if isinstance(x, float):
        x = jnp.asarray(x)
    return with_derivative(name, x)[0]


class Dual(Number):
    """A number with its derivatives in a few directions: forward-mode differentiation over any number system.

    `value` is a number, `tangent` a tuple of numbers; Python zeros and ones among them are folded away, so
    that a Jacobian costs what its non-zero entries cost.
    """

    __slots__ = ("value", "tangent")

    def __init__(self, value, tangent):
        self.value, self.tangent = value, tuple(tangent)

    @classmethod
    def seed(cls, values) -> list[Dual]:
        """The variables x_1 ... x_n with the unit vectors as directions."""
        n = len(values)
        return [cls(v, [1.0 if i == j else 0.0 for j in range(n)]) for i, v in enumerate(values)]

    def __add__(self, other):
        if isinstance(other, Dual):
            return Dual(add(self.value, other.value), map(add, self.tangent, other.tangent))
        return Dual(add(self.value, other), self.tangent)

    def __neg__(self):
        return Dual(-self.value, [0.0 if is_zero(t) else -t for t in self.tangent])

    def __mul__(self, other):
        if isinstance(other, Dual):
            tangent = [
                add(multiply(s, other.value), multiply(self.value, t))
                for s, t in zip(self.tangent, other.tangent)
            ]
            return Dual(multiply(self.value, other.value), tangent)
        return Dual(multiply(self.value, other), [multiply(t, other) for t in self.tangent])

    def square(self):
        return self._chain(square(self.value), 2.0 * self.value)

    def reciprocal(self):
        inverse = reciprocal(self.value)
        return self._chain(inverse, -square(inverse))

    def _chain(self, value, slope):
        return Dual(value, [multiply(t, slope) for t in self.tangent])

    def _unary(self, name):
        value, slope = with_derivative(name, self.value)
        return self._chain(value, slope), None  # second derivatives are not followed

    def tanh_with_derivative(self):
        return self._unary("tanh")

    def logistic_with_derivative(self):
        return self._unary("logistic")

    def exp_with_derivative(self):
        return self._unary("exp")

    def sin_with_derivative(self):
        return self._unary("sin")

    def cos_with_derivative(self):
        return self._unary("cos")
