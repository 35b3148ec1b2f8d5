"""A small part of the study of certificates: all faults, in a few kinds of runs."""

import numpy as np
import pytest

from scripts.studies.certificates import VISIBLE, examine, table
from scripts.studies.certified_runs import KINDS
from scripts.studies.planted_faults import FAULTS

NAMES = ("gdin, stiff in 3", "mass_jumps, bowl in 3", "din, l1 in 1")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_faults_are_flagged_and_runs_without_them_are_not(name):
    kind = [one.name for one in KINDS].index(name)
    numbers = kind + len(KINDS) * np.arange(2 * len(FAULTS))
    findings = [examine(0, int(number)) for number in numbers]
    assert all(one.fault for one in findings)
    assert {one.fault for one in findings} == set(FAULTS)
    assert not [one for one in findings if one.blamed or one.is_missed]
    assert sum(one.size > VISIBLE for one in findings) > len(FAULTS)
    last = table(findings).splitlines()[-1].split()[:4]
    assert last == ["all", str(len(findings)), "0", "0"]
