"""A program of one member for many: the results are those of each member alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.integrators.engine.main_loop import MAIN_LOOP, main_loop
from dynsys.lanes import side_by_side

LANES, MEMBERS = 8, 24


def together(function, *points, lanes=LANES, shared=()):
    """All members at once, and which results vary."""
    first = [jax.ShapeDtypeStruct(a.shape[1:], a.dtype) for a in points]
    closed = jax.make_jaxpr(function)(*shared, *first)
    found = {}

    def run(shared, points):
        outputs, found["varies"] = side_by_side(
            closed,
            shared,
            points,
            lanes=lanes,
            main=MAIN_LOOP,
            wrap=lambda run, arrays: run(*arrays),
        )
        return outputs

    return jax.jit(run)(shared, points), found["varies"]


def alone(function, *points):
    """One member after the other; a batch would run loops that a member does not."""
    compiled = jax.jit(lambda *member: jax.tree.leaves(function(*member)))
    rows = [compiled(*member) for member in zip(*points, strict=True)]
    return [jnp.stack(column) for column in zip(*rows, strict=True)]


NUMBERS = jax.random.normal(jax.random.key(1), (MEMBERS, 4))
WHOLE = jax.random.randint(jax.random.key(2), (MEMBERS,), -6, 7)
lax = jax.lax


def long_branch(x):
    for i in range(12):
        x = jnp.sin(x) + 0.1 * i * jnp.cos(x)
    return x


def collatz(x, n):
    go = lambda s: (s[0] < 50) & (s[2] < 30)
    step = lambda s: (
        jnp.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1),
        s[1] * 0.9,
        s[2] + 1,
    )
    return lax.while_loop(go, step, (jnp.abs(n) + 1, x, 0))


def counted(x, n):
    """The number of passes is the same for all, what is carried is not."""
    step = lambda s: (s[0] + 1, s[1] * 0.5 + n.astype(float), s[2] * 2.0, jnp.roll(s[3], 1))
    begin = (0, x, 1.0, jnp.arange(40.0))
    return lax.while_loop(lambda s: s[0] < 5, step, begin)


def root(a):
    """By Newton's method, which never ends where the argument is not a number."""
    step = lambda y: y - (y**3 + y - a) / (3 * y**2 + 1)
    return lax.while_loop(lambda y: ~(jnp.abs(y**3 + y - a) < 1e-10), step, a / (1 + a * a))


def halvings(a):
    step = lambda s: (s[0] * 0.5, s[1] + 1)
    return lax.while_loop(lambda s: s[0] > 1e-3, step, (jnp.abs(a), 0))[1]


def unneeded(x, n):
    """An inner loop that is the same for all, with a result that nobody needs."""

    def body(state):
        k, y, w = state
        step = lambda s: (s[0] + 1, s[1] + 1.0, s[2] * 2.0)
        z = lax.while_loop(lambda s: s[0] < 3, step, (0, 1.0, w))
        return k + 1, y * z[1], z[2]

    return lax.while_loop(lambda s: s[0] < 2, body, (0, x, 1.0))[1]


def doubled(x, n):
    """Only where it is positive does the loop end."""
    grow = lambda a: lax.while_loop(lambda y: y < 10.0, lambda y: y * 1.5, a)
    return lax.cond(x[0] > 0, grow, lambda a: a, x[0])


def ledger(x, n):
    """A long array that is written into, also where there is no room for it."""
    row = lax.dynamic_update_slice(jnp.zeros((20, 4)), x[None], (n, 0))
    column = jnp.zeros(50).at[jnp.stack([n + 45, n])].set(x[:2], mode="drop")
    return row, column


CASES = {
    "arithmetic": lambda x, n: (
        x**3 - x / (2 + x**2),
        jnp.where(x > 0, x, -x) + n.astype(float),
    ),
    "functions": lambda x, n: (
        jnp.exp(-(x**2)) * jnp.sin(x) + jnp.logaddexp(x, n.astype(float) / 2)
    ),
    "tests": lambda x, n: (x > 0) & (n % 2 == 0) | ~jnp.isfinite(1 / x),
    "whole numbers": lambda x, n: (n // 3, n % 4, n << 2, n >> 1, jnp.clip(n, -2, 2)),
    "moves": lambda x, n: (x[::-1], x.reshape(2, 2).T, jnp.pad(x, (1, 2)), x[1:3], x[-1]),
    "interior padding": lambda x, n: lax.pad(x, 7.0, [(-1, 2, 1)]),
    "joins": lambda x, n: (
        jnp.concatenate([x, x[:1]]),
        jnp.stack([x, 2 * x]),
        jnp.split(x, 2),
    ),
    "known index": lambda x, n: (x[jnp.array([2, 0])], x.at[1].set(3.0), x.at[1].add(x[0])),
    "index": lambda x, n: x[n % 4],
    "index out of range": lambda x, n: x.at[n].get(mode="fill"),
    "clipped index": lambda x, n: x.at[n].get(mode="clip"),
    "write": lambda x, n: x.at[n % 4].set(1.5),
    "write out of range": lambda x, n: x.at[n].set(1.5),
    "write and clip": lambda x, n: x.at[n].set(1.5, mode="clip"),
    "add at several": lambda x, n: x.at[jnp.stack([n % 4, 1, n])].add(x[:3]),
    "windows": lambda x, n: lax.dynamic_slice(x.reshape(2, 2), (n % 2, n), (1, 2)),
    "write a window": lambda x, n: lax.dynamic_update_slice(x, x[:2] * 2, (n,)),
    "index along an axis": lambda x, n: jnp.take_along_axis(
        x.reshape(2, 2), jnp.stack([n, n + 1])[:, None] % 2, 1
    ),
    "sums": lambda x, n: (jnp.sum(x), jnp.sum(x.reshape(2, 2), 0), jnp.prod(x), jnp.max(x)),
    "all and any": lambda x, n: (jnp.all(x > -1), jnp.any(x > 1), jnp.min(x)),
    "running": lambda x, n: (jnp.cumsum(x), lax.cumsum(x, reverse=True), lax.cummax(x)),
    "places of extrema": lambda x, n: (jnp.argmax(x), jnp.argmin(x.reshape(2, 2), 1)),
    "places of what is not a number": lambda x, n: jnp.argmax(jnp.where(x > 1, jnp.nan, x)),
    "place of the first": lambda x, n: jnp.argmax(x > 0),
    "products": lambda x, n: (x @ x, x.reshape(2, 2) @ x.reshape(2, 2), jnp.outer(x, x)),
    "batched product": lambda x, n: jnp.einsum(
        "bij,bj->bi", x.reshape(2, 2, 1), x[:2, None]
    ),
    "types": lambda x, n: (x.astype(jnp.float32), n.astype(float), (x > 0).astype(int)),
    "short branch": lambda x, n: lax.cond(n > 0, lambda: x, lambda: 2 * x),
    "long branch": lambda x, n: lax.cond(n > 0, long_branch, lambda x: 2 * x, x),
    "branch that none takes": lambda x, n: lax.cond(n > 99, long_branch, lambda x: -x, x),
    "three branches": lambda x, n: lax.switch(
        n % 3, [long_branch, lambda x: x, lambda x: long_branch(2 * x)], x
    ),
    "branch with a long array": lambda x, n: lax.cond(
        n > 0, lambda: jnp.sum(x) + jnp.arange(40.0), lambda: jnp.zeros(40)
    ),
    "loop": collatz,
    "counted loop": counted,
    "loop in a loop": lambda x, n: lax.fori_loop(
        0, jnp.abs(n), lambda i, y: collatz(y, i)[1] + 0.1, x
    ),
    "scan": lambda x, n: lax.scan(lambda c, a: (c + a, c * a), 0.0, x, reverse=True),
    "long scan": lambda x, n: lax.scan(lambda c, i: (c + i, c), x, jnp.arange(2000.0)),
    "long arrays": lambda x, n: jnp.sum(jnp.sin(x[:, None] + jnp.arange(50.0)[None]), 1),
    "sorting": lambda x, n: jnp.sort(x),
    "library": lambda x, n: jnp.linalg.solve(jnp.eye(4) + jnp.outer(x, x), x),
    "custom derivative": lambda x, n: jax.grad(lambda x: jnp.sum(jax.nn.softplus(x)))(x),
    "derivative of an index": lambda x, n: jax.grad(lambda x: x[0] ** 2 * x[n % 4])(x),
    "inner jit": lambda x, n: jax.jit(lambda x: x + 1)(x),
    "writes into long arrays": ledger,
    "writes before the start": lambda x, n: lax.dynamic_update_slice(
        jnp.zeros(50), x, (10 * n - 3,)
    ),
    "a loop that some would never leave": doubled,
    "a mapped loop": lambda x, n: jax.vmap(halvings)(x),
    "a result that nobody needs": unneeded,
    "product of a wider type": lambda x, n: jnp.dot(
        *(2 * [x.astype(jnp.float32)]), preferred_element_type=jnp.float64
    ),
    "nested loops of known length": lambda x, n: lax.fori_loop(
        0, 40, lambda i, c: lax.fori_loop(0, 40, lambda j, c: c + 1e-3 * jnp.sin(c), c), x
    ),
    "a large constant loop": lambda x, n: lax.while_loop(
        lambda s: s[0] < 3,
        lambda s: (s[0] + 1, s[1] * 0.9, s[2] + s[1][0, :4]),
        (0, jnp.ones((20, 20)), x),
    )[1:],
    "nothing": lambda x, n: (x, n),
}


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_each_member_alone(name):
    function = CASES[name]
    outputs, varies = together(function, NUMBERS, WHOLE)
    for ours, theirs, v in zip(
        outputs, alone(function, NUMBERS, WHOLE), varies, strict=True
    ):
        wide = ours if v else jnp.broadcast_to(ours, theirs.shape)
        assert wide.dtype == theirs.dtype
        np.testing.assert_allclose(wide, theirs, rtol=1e-12, atol=1e-12)


def test_what_is_the_same_for_all_is_computed_once():
    function = lambda data, x: (data * 2, x + data[0], jnp.arange(3))
    data = jnp.arange(1000.0)
    outputs, varies = together(function, NUMBERS, shared=(data,))
    assert varies == [False, True, False]
    np.testing.assert_array_equal(outputs[0], 2 * data)
    np.testing.assert_array_equal(outputs[1], NUMBERS)


def walk(x, length):
    """A main loop of as many steps as are asked for, and something before and after it."""

    def loop(y):
        step = lambda s: (
            s[0] + 1,
            jnp.sin(s[1]) + s[0].astype(float) * y,
            s[2].at[s[0]].set(s[1][0]),
        )
        return lax.while_loop(lambda s: s[0] < length, step, (0, y, jnp.zeros(40)))

    count, end, log = main_loop(loop, 2 * x)
    return count, end - x, jnp.sum(log), x


LENGTHS = jnp.asarray(np.random.default_rng(0).permutation(MEMBERS))


@pytest.mark.parametrize("lanes", [8, 16, 24, 32])
def test_lanes_that_are_done_go_on_to_the_next_member(lanes):
    outputs, _ = together(walk, NUMBERS, LENGTHS, lanes=lanes)
    for ours, theirs in zip(outputs, alone(walk, NUMBERS, LENGTHS), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_order_of_the_members_changes_no_bit():
    order = np.random.default_rng(1).permutation(MEMBERS)
    first, _ = together(walk, NUMBERS, LENGTHS)
    second, _ = together(walk, NUMBERS[order], LENGTHS[order])
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a[order], b)


def test_lanes_that_are_done_hold_up_no_inner_loop():
    def function(x, length):
        def loop(y):
            shrink = lambda s: root(s[1]) / jnp.where(s[0] < length, 1.0, 0.0)
            step = lambda s: (s[0] + 1, shrink(s))
            return lax.while_loop(lambda s: s[0] < length, step, (0, y))

        return main_loop(loop, x)

    outputs, _ = together(function, NUMBERS[:, 0], LENGTHS % 5)
    for ours, theirs in zip(
        outputs, map(function, NUMBERS[:, 0], LENGTHS % 5), strict=False
    ):
        del theirs
        assert np.isfinite(ours).all()


def test_what_is_not_asked_for_is_not_carried():
    def function(x):
        def loop(x):
            step = lambda s: (s[0] + 1, jnp.cos(s[1]), jnp.tan(s[2]) + s[1])
            return lax.while_loop(lambda s: s[0] < 5, step, (0, x, x))

        return main_loop(loop, x)[1]

    closed = jax.make_jaxpr(function)(NUMBERS[0])
    run = lambda x: side_by_side(
        closed,
        [],
        [x],
        lanes=LANES,
        main=MAIN_LOOP,
        wrap=lambda run, arrays: run(*arrays),
    )[0]
    text = jax.jit(run).lower(NUMBERS).as_text()
    assert "stablehlo.cosine" in text
    assert "stablehlo.tan" not in text
