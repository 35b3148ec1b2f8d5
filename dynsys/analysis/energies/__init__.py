"""Lyapunov functions, one file a system, with their exact rates."""

from dynsys.analysis.energies.catalogue import energies_of as energies_of
from dynsys.analysis.energies.energy import Energy as Energy
from dynsys.analysis.energies.energy import Minimum as Minimum
from dynsys.analysis.energies.energy import Moment as Moment
from dynsys.analysis.energies.energy import moment as moment
from dynsys.analysis.energies.gdin import gdin as gdin
from dynsys.analysis.energies.gdin import gdin_interval as gdin_interval
