r"""The energy of asymptotically vanishing damping."""

from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.systems.avd import AVD
from dynsys.trees import combine, dot


def su_boyd_candes(system: AVD) -> Energy:
    r"""The energy behind the rate $O(1/t^2)$ of AVD, for $\alpha > 1$.

    $$E = \tfrac{2t^2}{\alpha-1}(f(x) - f^\star)
    + (\alpha-1)\big\|x - x^\star + \tfrac t{\alpha-1}\dot x\big\|^2, \qquad
    \dot E = \tfrac{4t}{\alpha-1}(f(x) - f^\star)
    - 2t\langle\nabla f(x), x - x^\star\rangle$$

    Source:
        Su, Boyd, Candès, arXiv 1503.01243v2, theorem 3 (for $\alpha = 3$) and theorem 5
        with equation (18).
    """

    def value(at: Moment) -> Float[Array, ""]:
        lag = system.alpha.astype(at.t.dtype) - 1
        ahead = combine((1.0, at.offset), (at.t / lag, at.v))
        return 2 * at.t**2 / lag * at.f + lag * dot(ahead, ahead)

    def rate(at: Moment) -> Float[Array, ""]:
        lag = system.alpha.astype(at.t.dtype) - 1
        return 4 * at.t / lag * at.f - 2 * at.t * dot(at.g, at.offset)

    return Energy(
        "Su-Boyd-Candes",
        value,
        rate,
        decreases="where f is convex, if alpha >= 3",
        source="Su, Boyd, Candès, arXiv 1503.01243v2, theorems 3 and 5",
        needs_minimiser=True,
    )
