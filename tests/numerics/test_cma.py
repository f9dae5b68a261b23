import numpy as np
import pytest

from modelwright.numerics.cma import Adaptation, Normal


def run(loss, normal, n, generations, *, seed=0, **options):
    rng, adaptation = np.random.default_rng(seed), Adaptation(len(normal.mean), n, **options)
    for _ in range(generations):
        Y = normal.steps(rng.standard_normal((n, len(normal.mean))))
        X = normal.mean + normal.sigma * Y
        normal = adaptation.step(normal, Y[np.argsort([loss(x) for x in X])])
    return normal


def ellipsoid(x):
    return 10.0 ** np.arange(0, 2 * len(x), 2) @ x**2


def test_draws_have_the_covariance_and_whitening_undoes_it() -> None:
    root = np.array([[2.0, 0.0], [1.0, 0.5]])
    normal = Normal(np.zeros(2), 1.0, root @ root.T, np.zeros(2), np.zeros(2))
    z = np.random.default_rng(0).standard_normal((20_000, 2))
    Y = normal.steps(z)
    assert np.cov(Y.T) == pytest.approx(normal.C, abs=0.15)
    # C^-1/2 C^1/2 z differs from z by a rotation alone.
    assert np.linalg.norm(normal.whiten(Y), axis=1) == pytest.approx(np.linalg.norm(z, axis=1))
    assert normal.spread == pytest.approx(np.sqrt(np.diag(normal.C)))


def test_it_learns_the_shape_of_an_ellipsoid() -> None:
    normal = run(ellipsoid, Normal.round(np.full(3, 1.0), 0.5), 7, 120)
    assert ellipsoid(normal.mean) < 1e-8
    lengths = np.sqrt(np.diag(normal.C))
    assert lengths[0] / lengths[2] > 20  # 100 is the ratio of the axes


def test_variances_alone_are_learned_faster_where_axes_are_straight() -> None:
    start = Normal.round(np.full(10, 1.0), 0.5)

    def stretched(x):
        return 10.0 ** np.linspace(0, 6, 10) @ x**2

    full, separable = (run(stretched, start, 10, 150, separable=s) for s in (False, True))
    assert stretched(separable.mean) < 0.01 * stretched(full.mean)
    assert np.count_nonzero(separable.C) == 10


def test_without_selection_the_step_size_stays() -> None:
    rng = np.random.default_rng(1)
    ends = [
        run(lambda x: rng.random(), Normal.round(np.zeros(4), 1.0), 8, 60, seed=k).sigma for k in range(20)
    ]
    assert abs(np.mean(np.log(ends))) < 0.5


def test_what_no_point_tells_about_stays_as_it_is() -> None:
    normal, adaptation = Normal.round(np.zeros(3), 1.0), Adaptation(3, 6)
    rng = np.random.default_rng(0)
    known = np.ones((6, 3), dtype=bool)
    known[:, 2] = False
    for _ in range(50):
        Y = normal.steps(rng.standard_normal((6, 3)))
        Y[:, 2] = np.nan
        normal = adaptation.step(normal, Y, known)
    assert normal.mean[2] == 0.0
    assert normal.p_sigma[2] == 0.0
    assert normal.C[2, 2] == pytest.approx(1.0)


def test_points_too_far_to_be_drawn_are_shortened() -> None:
    start, adaptation = Normal.round(np.zeros(2), 1.0), Adaptation(2, 6)
    far = adaptation.step(start, np.full((6, 2), 1e6))
    assert np.linalg.norm(far.mean) < 3
    assert far.sigma < 3


def test_points_without_a_value_only_repel_and_alone_change_nothing() -> None:
    start, adaptation = Normal.round(np.zeros(2), 1.0), Adaptation(2, 6)
    Y = np.array([[-1.0, 0.0]] * 2 + [[2.0, 0.0]] * 4)
    assert adaptation.step(start, Y, good=2).mean[0] < -0.5
    nothing = adaptation.step(start, Y, good=0)
    assert (nothing.mean == 0).all()
    assert nothing.sigma == 1.0


def test_the_covariance_stays_positive_definite() -> None:
    rng = np.random.default_rng(3)
    for d, n in ((1, 3), (2, 4), (5, 30), (12, 8)):
        normal, adaptation = Normal.round(np.zeros(d), 1.0), Adaptation(d, n)
        for _ in range(80):
            Y = rng.standard_normal((n, d)) * rng.choice([1e-9, 1.0, 1e9], size=(n, 1))
            normal = adaptation.step(normal, Y, rng.random((n, d)) < 0.7, int(rng.integers(n + 1)))
            assert np.linalg.eigvalsh(normal.C).min() > 0
            assert np.isfinite(normal.sigma)
