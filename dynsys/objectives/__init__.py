"""What is minimised: functions with known minimisers, constants and saddles."""

from dynsys.objectives.double_well import DoubleWell as DoubleWell
from dynsys.objectives.lasso import Lasso as Lasso
from dynsys.objectives.log_cosh import LogCosh as LogCosh
from dynsys.objectives.logistic_regression import (
    LogisticRegression as LogisticRegression,
)
from dynsys.objectives.mean import Mean as Mean
from dynsys.objectives.nonsmooth_rosenbrock import (
    NonsmoothRosenbrock as NonsmoothRosenbrock,
)
from dynsys.objectives.objective import AbstractObjective as AbstractObjective
from dynsys.objectives.objective import Facts as Facts
from dynsys.objectives.objective import Function as Function
from dynsys.objectives.power_function import PowerFunction as PowerFunction
from dynsys.objectives.quadratic import Quadratic as Quadratic
from dynsys.objectives.rosenbrock import Rosenbrock as Rosenbrock
