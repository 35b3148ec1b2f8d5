"""Drawing of trajectories with matplotlib. Imported when it is first used."""

from dynsys.plots.bound_along_time import bound_along_time as bound_along_time
from dynsys.plots.comparison import comparison as comparison
from dynsys.plots.distance_along_time import distance_along_time as distance_along_time
from dynsys.plots.energy_along_time import energy_along_time as energy_along_time
from dynsys.plots.level_lines import level_lines as level_lines
from dynsys.plots.objective_along_time import (
    objective_along_time as objective_along_time,
)
from dynsys.plots.phase_portrait import phase_portrait as phase_portrait
from dynsys.plots.style import Look as Look
from dynsys.plots.style import context as context
from dynsys.plots.style import look as look
from dynsys.plots.style import save as save
