"""What a trajectory shows: energies, bounds, rates, criticality, saddles, trust."""

from dynsys.analysis.certificate.certificate import Certificate as Certificate
from dynsys.analysis.certificate.certificate import certify as certify
from dynsys.analysis.convexity import strong_convexity as strong_convexity
from dynsys.analysis.critical_points.criticality import Criticality as Criticality
from dynsys.analysis.critical_points.criticality import criticality as criticality
from dynsys.analysis.critical_points.escape_statistics import (
    EscapeStatistics as EscapeStatistics,
)
from dynsys.analysis.critical_points.escape_statistics import (
    escape_statistics as escape_statistics,
)
from dynsys.analysis.critical_points.linearisation import Spectrum as Spectrum
from dynsys.analysis.critical_points.linearisation import spectrum as spectrum
from dynsys.analysis.critical_points.saddles import StableManifold as StableManifold
from dynsys.analysis.critical_points.saddles import (
    distance_to_stable_subspace as distance_to_stable_subspace,
)
from dynsys.analysis.critical_points.saddles import escape_time as escape_time
from dynsys.analysis.critical_points.saddles import stable_manifold as stable_manifold
from dynsys.analysis.energies import Energy as Energy
from dynsys.analysis.energies import Moment as Moment
from dynsys.analysis.energies import energies_of as energies_of
from dynsys.analysis.energies import gdin_interval as gdin_interval
from dynsys.analysis.energies.along_trajectory import EnergyReport as EnergyReport
from dynsys.analysis.energies.along_trajectory import energy as energy
from dynsys.analysis.inna.linear_stability import StepLimits as StepLimits
from dynsys.analysis.inna.linear_stability import inna_matrix as inna_matrix
from dynsys.analysis.inna.linear_stability import inna_spectrum as inna_spectrum
from dynsys.analysis.inna.linear_stability import (
    inna_stability_limit as inna_stability_limit,
)
from dynsys.analysis.inna.linear_stability import (
    inna_stable_curvatures as inna_stable_curvatures,
)
from dynsys.analysis.inna.linear_stability import inna_step_limits as inna_step_limits
from dynsys.analysis.inna.linear_stability import spiral_interval as spiral_interval
from dynsys.analysis.inna.stationary_variance import (
    inna_stationary_variance as inna_stationary_variance,
)
from dynsys.analysis.newton.acceleration import LogAmplitude as LogAmplitude
from dynsys.analysis.newton.acceleration import constant_rate as constant_rate
from dynsys.analysis.newton.acceleration import log_amplitude as log_amplitude
from dynsys.analysis.newton.acceleration import (
    measured_log_amplitude as measured_log_amplitude,
)
from dynsys.analysis.newton.acceleration import relative_to_newton as relative_to_newton
from dynsys.analysis.newton.comparison import compare_with_newton as compare_with_newton
from dynsys.analysis.newton.damping_design import Design as Design
from dynsys.analysis.newton.damping_design import design_damping as design_damping
from dynsys.analysis.newton.distance import newton_distance as newton_distance
from dynsys.analysis.newton.first_order import Expansion as Expansion
from dynsys.analysis.newton.first_order import first_order as first_order
from dynsys.analysis.newton.levenberg_marquardt_distance import (
    levenberg_marquardt_distance as levenberg_marquardt_distance,
)
from dynsys.analysis.newton.observed_constants import CorollaryFit as CorollaryFit
from dynsys.analysis.newton.observed_constants import fit_corollary as fit_corollary
from dynsys.analysis.newton.observed_constants import observed_order as observed_order
from dynsys.analysis.objective_bounds import objective_bound as objective_bound
from dynsys.analysis.rates.decay_rate import Decay as Decay
from dynsys.analysis.rates.decay_rate import decay_rate as decay_rate
from dynsys.analysis.rates.kl_exponent import KLExponent as KLExponent
from dynsys.analysis.rates.kl_exponent import gdin_rate as gdin_rate
from dynsys.analysis.rates.kl_exponent import kl_exponent as kl_exponent
from dynsys.analysis.rates.quasi_gradient import quasi_gradient as quasi_gradient
from dynsys.analysis.rates.quasi_gradient import (
    quasi_gradient_constant as quasi_gradient_constant,
)
from dynsys.analysis.report import Assumption as Assumption
from dynsys.analysis.report import AssumptionError as AssumptionError
from dynsys.analysis.report import Bound as Bound
