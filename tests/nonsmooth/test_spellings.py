"""One loss can be written in many ways: each has the kinks that the function has.

What is true of each spelling is not taken from the finder, but seen in numbers: where the
slope jumps along lines through its region (`slopes.py`), and how often.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from dynsys.nonsmooth import Kinks, NotPiecewiseSmooth, kinks
from tests.nonsmooth.joint_spellings import DOUBTFUL, GAPS, JOINTS
from tests.nonsmooth.kinked_spellings import KINKED
from tests.nonsmooth.refused_spellings import ACCEPTED, CONES, REFUSED, SEEN, TIPS
from tests.nonsmooth.slopes import LINES, Scan, Spelling, lines_of
from tests.nonsmooth.smooth_spellings import SMOOTH
from tests.nonsmooth.traced_spellings import TRACED
from tests.tiers import one_in

POINTS = 128
"""Random points at which a loss is compared with its pieces."""


def find(spelling: Spelling) -> Kinks:
    return kinks(spelling.loss, spelling.position)


class Sides:
    """The loss, its pieces and its signature, at many points."""

    def __init__(self, spelling: Spelling, found: Kinks) -> None:
        pieces = found.pieces

        def one(x: Any) -> Any:
            signature = pieces.signature(x)
            truth = jax.value_and_grad(spelling.loss)(x)
            piece = jax.value_and_grad(pieces.piece)(x, signature)
            flat = lambda pair: ravel_pytree(pair)[0]
            return flat(truth), flat(piece), signature

        self.one = jax.jit(jax.vmap(one))

    def at(self, points: Any) -> Any:
        """Value and gradient of the loss and of its piece, and the signature."""
        number = len(jax.tree.leaves(points)[0])
        parts = []
        for start in range(0, number, POINTS):
            part = jax.tree.map(lambda a, i=start: a[i : i + POINTS], points)
            fill = lambda a: np.resize(a, (POINTS, *a.shape[1:]))
            parts.append(self.one(jax.tree.map(fill, part)))
        return [np.concatenate(p)[:number] for p in zip(*parts, strict=True)]


def random_points(spelling: Spelling) -> Any:
    random = np.random.default_rng(11)
    t = spelling.reach * random.uniform(-3.0, 3.0, POINTS)
    return lines_of(spelling).at(random.integers(0, LINES, POINTS), t)[0]


def assert_pieces_are_the_loss(spelling: Spelling, sides: Sides) -> None:
    points = random_points(spelling)
    truth, piece, _ = sides.at(points)
    seen = np.isfinite(truth).all(axis=1)
    assert seen.sum() > 16
    eps = max(float(np.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(points))
    size = np.abs(truth[seen]).max(axis=0)
    gap = np.abs(piece - truth)[seen]
    assert np.all(gap <= 1e4 * eps * (np.abs(truth[seen]) + 1e-2 * size))


def assert_signs_change_at(spelling: Spelling, sides: Sides, jumps: Any) -> None:
    if not jumps:
        return
    ends = (
        jax.tree.map(lambda *a: np.stack(a), *rows)
        for rows in ([j.before for j in jumps], [j.after for j in jumps])
    )
    before, after = (sides.at(end)[2] for end in ends)
    assert (before != after).any(axis=1).all()


@pytest.mark.parametrize("name", one_in(4, SMOOTH))
def test_a_smooth_spelling_has_no_kink(name):
    assert Scan(SMOOTH[name]).jumps() == []
    found = find(SMOOTH[name])
    assert found.smooth
    assert len(found.values) == 0


@pytest.mark.parametrize("name", one_in(4, JOINTS))
def test_a_joint_is_found_and_is_no_kink_of_the_gradient(name):
    spelling = JOINTS[name]
    assert Scan(spelling).jumps() == []
    found = find(spelling)
    assert found.smooth
    assert spelling.number in (None, len(found.values))
    assert_pieces_are_the_loss(spelling, Sides(spelling, found))


@pytest.mark.parametrize("name", one_in(4, GAPS))
def test_gaps_of_approximations_are_no_kinks(name):
    spelling = GAPS[name]
    kept = [j for j in Scan(spelling).jumps() if j.size > 1e-6]
    assert kept == []
    assert find(spelling).smooth


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_is_smooth_by_more_than_identities_is_followed(name):
    spelling = DOUBTFUL[name]
    assert Scan(spelling).jumps() == []
    assert_pieces_are_the_loss(spelling, Sides(spelling, find(spelling)))


@pytest.mark.parametrize("name", one_in(4, KINKED))
def test_a_kinked_spelling_has_its_kinks(name):
    spelling = KINKED[name]
    jumps = Scan(spelling, farthest=1e3 if spelling.once else 4.0).jumps()
    assert {jump.of for jump in jumps} == {"slope"}
    if spelling.once:
        crossed = np.bincount([jump.line for jump in jumps], minlength=LINES)
        assert crossed.max() == spelling.number
    found = find(spelling)
    assert not found.smooth
    assert spelling.number in (None, len(found.values))
    sides = Sides(spelling, found)
    assert_pieces_are_the_loss(spelling, sides)
    assert_signs_change_at(spelling, sides, jumps)


@pytest.mark.parametrize("name", TRACED)
def test_traced_data_change_no_kink(name):
    function, data, number = TRACED[name]
    x = jnp.array([0.3, -1.2, 2.0])
    counts = []

    def value(data: Any) -> Any:
        found = kinks(jax.tree_util.Partial(function, data), x)
        counts.append(len(found.values))
        return found.pieces.piece(x, found.signature)

    np.testing.assert_allclose(jax.jit(value)(data), function(data, x), rtol=1e-12)
    assert counts == [number]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_followed_is_refused_by_name(name):
    spelling, primitive = REFUSED[name]
    place = rf"`({primitive})` at .*refused_spellings"
    with pytest.raises(NotPiecewiseSmooth, match=place):
        kinks(spelling.loss, spelling.position)


@pytest.mark.parametrize("name", one_in(4, SEEN))
def test_what_is_refused_for_a_jump_or_a_kink_has_one(name):
    assert Scan(REFUSED[name][0]).has_jump()


@pytest.mark.parametrize("name", CONES)
def test_what_is_refused_for_a_point_is_not_differentiable_there(name):
    tip = np.full(3, TIPS.get(name, 0.0))
    loss = REFUSED[name][0].loss
    direction = np.array([0.6, -1.1, 0.7])
    at = lambda t: float(loss(jnp.asarray(tip + t * direction)))
    slopes = [(at(h) - at(0)) / h for h in (1e-4, -1e-4, 1e-7, -1e-7)]
    unequal = np.abs(slopes[2] - slopes[3]) > 0.01 * np.abs(slopes[2:]).sum()
    unbounded = np.abs(slopes[2:]).max() > 5 * np.abs(slopes[:2]).max()
    assert unequal or unbounded


@pytest.mark.parametrize("name", one_in(4, ACCEPTED))
def test_what_resembles_the_refused_is_accepted(name):
    spelling = ACCEPTED[name]
    assert kinks(spelling.loss, spelling.position).smooth
    assert Scan(spelling).jumps() == []
