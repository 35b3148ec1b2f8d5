r"""Energies of gradient flow."""

from dynsys.analysis.energies.energy import Energy
from dynsys.systems.gradient_flow import GradientFlow
from dynsys.trees import dot


def objective(system: GradientFlow) -> Energy:
    r"""The objective along gradient flow.

    $$E = f(x) - f^\star, \qquad \dot E = -\|\nabla f(x)\|^2$$

    Source:
        Elementary; at kinks with the element of smallest norm of the subdifferential.
    """
    del system
    return Energy(
        "objective",
        value=lambda at: at.f,
        rate=lambda at: -dot(at.g, at.g),
        decreases="always",
        source="chain rule",
    )
