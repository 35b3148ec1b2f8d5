"""Make all figures: `python -m scripts [--output figures] [--quick]`."""

from scripts import (
    basins,
    bound_tightness,
    clarke_and_d_operator,
    din_rosenbrock,
    energy_along_kinks,
    gradient_and_newton,
    inna_rosenbrock,
    inna_shadowing,
    levenberg_marquardt_bound,
    lyapunov,
    network_flow,
    newton_acceleration,
    newton_bound,
    rates,
    saddle_escape,
    saddle_quadratic,
    sensitivity,
    sliding,
    training,
    variable_mass_2d,
)
from scripts.command_line import Main, run

FIGURES: dict[str, Main] = {
    "gradient_and_newton": gradient_and_newton.main,
    "din_rosenbrock": din_rosenbrock.main,
    "inna_rosenbrock": inna_rosenbrock.main,
    "sliding": sliding.main,
    "clarke_and_d_operator": clarke_and_d_operator.main,
    "variable_mass_2d": variable_mass_2d.main,
    "lyapunov": lyapunov.main,
    "energy_along_kinks": energy_along_kinks.main,
    "newton_bound": newton_bound.main,
    "levenberg_marquardt_bound": levenberg_marquardt_bound.main,
    "bound_tightness": bound_tightness.main,
    "newton_acceleration": newton_acceleration.main,
    "rates": rates.main,
    "inna_shadowing": inna_shadowing.main,
    "saddle_quadratic": saddle_quadratic.main,
    "saddle_escape": saddle_escape.main,
    "basins": basins.main,
    "network_flow": network_flow.main,
    "training": training.main,
    "sensitivity": sensitivity.main,
}
"""One line a figure: the name of its script and the function that makes it."""

if __name__ == "__main__":
    run(**FIGURES)
