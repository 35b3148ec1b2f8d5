"""What is recorded of runs side by side."""

from typing import Any, NamedTuple

import numpy as np


class History(NamedTuple):
    """Training loss and test accuracy, of shape `(epochs + 1, runs)`.

    Args:
        training_loss: Mean cross-entropy of all training images, before the first epoch
            and at the end of each.
        test_accuracy: Share of the test images that get their label, at the same times.
    """

    training_loss: np.ndarray
    test_accuracy: np.ndarray

    @classmethod
    def empty(cls, epochs: int, runs: int) -> "History":
        """A history in which nothing has been written yet."""
        return cls(*(np.full((epochs + 1, runs), np.nan, np.float32) for _ in range(2)))

    def written(self, epoch: int, loss: Any, accuracy: Any) -> "History":
        """The history with one more epoch."""
        copies = History(*(one.copy() for one in self))
        copies.training_loss[epoch], copies.test_accuracy[epoch] = loss, accuracy
        return copies

    def first(self, runs: int) -> "History":
        """The history of the first runs."""
        return History(*(one[:, :runs] for one in self))

    def lengthened(self, epochs: int) -> "History":
        """The history with room for so many epochs, if it has less."""
        more = max(epochs + 1 - len(self.training_loss), 0)
        pad = lambda one: np.pad(one, ((0, more), (0, 0)), constant_values=np.nan)
        return History(*map(pad, self))

    @property
    def final_loss(self) -> np.ndarray:
        """Training loss of each run at its end; infinite where it is not a number."""
        return np.nan_to_num(self.training_loss[-1], nan=np.inf, posinf=np.inf)

    @property
    def final_accuracy(self) -> np.ndarray:
        """Test accuracy of each run at its end."""
        return self.test_accuracy[-1]


def side_by_side(histories: list[History]) -> History:
    """The runs of several histories in one."""
    return History(*(np.concatenate(one, axis=1) for one in zip(*histories, strict=True)))


def as_lists(history: History) -> dict[str, Any]:
    """For JSON, which has no word for what is not a number: `None`."""
    as_number = lambda one: float(one) if np.isfinite(one) else None
    return {
        name: [[as_number(one) for one in row] for row in array]
        for name, array in history._asdict().items()
    }


def from_lists(lists: dict[str, Any]) -> History:
    """The inverse of `as_lists`."""
    return History(*(np.array(lists[name], np.float32) for name in History._fields))
