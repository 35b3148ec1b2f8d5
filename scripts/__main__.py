"""Make all figures: `python -m scripts [--output figures] [--quick]`."""

from scripts import (
    basins,
    clarke_and_d_operator,
    din_rosenbrock,
    gradient_and_newton,
    network_flow,
    sliding,
    variable_mass_2d,
)
from scripts.command_line import Main, run

FIGURES: dict[str, Main] = {
    "gradient_and_newton": gradient_and_newton.main,
    "din_rosenbrock": din_rosenbrock.main,
    "sliding": sliding.main,
    "clarke_and_d_operator": clarke_and_d_operator.main,
    "variable_mass_2d": variable_mass_2d.main,
    "basins": basins.main,
    "network_flow": network_flow.main,
}
"""One line a figure: the name of its script and the function that makes it."""

if __name__ == "__main__":
    run(**FIGURES)
