"""Integrals along time, on the host, by the rule of Gauss and Legendre on panels."""

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import legendre

NODES = 10
"""Nodes a panel. On a panel as long as the memory, the interpolation of the exponential
is off by $0.5^{10} / (2^9\\,10!) < 10^{-12}$."""

PANELS = 256
"""Least number of panels: what is known at nodes only is seen in 2,560 places or more."""


class OnPanels(NamedTuple):
    """A function at the edges of panels and at the nodes inside of them.

    Args:
        edges: Values of shape `(panels + 1,)`.
        nodes: Values of shape `(panels, NODES)`.
    """

    edges: np.ndarray
    nodes: np.ndarray


class Panels(NamedTuple):
    """An interval of time, cut into panels.

    Args:
        t: Times at the edges and nodes.
        outputs: Which edges are the output times of a trajectory.
    """

    t: OnPanels
    outputs: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Lengths of the panels, of shape `(panels, 1)`."""
        return np.diff(self.t.edges)[:, None]


def cut(times: np.ndarray, longest: float) -> Panels:
    """Cut the intervals between output times into panels.

    Args:
        times: Increasing times.
        longest: Largest length of a panel.

    Example:
        >>> panels = cut(np.array([0.0, 1.0, 3.0]), longest=0.5)
        >>> panels.t.edges[panels.outputs]
        array([0., 1., 3.])
    """
    steps = np.diff(times)
    longest = min(longest, (times[-1] - times[0]) / PANELS)
    counts = np.maximum(np.ceil(steps / longest), 1).astype(int)
    lengths = np.repeat(steps / counts, counts)
    before = np.cumsum(counts) - counts
    number = np.arange(counts.sum()) - np.repeat(before, counts)
    starts = np.repeat(times[:-1], counts) + number * lengths
    edges = np.append(starts, times[-1])
    nodes = starts[:, None] + np.diff(edges)[:, None] * PLACES
    return Panels(OnPanels(edges, nodes), np.append(before, counts.sum()))


def integral(panels: Panels, source: np.ndarray) -> np.ndarray:
    r"""The integral $\int_{t_0}^t w(s)\,ds$ at the edges.

    Args:
        panels: The panels.
        source: The values $w$ at the nodes, of shape `(panels, NODES, ...)`.

    Example:
        >>> panels = cut(np.array([0.0, 1.0, 2.0]), longest=1.0)
        >>> integral(panels, panels.t.nodes)[panels.outputs].round(12)
        array([0. , 0.5, 2. ])
    """
    parts = np.einsum("pn...,n,p->p...", source, WEIGHTS, panels.lengths[:, 0])
    return np.concatenate([np.zeros_like(parts[:1]), np.cumsum(parts, axis=0)])


def fading_integral(panels: Panels, rate: Any, source: np.ndarray) -> OnPanels:
    r"""The integral of a source against a memory that fades.

    $$u(t) = \int_{t_0}^t e^{-\int_s^t r}\,w(s)\,ds$$

    Args:
        panels: The panels, not much longer than $1 / r$.
        rate: The rate $r$: a number, or values at the nodes.
        source: The values $w$ at the nodes.

    Returns:
        The integral at edges and nodes.

    Example:
        >>> panels = cut(np.array([0.0, 1.0]), longest=1.0)
        >>> one = np.ones_like(panels.t.nodes)
        >>> bool(np.isclose(fading_integral(panels, 2.0, one).edges[-1],
        ...                 (1 - np.exp(-2.0)) / 2, rtol=1e-14))
        True

    Source:
        The equation $\dot u = -ru + w$; collocation at the nodes within each panel.
    """
    rate = np.broadcast_to(rate, source.shape)
    faded = panels.lengths * (rate @ INTEGRATION.T)
    gained = source * np.exp(faded)
    inside = panels.lengths * (gained @ INTEGRATION.T)
    decay = np.exp(-panels.lengths[:, 0] * (rate @ WEIGHTS))
    gain = decay * panels.lengths[:, 0] * (gained @ WEIGHTS)
    step = lambda u, factors: factors[0] * u + factors[1]
    edges = np.array(list(accumulate(zip(decay, gain, strict=True), step, initial=0.0)))
    return OnPanels(edges, np.exp(-faded) * (edges[:-1, None] + inside))


def _rule() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1], and the integrals from 0 to each node.

    The integrals are those of the interpolant, by the discrete orthogonality of Legendre
    polynomials at the nodes.
    """
    x, weights = legendre.leggauss(NODES)
    degrees = np.arange(NODES)
    coefficients = (degrees + 0.5)[:, None] * legendre.legvander(x, NODES - 1).T * weights
    primitives = legendre.legint(np.eye(NODES), lbnd=-1, axis=0)
    return (x + 1) / 2, weights / 2, legendre.legval(x, primitives).T @ coefficients / 2


PLACES, WEIGHTS, INTEGRATION = _rule()
"""The rule on the panel [0, 1]."""
