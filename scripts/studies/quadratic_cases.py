r"""Random piecewise quadratics, separable in rotated coordinates, and their solutions.

$$f(x) = s^2 \sum_i \Big[\tfrac{c_i}2 z_i^2 + \ell_i z_i
+ \sum_j \tfrac{a_{ij}}{|q_{ij}|} |q_{ij} y_i - r_{ij}|\Big], \qquad
y = R^\top\frac{x - b}s, \quad z = y - m$$

For every system here $z$ moves as if $s = 1$ and $b = m = 0$, each coordinate on its own.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scripts.studies.kinked_line import Line
from scripts.studies.line_motion import Coefficients, Power

SHAPES = ((1, 2), (1, 6), (2, 4), (3, 3), (4, 2))
"""Dimensions, and kinks of each coordinate."""

SYSTEMS = ("gradient flow", "g-DIN", "DIN", "VM-DIN-AVD")

BLOCK = 6
"""Cases in a row that share system and shape, and the loss where it is closed over."""

OUTPUTS = 9


class Data(NamedTuple):
    """The arrays of the loss: R, b, s, m, c, l, a, q and r."""

    rotation: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    centre: np.ndarray
    curvature: np.ndarray
    slope: np.ndarray
    weights: np.ndarray
    factors: np.ndarray
    offsets: np.ndarray

    def coordinates(self, x: np.ndarray) -> np.ndarray:
        """The coordinates z of points, in extended precision."""
        wide = lambda array: np.asarray(array, np.longdouble)
        y = (wide(x) - wide(self.shift)) @ wide(self.rotation) / wide(self.scale)
        return np.asarray(y - wide(self.centre), float)

    def lines(self) -> list[Line]:
        """The function of each coordinate z."""
        wide = np.asarray(self.offsets, np.longdouble) / self.factors
        knots = np.asarray(wide - self.centre[:, None], float)
        rows = zip(self.curvature, self.slope, self.weights, knots, strict=True)
        return [Line(*row) for row in rows]

    @property
    def grain(self) -> float:
        """What rounding does to a coordinate."""
        sizes = np.abs(self.shift).max() / self.scale + np.abs(self.centre).max()
        return float(16 * np.finfo(float).eps * (sizes + 4))


class Case(NamedTuple):
    """One run: what is simulated, and how it is handed over.

    Args:
        number: Its number.
        mode: What is special about its kinks.
        system: Name of the system.
        passing: `closed`, `leaves` or `jit`: where the arrays of the loss are.
        data: The loss.
        x: Where it starts.
        v: With which velocity.
        coefficients: Those of the equation.
        end: Until when.
    """

    number: int
    mode: str
    system: str
    passing: str
    data: Data
    x: np.ndarray
    v: np.ndarray
    coefficients: Coefficients
    end: float

    @property
    def times(self) -> np.ndarray:
        return np.linspace(0.0, self.end, OUTPUTS)

    @property
    def grain(self) -> float:
        """What rounding does to a coordinate; g-DIN has its momentum from a difference."""
        beta = self.coefficients.beta
        return self.data.grain * (1 + 1 / beta if self.system == "g-DIN" else 1)

    @property
    def tolerance(self) -> float:
        """What a step of the run may be off by, in z."""
        return max(1e-9, 10 * self.grain)


class Setting(NamedTuple):
    """What a mode draws: all arrays in coordinates z, one row a coordinate."""

    curvature: np.ndarray
    slope: np.ndarray
    weights: np.ndarray
    knots: np.ndarray
    start: np.ndarray


Mode = Callable[[np.random.Generator, Setting], Setting]


def _random(rng: np.random.Generator, plain: Setting) -> Setting:
    del rng
    return plain


def _start(rng: np.random.Generator, plain: Setting) -> Setting:
    """Kinks through the start, in at least one coordinate."""
    on = rng.random(len(plain.start)) < 0.7
    on[0] = True
    return plain._replace(start=np.where(on, plain.knots[:, 0], plain.start))


def _duplicated(rng: np.random.Generator, plain: Setting) -> Setting:
    """Half of the kinks are where another one is."""
    count = plain.knots.shape[1]
    other = rng.integers(0, (count + 1) // 2, plain.knots.shape)
    return plain._replace(knots=np.take_along_axis(plain.knots, other, axis=1))


def _near(rng: np.random.Generator, plain: Setting) -> Setting:
    """All kinks of a coordinate within a few gaps from 1e-14 to 1e-3."""
    gap = 10 ** rng.uniform(-14, -3, (len(plain.start), 1))
    places = rng.permuted(np.tile(np.arange(plain.knots.shape[1]), (len(gap), 1)), axis=1)
    signs = np.where(rng.random(plain.weights.shape) < 0.2, -0.5, 1.0)
    return plain._replace(
        knots=plain.knots[:, :1] * (1 + gap * places), weights=plain.weights * signs
    )


def _concave(rng: np.random.Generator, plain: Setting) -> Setting:
    """Many of the kinks are concave."""
    signs = np.where(rng.random(plain.weights.shape) < 0.4, -1.0, 1.0)
    on = rng.random(len(plain.start)) < 0.15
    return plain._replace(
        weights=plain.weights * signs,
        curvature=plain.curvature + 0.3,
        start=np.where(on, plain.knots[:, 0], plain.start),
    )


def _point(rng: np.random.Generator, plain: Setting) -> Setting:
    """All kinks of all coordinates meet at one point."""
    del rng
    knots = np.broadcast_to(plain.knots[:, :1], plain.knots.shape).copy()
    return plain._replace(knots=knots)


def _together(rng: np.random.Generator, plain: Setting) -> Setting:
    """All coordinates do the same, so that they meet their kinks at the same times."""
    del rng
    same = [np.broadcast_to(array[:1], array.shape).copy() for array in plain]
    return Setting(*same)


def _cancel(rng: np.random.Generator, plain: Setting) -> Setting:
    """Convex and concave kinks at one place: their sum decides, and may be 0."""
    setting = _point(rng, plain)
    weights = setting.weights.copy()
    weights[:, 1::2] *= -rng.choice([0.5, 1.0, 1.5], weights[:, 1::2].shape)
    exact = rng.random() < 0.5
    weights[:, 1::2] = np.where(exact, -weights[:, :1], weights[:, 1::2])
    return setting._replace(weights=weights)


MODES: dict[str, Mode] = {
    "random": _random,
    "start": _start,
    "duplicated": _duplicated,
    "near": _near,
    "concave": _concave,
    "far": _random,
    "point": _point,
    "together": _together,
    "cancel": _cancel,
}


def passing_of(index: int) -> str:
    """Where the arrays of a case are: 15 % closed over, 10 % traced under `jit`."""
    place = index // BLOCK % 20
    return "closed" if place < 3 else "jit" if place < 5 else "leaves"


def kind_of(seed: int, index: int) -> tuple[str, tuple[int, int]]:
    """System and shape of a case, which tell its compiled program."""
    rng = np.random.default_rng([seed, 1, index // BLOCK])
    return SYSTEMS[rng.integers(len(SYSTEMS))], SHAPES[rng.integers(len(SHAPES))]


def draw(
    seed: int,
    index: int,
    mode: str | None = None,
    kind: tuple[str, tuple[int, int]] | None = None,
    passing: str | None = None,
) -> Case:
    """A case, by its number.

    Args:
        seed: Seed of the study.
        index: Number of the case.
        mode: Its mode; left out, that of its number.
        kind: Its system and shape; left out, those of its number.
        passing: Where its arrays are; left out, that of its number.
    """
    passing = passing_of(index) if passing is None else passing
    system, shape = kind_of(seed, index) if kind is None else kind
    loss_number = index // BLOCK if passing == "closed" else index
    rng = np.random.default_rng([seed, 2 + (passing == "closed"), loss_number])
    mode = str(rng.choice(list(MODES))) if mode is None else mode
    data, start = _draw_data(rng, mode, shape)
    rng = np.random.default_rng([seed, 4, index])
    if passing == "closed" and mode != "start":
        start = start + rng.normal(0, 0.3, len(start))
    speed = np.where(rng.random() < 0.5, 0.0, rng.normal(0, 1, len(start)))
    if mode == "together":
        speed = np.full(len(start), speed[0])
    to_x = data.scale * data.rotation
    x = data.shift + to_x @ (data.centre + start)
    coefficients = _draw_coefficients(rng, system)
    end = float(rng.uniform(2, 6))
    return Case(index, mode, system, passing, data, x, to_x @ speed, coefficients, end)


def _draw_data(
    rng: np.random.Generator, mode: str, shape: tuple[int, int]
) -> tuple[Data, np.ndarray]:
    """The loss, and a start in coordinates z."""
    dim = shape[0]
    some = lambda values, chance: np.where(rng.random(dim) < chance, 0.0, values)
    weights = rng.uniform(0.1, 1.2, shape) * rng.choice([0.3, 1.0])
    curvature, slope = (
        some(rng.uniform(0.1, 2, dim), 0.3),
        some(rng.uniform(-1, 1, dim), 0.3),
    )
    knots, start = rng.uniform(-1.5, 1.5, shape), rng.uniform(-2.5, 2.5, dim)
    plain = Setting(curvature, slope, weights, knots, start)
    if rng.random() < 0.25:  # Data on a grid, which ties without being told to.
        plain = Setting(*(np.round(4 * array) / 4 for array in plain))
        plain = plain._replace(weights=np.maximum(plain.weights, 0.25))
    setting = MODES[mode](rng, plain)
    scale = 10 ** rng.uniform(-9, 9) if rng.random() < 0.5 else 1.0
    far = mode == "far"
    centre = (
        rng.choice([-1, 1], dim) * 10 ** rng.uniform(6, 8, dim) if far else np.zeros(dim)
    )
    shifted = not far and rng.random() < 0.6
    shift = scale * 10 ** rng.uniform(-2, 6) * rng.normal(0, 0.3, dim) * shifted
    respelt = mode in ("duplicated", "random") and rng.random() < 0.5
    factors = rng.choice([0.1, 1.0, -3.0], shape) if respelt else np.ones(shape)
    offsets = factors * (setting.knots + centre[:, None])
    rotated = rng.random() < 0.7 and dim > 1
    rotation = np.linalg.qr(rng.normal(size=(dim, dim)))[0] if rotated else np.eye(dim)
    data = Data(
        rotation,
        shift,
        np.asarray(scale),
        centre,
        setting.curvature,
        setting.slope,
        setting.weights,
        factors,
        offsets,
    )
    return data, setting.start


def _draw_coefficients(rng: np.random.Generator, system: str) -> Coefficients:
    alpha = 0.0 if rng.random() < 0.2 else float(rng.uniform(0.1, 2))
    beta = float(10 ** rng.uniform(-1.3, 0))
    if system != "VM-DIN-AVD":
        return Coefficients(Power(1.0), Power(alpha), beta)
    steady = rng.random() < 0.3
    exponents = (0.0, 0.0) if steady else (rng.uniform(-0.5, 1), rng.uniform(0, 1))
    epsilon = Power(float(rng.uniform(0.3, 2)), float(exponents[0]))
    return Coefficients(epsilon, Power(alpha, float(exponents[1])), beta)
