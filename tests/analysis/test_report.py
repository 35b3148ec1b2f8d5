import numpy as np

from dynsys.analysis import Assumption, Bound

T = np.linspace(0.0, 1.0, 5)


def bound(measured, allowance: float | np.ndarray = 0.0):
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
    verdict = "theorem 1: holds, judged at 5 of 5 times; measured / proved at most 0.5"
    assert verdict in words
    assert "checked: epsilon does not grow: largest slope -0.1" in words
    assert "trusted: f is convex: said by the objective" in words


def test_what_errors_cover_is_not_judged_and_does_not_hold():
    """The bound is 100 times the allowance up to t = 0.5, at three of five times."""
    some = bound(0.1 * np.exp(-T), allowance=np.exp(-0.51) / 100)
    np.testing.assert_array_equal(some.judged, T <= 0.5)
    assert some.holds
    assert "holds, judged at 3 of 5 times" in str(some)
    assert "allowed for errors of the run: 0.006" in str(some)
    none = bound(0.1 * np.exp(-T), allowance=0.02)
    assert not none.judged.any()
    assert not none.holds
    assert not none.fails.any()
    assert np.isnan(none.tightness)
    assert str(none).startswith("theorem 1: nothing judged: at no time is there a bound")


def test_each_time_may_have_an_allowance_of_its_own():
    late = bound(0.1 * np.exp(-T), allowance=np.where(T < 0.6, 1.0, 0.0))
    np.testing.assert_array_equal(late.judged, T > 0.6)
    assert "allowed for errors of the run: 1\n" in str(late)


def test_where_nothing_was_proved_nothing_is_judged():
    endless = bound(np.exp(-T))._replace(bound=np.full(5, np.inf))
    assert not endless.holds
    from_start = bound(np.zeros(5))._replace(bound=np.zeros(5))
    assert "nothing judged" in str(from_start)


def test_a_failure_counts_where_a_bound_is_too_small_to_be_judged():
    found = bound(np.full(5, 1.0), allowance=0.02)
    assert not found.judged.any()
    assert "fails, first at t = 0.25" in str(found)
