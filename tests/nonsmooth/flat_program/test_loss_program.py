"""A loss as a program: predicates as weights, branches that are not taken, sizes, gaps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from dynsys.nonsmooth.flat_program.loss_program import program_of
from dynsys.nonsmooth.pieces import Pieces

X = jnp.array([0.7, -1.3])


def pieces_of(loss, x=X):
    """Each switching value as a kink of its own."""
    program, consts = program_of(loss, x)
    number = program.size
    no = (False,) * number
    each = tuple(range(number))
    return Pieces(consts, program, each, (1,) * number, each, no, no, (True,) * number)


def smooth(x):
    return x[0] * x[1] + 3.0


def other(x):
    return jnp.sin(x[0]) - x[1] ** 2


def choose(predicate):
    return lambda x: jnp.where(predicate(x), smooth(x), other(x))


PREDICATES = {
    "gt": lambda x: x[0] > 0,
    "ge": lambda x: x[0] >= 0,
    "lt": lambda x: x[0] < 0,
    "le": lambda x: x[0] <= 0,
    "and": lambda x: (x[0] > 0) & (x[1] > 0),
    "or": lambda x: (x[0] > 0) | (x[1] < -2),
    "not": lambda x: ~(x[0] > 0),
    "xor": lambda x: (x[0] > 0) ^ (x[1] > 0),
    "not equal": lambda x: (x[0] > 0) != (x[1] < 0),
    "equal": lambda x: (x[0] > 0) == (x[1] > 0),
    "all": lambda x: jnp.all(x > -2),
    "any": lambda x: jnp.any(x > 0),
    "all of a matrix": lambda x: jnp.all(jnp.outer(x, x) < 1),
    "maximum": lambda x: jnp.max(x > 0),
    "minimum": lambda x: jnp.min(x < 1),
    "with data": lambda x: (x[0] > 0) & jnp.array([True, False])[0],
    "moved": lambda x: jnp.concatenate([x > 0, x < 2])[::-1][1:3].reshape(2, 1)[0, 0],
    "padded": lambda x: jnp.pad(x > 0, 1, constant_values=True)[2],
    "gathered": lambda x: (x > 0)[jnp.array([1, 0])][0],
    "selected": lambda x: jnp.where(x[0] > 0, x[1] > 0, x[1] < 5),
    "selected by data": lambda x: jnp.where(jnp.array(True), x[1] > 0, x[0] < 5),
    "as integers": lambda x: (x > 0).astype(int)[0].astype(float) > 0.5,
}


@pytest.mark.parametrize("name", PREDICATES)
def test_the_slope_in_a_sign_is_half_the_difference_of_both_sides(name):
    loss = choose(PREDICATES[name])
    pieces = pieces_of(loss)
    assert pieces.number
    signature = pieces.signature(X)
    np.testing.assert_allclose(pieces.piece(X, signature), loss(X), rtol=1e-14)
    slope = jax.grad(lambda s: pieces.piece(X, s))(signature)
    for i in range(pieces.number):
        up, down = (pieces.piece(X, signature.at[i].set(s)) for s in (1.0, -1.0))
        np.testing.assert_allclose(slope[i], (up - down) / 2, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", PREDICATES)
def test_a_piece_is_the_loss_at_random_points(name):
    loss = choose(PREDICATES[name])
    pieces = pieces_of(loss)
    points = np.random.default_rng(0).normal(size=(20, 2)) * 2
    value = jax.jit(jax.vmap(pieces))(points)
    np.testing.assert_allclose(value, jax.vmap(loss)(points), rtol=1e-13)


def test_a_weight_between_both_ends_blends():
    pieces = pieces_of(choose(lambda x: (x[0] > 0) & (x[1] > -3)))
    blended = pieces.piece(X, jnp.array([0.2, -0.5]))
    weight = 0.6 * 0.25
    np.testing.assert_allclose(blended, weight * smooth(X) + (1 - weight) * other(X))


INTEGERS = {
    "a factor": lambda x: x[0] * jnp.where(x[0] > 0, 2, 1).astype(float),
    "a count": lambda x: x[0] * jnp.sum(x > 0).astype(float),
    "a product of integers": lambda x: x[1] * (3 * (x > 0).astype(int)[0]).astype(float),
    "a mask": lambda x: jnp.sum(x**2 * (x > 0).astype(float)),
    "a narrow mask": lambda x: jnp.sum(x**2 * (x > 0).astype("float32").astype(float)),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_that_predicates_decide_keep_their_slope(name):
    loss = INTEGERS[name]
    pieces = pieces_of(loss)
    signature = pieces.signature(X)
    np.testing.assert_allclose(pieces.piece(X, signature), loss(X), rtol=1e-14)
    slope = jax.grad(lambda s: pieces.piece(X, s))(signature)
    for i in range(pieces.number):
        up, down = (pieces.piece(X, signature.at[i].set(s)) for s in (1.0, -1.0))
        # A mask of 32 bits has a slope of 32 bits.
        np.testing.assert_allclose(slope[i], (up - down) / 2, rtol=1e-7, atol=1e-14)
    assert np.any(slope != 0)


BRANCHES = {
    "of both": lambda x: jax.lax.cond(x[0] > 0, smooth, other, x),
    "of several results": lambda x: sum(
        jax.lax.cond(x[0] > 0, lambda x: (x[0], x[1]), lambda x: (x[1], 2 * x[1]), x)
    ),
    "that switch": lambda x: jax.lax.cond(x[0] > 0, lambda x: jnp.abs(x[1]), other, x),
    "in a loop": lambda x: jax.lax.fori_loop(
        0, 3, lambda i, y: jax.lax.cond(y > 0, lambda y: y - 1, lambda y: -2 * y, y), x[0]
    ),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_chosen_by_the_position_are_selections(name):
    loss = BRANCHES[name]
    pieces = pieces_of(loss)
    assert pieces.number
    points = np.random.default_rng(0).normal(size=(20, 2)) * 2
    for x in jnp.asarray(points):
        piece = Partial(pieces.piece, signature=pieces.signature(x))
        np.testing.assert_allclose(piece(x), loss(x), rtol=1e-13)
        np.testing.assert_allclose(jax.grad(piece)(x), jax.grad(loss)(x), rtol=1e-12)


def test_a_branch_chosen_by_data_is_not_opened():
    loss = lambda x: jax.lax.cond(jnp.array(1) > 0, smooth, other, x)
    assert pieces_of(loss).number == 0


NOT_TAKEN = {
    "a root": (lambda x: jnp.where(x < 4, 0.25 * x**2, 4 * jnp.sqrt(x) - 4), -1.0),
    "the other case": (lambda x: jnp.where(x >= 4, 4 * jnp.sqrt(x) - 4, 0.25 * x**2), -1.0),
    "a logarithm": (lambda x: jnp.where(x > 1, jnp.log(x), x - 1), -2.0),
    "a quotient": (lambda x: jnp.where(x > 1, 1 / x, 2 - x), 0.0),
    "a power": (lambda x: jnp.where(x > 1, x**1.5, 1.5 * x - 0.5), -2.0),
    "a negative power": (lambda x: jnp.where(x > 1, x**-2, 3 - 2 * x), 0.0),
    "an exponential": (lambda x: jnp.where(x < 0, jnp.exp(x), 1 + x), 1e4),
    "an arc sine": (lambda x: jnp.where(jnp.abs(x) < 0.5, jnp.arcsin(x), x), 3.0),
    "a nest": (
        lambda x: jnp.where(x < 0, x**2, jnp.where(x < 4, x, jnp.log(jnp.sqrt(x) - 1))),
        -3.0,
    ),
    "behind a sum": (
        lambda x: jnp.where(x > 0, jnp.sum(jnp.sqrt(x * jnp.arange(1.0, 4.0))), x),
        -3.0,
    ),
    "computed first": (lambda x: (lambda r: jnp.where(x < 4, x, r))(jnp.sqrt(x)), -1.0),
    "by and": (lambda x: jnp.where((x > 0) & (x < 9), jnp.sqrt(x), x), -1.0),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_a_branch_that_is_not_taken_spoils_no_derivative(name):
    loss, at = NOT_TAKEN[name]
    pieces = pieces_of(loss, jnp.array(5.0))
    x = jnp.array(at)
    signature = pieces.signature(x)
    piece = lambda y: pieces.piece(y, signature)
    near = [float(loss(x + h)) for h in (-1e-3, 0.0, 1e-3)]
    np.testing.assert_allclose(piece(x), loss(x), rtol=1e-14)
    np.testing.assert_allclose(jax.grad(piece)(x), (near[2] - near[0]) / 2e-3, rtol=1e-6)
    second = (near[2] - 2 * near[1] + near[0]) / 1e-6
    np.testing.assert_allclose(jax.hessian(piece)(x), second, rtol=1e-4, atol=1e-3)
    along = jax.grad(lambda s: pieces.piece(x, s))(signature)
    assert np.isfinite(along).all()


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_is_taken_is_not_touched(name):
    loss, _ = NOT_TAKEN[name]
    pieces = pieces_of(loss, jnp.array(5.0))
    for x in jnp.array([0.3, 2.1, 5.3]):
        piece = Partial(pieces.piece, signature=pieces.signature(x))
        for derivative in (lambda f: f, jax.grad, jax.hessian):
            expected = derivative(loss)(x)
            # Where JAX has none there is nothing to compare with.
            if np.isfinite(expected):
                np.testing.assert_allclose(derivative(piece)(x), expected, rtol=1e-13)


def test_both_sides_are_real_where_both_are_defined():
    loss = lambda x: jnp.where(x < 4, 0.25 * x**2, 4 * jnp.sqrt(x) - 4)
    pieces = pieces_of(loss, jnp.array(5.0))
    at, sides = jnp.array(3.0), jnp.array([[1.0], [-1.0]])
    # The switching value is x - 4: the sign -1 is the side of x < 4.
    values = [pieces.piece(at, s) for s in sides]
    both = np.array([4 * np.sqrt(3.0) - 4, 2.25])
    np.testing.assert_allclose(values, both, rtol=1e-14)
    slopes = [jax.grad(pieces.piece, 1)(at, s)[0] for s in sides]
    np.testing.assert_allclose(slopes, (both[0] - both[1]) / 2, rtol=1e-13)


UNDEFINED = {
    "taken": (lambda x: jnp.sum(jnp.where(x > -5, jnp.log(x), 0.0)), True),
    "taken by other entries": (
        lambda x: jnp.sum(jnp.where(x > 0, jnp.sum(jnp.log(x)), 0.0)),
        True,
    ),
    "not taken": (lambda x: jnp.sum(jnp.where(x > 0, jnp.log(x), 0.0)), False),
}


@pytest.mark.parametrize("name", UNDEFINED)
def test_what_is_taken_and_not_defined_is_not_hidden(name):
    loss, is_undefined = UNDEFINED[name]
    value, gradient = jax.value_and_grad(pieces_of(loss))(X)
    assert np.isnan(value) == is_undefined
    assert np.isfinite(gradient).all()


def test_what_is_cut_at_0_and_compared_with_0_takes_the_right_side():
    loss = lambda x: jnp.sum(jnp.where(jnp.maximum(x, 0) > 0, x**2, -x))
    pieces = pieces_of(loss)
    np.testing.assert_allclose(pieces(X), loss(X), rtol=1e-14)
    # The switching value is x and not max(x, 0), which is 0 in a whole region.
    np.testing.assert_allclose(pieces.switching(X, pieces.signature(X)), X)


CUT = {
    "relu > 0": lambda x: jax.nn.relu(x) > 0,
    "relu <= 0": lambda x: jax.nn.relu(x) <= 0,
    "0 < relu": lambda x: jnp.less(0, jax.nn.relu(x)),
    "clip > 0": lambda x: jnp.clip(x, 0, 1) > 0,
    "clip >= 1": lambda x: jnp.clip(x, 0, 1) >= 1,
    "clip < 1": lambda x: jnp.clip(x, 0, 1) < 1,
    "clip <= 0": lambda x: jnp.clip(x, 0, 1) <= 0,
    "relu >= 0": lambda x: jax.nn.relu(x) >= 0,
    "minimum >= 1": lambda x: jnp.minimum(x, 1) >= 1,
    "relu > 1": lambda x: jax.nn.relu(x) > 1,
}


@pytest.mark.parametrize("name", CUT)
def test_comparisons_of_what_is_cut_hold_where_they_do(name):
    loss = lambda x: jnp.where(CUT[name](x), x**2 + 1, -x)
    pieces = pieces_of(loss, jnp.array(0.3))
    for x in jnp.array([-2.0, -0.1, 0.0, 0.4, 1.0, 1.6]):
        np.testing.assert_allclose(pieces(x), loss(x), rtol=1e-14, err_msg=str(x))
        piece = pieces.piece(x, pieces.signature(x))
        np.testing.assert_allclose(piece, loss(x), rtol=1e-14, err_msg=str(x))


A = np.array([[1.0, 2.0], [3.0, -4.0]])
B = np.array([3.0, 7.0])
SIZES = {
    "affine": (lambda x: jnp.abs(A @ x - B), lambda x: np.abs(A) @ np.abs(x) + B),
    "a difference": (lambda x: jnp.abs(x - B), lambda x: np.abs(x) + B),
    "a maximum": (lambda x: jnp.maximum(2 * x, B), lambda x: 2 * np.abs(x) + B),
    "a comparison": (lambda x: jnp.where(x > B, x, B), lambda x: np.abs(x) + B),
    "moved": (lambda x: jnp.abs(x[::-1] - B), lambda x: np.abs(x[::-1]) + B),
    "a quotient": (lambda x: jnp.abs((x - B) / -4), lambda x: (np.abs(x) + B) / 4),
    "a running sum": (
        lambda x: jnp.abs(jnp.cumsum(x - B)),
        lambda x: np.cumsum(np.abs(x) + B),
    ),
    "a square": (lambda x: jnp.abs(x**2 - B), lambda x: x**2 + B),
    "a mask of data": (
        lambda x: jnp.abs(jnp.where(jnp.array([True, False]), x, 2 * x) - B),
        lambda x: np.abs(x) * [1, 2] + B,
    ),
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_size_of_a_switching_value_is_that_of_its_terms(name, scale):
    entries, size = SIZES[name]
    x = scale * X
    pieces = pieces_of(lambda x: jnp.sum(entries(x)), x)
    np.testing.assert_allclose(pieces.sizes(x), size(np.asarray(x)), rtol=1e-13)


def test_sizes_are_those_of_data_in_leaves_too():
    loss = Partial(lambda a, x: jnp.sum(jnp.abs(a * x - 1)))

    def sizes(a):
        return pieces_of(Partial(loss.func, a)).sizes(X)

    a = jnp.array([2.0, -3.0])
    np.testing.assert_allclose(jax.jit(sizes)(a), np.abs(a * X) + 1)


def test_a_gap_is_the_jump_of_the_loss():
    loss = lambda x: 3 * jnp.where(x[0] > 0, x[1] + 10, x[1] ** 2)
    gap, size = (pieces := pieces_of(loss)).gaps(X, pieces.signature(X))
    upper, lower = X[1] + 10, X[1] ** 2
    np.testing.assert_allclose(gap, [3 * abs(upper - lower)], rtol=1e-14)
    np.testing.assert_allclose(size, [3 * (abs(upper) + abs(lower))], rtol=1e-14)


def test_a_gap_is_relative_to_the_switch_and_not_to_the_loss():
    loss = lambda x: 1e12 + jnp.where(x[0] > 0, 1e-3, -2e-3)
    gap, size = (pieces := pieces_of(loss)).gaps(X, pieces.signature(X))
    np.testing.assert_allclose(gap, [3e-3], rtol=1e-12)
    np.testing.assert_allclose(size, [3e-3], rtol=1e-12)


CONTINUOUS = {
    "both cases apart": lambda x: (
        jnp.where(x[0] > 0, 5 + x[0], 0.0) + jnp.where(~(x[0] > 0), 5 - x[0], 0.0)
    ),
    "a mask and its opposite": lambda x: (
        (5 + x[0]) * (x[0] > 0).astype(float) + (5 - x[0]) * (x[0] <= 0).astype(float)
    ),
    "several results": lambda x: (lambda both: both[0] - both[1])(
        jax.lax.cond(x[0] > 0, lambda x: (8.0, 3 + x[0]), lambda x: (7.0, 2 - x[0]), x)
    ),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_size_of_a_gap_that_cancels_does_not_cancel(name):
    x = jnp.array([0.0, 1.0])
    program, consts = program_of(CONTINUOUS[name], x)
    number = program.size
    one, no = (0,) * number, (False,)
    # All comparisons are of one kink.
    side = tuple(1 for _ in range(number))
    pieces = Pieces(consts, program, one, side, (0,), no, no, (True,))
    gap, size = pieces.gaps(x, pieces.signature(x))
    assert gap[0] <= 1e-14
    assert size[0] >= 5


def test_narrow_and_wide_floats_mix():
    def loss(x):
        narrow = x["a"] > 0
        wide = x["b"] > 0
        return jnp.where(narrow & wide, x["a"].astype(float) * x["b"], x["b"] ** 2)

    x = {"a": jnp.array(0.5, "float32"), "b": jnp.array(-2.0)}
    pieces = pieces_of(loss, x)
    signature = pieces.signature(x)
    np.testing.assert_allclose(pieces.piece(x, signature), loss(x))
    slope = jax.grad(lambda s: pieces.piece(x, s))(signature)
    np.testing.assert_allclose(slope, [0.0, (-1.0 - 4.0) / 2], atol=1e-14)


WRAPPED = {
    "jit": jax.jit,
    "jit of jit": lambda f: jax.jit(lambda x: jax.jit(f)(x)),
    "checkpoint": jax.checkpoint,
    "custom derivative": lambda f: _with_derivative(f),
    "vmap": lambda f: lambda x: jax.vmap(f)(x[None])[0],
    "scan": lambda f: (
        lambda x: jax.lax.scan(lambda c, y: (c + f(y), None), 0.0, x[None])[0]
    ),
}


def _with_derivative(f):
    wrapped = jax.custom_jvp(f)
    wrapped.defjvp(lambda x, v: (f(x[0]), jax.jvp(f, x, v)[1]))
    return wrapped


@pytest.mark.parametrize("name", WRAPPED)
def test_wrapped_functions_are_opened(name):
    f = lambda x: jnp.sum(jnp.abs(x)) + jnp.where(jnp.all(x > 0), 1.0, jax.nn.relu6(x[1]))
    plain, wrapped = pieces_of(f), pieces_of(WRAPPED[name](f))
    assert wrapped.number == plain.number
    np.testing.assert_allclose(wrapped(X), f(X))
    ours = jax.grad(wrapped.piece, 1)(X, wrapped.signature(X))
    np.testing.assert_allclose(ours, jax.grad(plain.piece, 1)(X, plain.signature(X)))


def test_a_program_computes_nothing_twice_and_nothing_in_vain():
    def loss(x):
        jnp.sort(x)
        return jnp.where(x[0] > 0, x[0] * x[0], -x[0]) + jnp.where(x[0] > 0, x[1], 0.0)

    program, _ = program_of(loss, X)
    names = [equation.primitive.name for equation in program.jaxpr.eqns]
    assert "sort" not in names
    assert names.count("gt") == 1
    assert names.count("slice") == 2


def test_pieces_of_one_program_are_equal():
    program, consts = program_of(lambda x: jnp.sum(jnp.abs(x)), X)
    one, two = (
        Pieces(consts, program, (0, 1), (1, 1), (0, 1), *((False,) * 2,) * 3)
        for _ in range(2)
    )
    assert hash(one.program) == hash(two.program)
    assert jax.tree.structure(one) == jax.tree.structure(two)
