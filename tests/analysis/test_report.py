import numpy as np

from dynsys.analysis import Assumption, Bound

T = np.linspace(0.0, 1.0, 5)


def bound(measured, allowance=0.0):
    trusted = Assumption("f is convex", "said by the objective", checked=False)
    checked = Assumption("epsilon does not grow", "largest slope -0.1")
    both = (checked, trusted)
    return Bound(T, measured, np.exp(-T), allowance, {"C": 1.0}, both, "theorem 1")


def test_a_bound_holds_up_to_the_error_of_the_simulation():
    above = np.exp(-T) + 1e-6 * (T == 0.5)
    assert not bound(above).holds
    assert bound(above, allowance=1e-5).holds
    assert "fails, first at t = 0.5" in str(bound(above))


def test_what_is_not_a_number_does_not_hold():
    assert not bound(np.where(T == 0.5, np.nan, 0.0)).holds


def test_tightness_is_the_largest_ratio_that_errors_cannot_explain():
    assert bound(0.25 * np.exp(-T)).tightness == 0.25
    early = np.where(T < 0.6, 0.25, 0.5) * np.exp(-T)
    assert bound(early, allowance=np.exp(-0.6) / 100).tightness == 0.25


def test_the_words_say_what_was_checked_and_what_was_trusted():
    words = str(bound(0.5 * np.exp(-T)))
    assert "theorem 1: holds; measured / proved at most 0.5" in words
    assert "checked: epsilon does not grow: largest slope -0.1" in words
    assert "trusted: f is convex: said by the objective" in words
