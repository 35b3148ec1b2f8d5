import json

import numpy as np

from scripts.learning.history import History, as_lists, from_lists, side_by_side


def example():
    history = History.empty(1, 2).written(0, [2.0, 1 / 3], [0.5, 0.25])
    return history.written(1, [np.nan, 0.1], [0.125, 1.0])


def test_a_history_goes_through_json_and_comes_back_with_the_same_bits():
    history = example()
    back = from_lists(json.loads(json.dumps(as_lists(history), allow_nan=False)))
    for one, other in zip(history, back, strict=True):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_array_equal(one, other)


def test_a_run_that_diverged_has_the_worst_loss():
    assert example().final_loss.tolist() == [np.inf, np.float32(0.1)]


def test_writing_leaves_the_earlier_history_as_it_was():
    empty = History.empty(1, 1)
    empty.written(0, 1.0, 1.0)
    assert np.isnan(empty.training_loss).all()


def test_a_history_is_made_longer_and_never_shorter():
    longer = example().lengthened(3)
    assert longer.training_loss.shape == longer.test_accuracy.shape == (4, 2)
    assert longer.test_accuracy.dtype == np.float32
    assert longer.test_accuracy[1].tolist() == [0.125, 1]
    assert np.isnan(longer.test_accuracy[2:]).all()
    assert len(example().lengthened(0).training_loss) == 2


def test_histories_stand_side_by_side():
    both = side_by_side([example(), example().first(1)])
    assert both.training_loss[0].tolist() == [2, np.float32(1 / 3), 2]
    assert both.final_accuracy.tolist() == [0.125, 1, 0.125]
