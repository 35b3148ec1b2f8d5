"""Data of the kinked spellings."""

import numpy as np

random = np.random.default_rng(10)
W = random.normal(size=(4, 3))
A = random.normal(size=(12, 3))
B = random.normal(size=12)
SIGNS = np.sign(B)
YEARS = np.array([1990.0, 1991.0, 1992.0, 1993.0, 1994.0])
KELVIN = np.array([293.15, 293.2, 293.25])
TIED = np.array([1.0, 2.0, 2.0, 2.0, 5.0, 5.0])
WHOLE = np.array([3, 1, 4, 1, 5])
KNOTS = np.array([-1.0, 0.0, 1.0])
SLOPES = np.array([-2.0, -0.5, 1.0, 3.0])
LEVELS = np.array([-2.0, -0.5, -0.5, -2.5])
ROWS = A[np.array([0, 1, 2, 0, 1, 0])]
