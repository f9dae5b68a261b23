import numpy as np
import pytest

from modelwright._base.seeds import generator
from modelwright.errors import AbilityError, InputError
from modelwright.numerics.forest import Growth
from modelwright.optimizers import make_optimizer
from modelwright.optimizers.forest import Forest
from modelwright.optimizers.grown import Grown
from modelwright.records import Component, Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.testing.optimizers import OptimizerContract

ONE = (Objective(),)
LINE = Space(x=Float(0, 1))


class TestForest(OptimizerContract):
    component = Component("forest", {"n_trees": 10})


class TestForestByItsOldName(OptimizerContract):
    component = Component("smac", {"n_trees": 4, "random_every": 3, "default_first": False})


def complete(number, params, loss):
    return Trial(number, TrialState.COMPLETE, params, (loss,))


def failed(number, params, kind):
    return Trial(number, TrialState.FAILED, params, (), Failure(kind, "made up"))


def filled(rows, space=LINE):
    history = History(space, ONE)
    history.add(rows)
    return history


def proposals(history, count=20, space=LINE, **options):
    """Return many independent proposals for the same history."""
    optimizer = make_optimizer("forest", space, ONE, **options)
    return [optimizer.ask(history, [Ticket(100, generator(seed))])[0].params for seed in range(count)]


def spread(loss, n=20):
    return [complete(k, {"x": (k + 0.5) / n}, loss((k + 0.5) / n)) for k in range(n)]


# quality: the median over seeds, against random search of the same budget -------------------------------


CONDITIONAL = Space(
    method=Categorical("svm", "knn", "net"),
    c=Float(1e-3, 1e3, log=True, when={"method": "svm"}),
    k=Int(1, 50, when={"method": "knn"}),
    lr=Float(1e-5, 1, log=True, when={"method": "net"}),
    layers=Int(1, 10, when={"method": "net"}),
    solver=Categorical(*"abcdefgh", when={"method": "net"}),
)


def conditional(c):
    if c["method"] == "svm":
        return 0.5 + 0.1 * (np.log10(c["c"]) - 1) ** 2
    if c["method"] == "knn":
        return 0.8 + 0.002 * (c["k"] - 12) ** 2
    wrong = 0.0 if c["solver"] in "cfg" else 0.4
    return 0.3 * (np.log10(c["lr"]) + 2.6) ** 2 + 0.02 * (c["layers"] - 4) ** 2 + wrong


SUM = Space({f"x{i}": Float(-5, 5) for i in range(4)} | {"kind": Categorical("a", "b", "c")})


def sphere(c):
    return sum((v - 1.2) ** 2 for v in c.values() if not isinstance(v, str)) + 10 * (c["kind"] != "b")


def lowest(name, space, loss, seed, trials=50):
    optimizer, history = make_optimizer(name, space, ONE, seed=seed), History(space, ONE)
    for number in range(trials):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(seed, number))])
        history.add([complete(number, proposal.params, float(loss(proposal.params)))])
    return history.losses.min()


@pytest.mark.parametrize(("space", "loss"), [(CONDITIONAL, conditional), (SUM, sphere)])
def test_it_is_at_least_twice_as_close_to_the_optimum_as_random_search(space, loss) -> None:
    ours = np.median([lowest("forest", space, loss, seed) for seed in range(5)])
    random = np.median([lowest("random", space, loss, seed) for seed in range(5)])
    assert ours < random / 2


# what it learns from ------------------------------------------------------------------------------------


def test_it_proposes_near_the_best_whatever_the_scale_and_offset() -> None:
    for scale, offset in ((1.0, 0.0), (1e-9, 1.0), (1e9, -1e12), (1e140, 0.0)):
        rows = spread(lambda x, scale=scale, offset=offset: scale * abs(x - 0.7) + offset)
        xs = [p["x"] for p in proposals(filled(rows))]
        assert np.mean([abs(x - 0.7) < 0.1 for x in xs]) > 0.9


def test_values_that_span_decades_are_told_apart() -> None:
    xs = [p["x"] for p in proposals(filled(spread(lambda x: 10 ** (20 * abs(x - 0.7)))))]
    assert np.mean([abs(x - 0.7) < 0.1 for x in xs]) > 0.9


@pytest.mark.parametrize("values", [[0.0] * 20, [1e308, -1e308] * 10, [5e-324, 0.0] * 10, [0.0] * 19 + [1.0]])
def test_odd_values_are_survived(values) -> None:
    rows = [complete(k, {"x": (k + 0.5) / 20}, value) for k, value in enumerate(values)]
    assert all(0 <= p["x"] <= 1 for p in proposals(filled(rows)))


def left_half():
    """Results on the left half of the line, the better the farther to the right."""
    return [complete(k, {"x": (k + 0.5) / 40}, 1 - k / 20) for k in range(20)]


def share_above_half(more):
    return np.mean([p["x"] > 0.52 for p in proposals(filled(left_half() + more))])


XS = [0.55 + 0.022 * k for k in range(20)]


def test_failures_that_teach_repel_and_lost_trials_do_not() -> None:
    space = Space(kind=Categorical("a", "b"), x=Float(0, 1))
    rows = [complete(k, {"kind": "a", "x": (k + 0.5) / 20}, abs(k / 20 - 0.7)) for k in range(20)]

    def share_of_b(kind):
        more = [failed(20 + k, {"kind": "b", "x": x}, kind) for k, x in enumerate(np.linspace(0, 1, 20))]
        return np.mean([p["kind"] == "b" for p in proposals(filled(rows + more, space), 20, space)])

    assert share_of_b(FailureKind.MEMORY) == 0
    assert share_of_b(FailureKind.LOST) > 0.2


def test_a_value_that_is_not_finite_is_a_failure() -> None:
    assert share_above_half([complete(20 + k, {"x": x}, float("inf")) for k, x in enumerate(XS)]) < 0.2


def test_pruned_trials_are_no_better_than_the_median_before_them() -> None:
    pruned = [Trial(20 + k, TrialState.PRUNED, {"x": x}, (-1.0,)) for k, x in enumerate(XS)]
    median = sorted(trial.values[0] for trial in left_half())[10]
    as_pruned, as_median = (
        proposals(filled(left_half() + more), 5)
        for more in (pruned, [complete(20 + k, {"x": x}, median) for k, x in enumerate(XS)])
    )
    assert as_pruned == as_median


def test_trials_that_run_repel() -> None:
    history = filled(spread(lambda x: abs(x - 0.7)))
    chosen = np.median([p["x"] for p in proposals(history)])
    history.set_pending([(50 + k, {"x": chosen + 0.001 * k}) for k in range(-4, 5)])
    assert np.median([abs(p["x"] - chosen) for p in proposals(history)]) > 0.01


def test_a_choice_is_learned_and_others_still_tried() -> None:
    space = Space(kind=Categorical(*"abcd"), x=Float(0, 1))
    rows = [complete(k, {"kind": "abcd"[k % 4], "x": k / 40}, float(k % 4 != 2) + k / 400) for k in range(40)]
    kinds = [p["kind"] for p in proposals(filled(rows, space), 20, space)]
    assert kinds.count("c") > 14


def test_constraints_that_hardly_any_candidate_meets_are_met() -> None:
    space = Space({"x": Float(0, 1), "y": Float(0, 1)}, constraints=["abs(x - y) <= 0.001"])
    rows = [complete(k, {"x": k / 20, "y": k / 20}, abs(k / 20 - 0.5)) for k in range(20)]
    assert all(space.satisfies(p) for p in proposals(filled(rows, space), 5, space))


# how it starts, and what is random ----------------------------------------------------------------------


def test_the_start_is_that_of_the_gaussian_process() -> None:
    ours, theirs = (make_optimizer(name, LINE, ONE, seed=3) for name in ("forest", "gp"))
    tickets = [Ticket(k, generator(0, k)) for k in range(5)]
    assert ours.ask(filled([]), tickets) == theirs.ask(filled([]), tickets)


def test_every_so_manyth_proposal_is_random_by_its_number() -> None:
    history = filled(spread(abs))
    optimizer = make_optimizer("forest", LINE, ONE, random_every=4)
    answers = optimizer.ask(history, [Ticket(k, generator(0, k)) for k in range(20, 32)])
    assert [answer.reason.startswith("random") for answer in answers] == [False, False, False, True] * 3
    never = make_optimizer("forest", LINE, ONE, random_every=0)
    answers = never.ask(history, [Ticket(k, generator(0, k)) for k in range(20, 40)])
    assert not any(answer.reason.startswith("random") for answer in answers)


@pytest.mark.parametrize(
    "options", [{"n_startup": -1}, {"n_trees": 1}, {"random_every": 1}, {"random_every": -1}]
)
def test_options_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        make_optimizer("forest", LINE, ONE, **options)


def test_several_objectives_are_refused_with_one_that_takes_them() -> None:
    with pytest.raises(AbilityError, match="tpe"):
        Forest(LINE, [Objective("a"), Objective("b")])


# the forest of a growing history ------------------------------------------------------------------------


def grown():
    return Grown(0, "values", [0, 0], Growth(trees=5), np.random.default_rng(8).random((100, 2)))


def predict(grown, history, X, y):
    return grown.holding(history, X, y, np.asarray).predict(np.random.default_rng(9).random((30, 2)))


@pytest.mark.parametrize("n", [7, 100, 157, 1203])
def test_however_it_has_grown_the_forest_is_the_same(n) -> None:
    X = np.random.default_rng(0).random((n, 2))
    y, history = X[:, 0] + X[:, 1], filled([])
    slowly = grown()
    for length in range(max(1, n - 60), n):
        predict(slowly, history, X[:length], y[:length])
    np.testing.assert_array_equal(predict(slowly, history, X, y), predict(grown(), history, X, y))


def test_another_history_makes_another_forest() -> None:
    X = np.random.default_rng(0).random((50, 2))
    kept, one, other = grown(), filled([]), filled([])
    predict(kept, one, X, X[:, 0])
    found = predict(kept, other, X, X[:, 1])
    np.testing.assert_array_equal(found, predict(grown(), other, X, X[:, 1]))


def test_rows_after_the_last_fit_are_in_the_leaves() -> None:
    X = np.random.default_rng(0).random((129, 2))  # splits are found from the first 128
    low, high = (
        grown()
        .holding(filled([]), X, np.append(np.zeros(128) + X[:128, 0], last), np.asarray)
        .predict(X[128:])
        for last in (0.0, 100.0)
    )
    assert high[0][0] > low[0][0] + 10
