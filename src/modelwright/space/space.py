"""The space of configurations: parameters, conditions and constraints together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.jsonform import canonical
from modelwright._base.registry import nearest
from modelwright.errors import ConfigurationError, SpaceError
from modelwright.space import checking, sampling
from modelwright.space.batch import Batch, decode_batch, encode_batch
from modelwright.space.conditions import Structure, build_structure
from modelwright.space.counting import MOST_COUNTED, candidates, count
from modelwright.space.jsonform import parse_space, space_to_json
from modelwright.space.neighbourhood import neighbours
from modelwright.space.parameters import MOST_PARAMETERS, Parameter, check_name

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space.constraints import CallableConstraint, TextConstraint

__all__ = ["Space"]

_MOST_CONSTRAINTS = 1_000
_NAN = float("nan")
# So often a single configuration is drawn by itself before whole batches are.
_SINGLE_DRAWS = 8
# Fewer configurations than this are encoded value by value, which is quicker for them than whole columns.
_FEW = 16


class Space:
    """What can be searched: parameters by name, and constraints over them. Immutable.

    Parameters
    ----------
    parameters : mapping of str to Parameter, optional
        Parameters whose names are no identifiers go here.
    constraints : sequence of str or callable
        What every configuration must meet. A text such as ``"units_2 <= units_1"`` joins parameters by
        arithmetic, comparisons, ``and or not``, ``min max abs`` and string equality; odd names stand in
        backticks. It does not apply while a parameter that it names is inactive, and a division by zero
        fails it. Objects among choices go by their labels. A callable takes the configuration; it stays in
        its process, so a space with one cannot be stored.
    **params : Parameter
        More parameters.

    Attributes
    ----------
    parameters : mapping of str to Parameter
        In the order of declaration.
    names : tuple of str
        Their names.
    constraints : tuple of str or callable
        As given.
    plain : bool
        Every choice is a plain JSON value, so a configuration is its own JSON form.
    conditional : bool
        Some parameter has a condition.

    Raises
    ------
    SpaceError
        A name, a condition or a constraint makes no sense, or there are more than 1,000 parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.space import Categorical, Float, Int, Space
    >>> space = Space(
    ...     lr=Float(1e-5, 1e-1, log=True),
    ...     layers=Int(1, 3),
    ...     optimizer=Categorical("adam", "sgd"),
    ...     momentum=Float(0, 1, when={"optimizer": "sgd"}),
    ...     constraints=["lr * layers <= 0.1"],
    ... )
    >>> space.sample(np.random.default_rng(1)).keys() <= set(space.names)
    True
    >>> space.check({"lr": 0.01, "layers": 2.0, "optimizer": "adam"})
    {'lr': 0.01, 'layers': 2, 'optimizer': 'adam'}
    """

    parameters: Mapping[str, Parameter]
    names: tuple[str, ...]
    constraints: tuple[str | Callable[[dict[str, Any]], Any], ...]
    plain: bool
    conditional: bool
    structure: Structure
    rules: tuple[TextConstraint | CallableConstraint, ...]
    _decoders: list[tuple[str, Callable[[float], Any]]]
    _encoders: list[tuple[str, Callable[[Any], float]]]
    _labelled: list[tuple[str, Parameter]]

    def __init__(
        self,
        parameters: Mapping[str, Parameter] | None = None,
        /,
        *,
        constraints: Sequence[str | Callable[[dict[str, Any]], Any]] = (),
        **params: Parameter,
    ) -> None:
        together = _merge(parameters, params)
        if isinstance(constraints, str) or callable(constraints):
            constraints = [constraints]
        if len(constraints) > _MOST_CONSTRAINTS:
            raise SpaceError(
                f"expected at most {_MOST_CONSTRAINTS:,} constraints, got {len(constraints):,}.",
                code="E_SPACE_LIMIT",
            )
        structure, normal = build_structure(together)
        self.__dict__.update(
            structure=structure,
            parameters=MappingProxyType(normal),
            names=tuple(normal),
            rules=_make_rules(constraints, normal),
            constraints=tuple(constraints),
            plain=all(parameter.plain for parameter in normal.values()),
            conditional=structure.conditional,
            # Kept flat, because the loops over trials run through them.
            _decoders=[(name, parameter.decode) for name, parameter in normal.items()],
            _encoders=[(name, parameter.encode) for name, parameter in normal.items()],
            _labelled=[(name, parameter) for name, parameter in normal.items() if not parameter.plain],
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Space cannot be changed; build another one, such as by with_parameter")

    # as a value --------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.parameters

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> Parameter:
        try:
            return self.parameters[name]
        except KeyError:
            raise ConfigurationError(
                f"the space has no parameter {name!r}.", hint=nearest(str(name), list(self.names))
            ) from None

    def __eq__(self, other: object) -> bool:
        return self._identity == other._identity if isinstance(other, Space) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity)

    @cached_property
    def _identity(self) -> tuple[Any, ...]:
        forms = tuple((name, canonical(parameter.to_json())) for name, parameter in self.parameters.items())
        return forms, self.constraints

    def __repr__(self) -> str:
        parts = [f"{name}={parameter!r}" for name, parameter in self.parameters.items()]
        if self.constraints:
            parts.append(f"constraints={[rule.text for rule in self.rules]!r}")
        return f"Space({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (dict(self.parameters), self.constraints)

    def with_parameter(self, name: str, parameter: Parameter) -> Space:
        """Return the space with `parameter` added at the end, or in the place of the one of that name."""
        return Space({**self.parameters, name: parameter}, constraints=self.constraints)

    def subspace(self, names: Iterable[str]) -> Space:
        """Return the space of `names` alone, in their order here.

        Conditions on parameters that are left out fall away, and so do constraints that name one.
        Callable constraints stay.
        """
        wanted = {name for name in names if self[name]}
        kept = {
            name: parameter.with_when(_only(parameter.when, wanted)) if parameter.when else parameter
            for name, parameter in self.parameters.items()
            if name in wanted
        }
        rules = [
            given
            for given, rule in zip(self.constraints, self.rules, strict=True)
            if wanted.issuperset(rule.names)  # a function names none, and stays
        ]
        return Space(kept, constraints=rules)

    # drawing -----------------------------------------------------------------------------------------

    def sample(self, rng: Generator) -> dict[str, Any]:
        """Return a random configuration that meets conditions and constraints.

        Raises
        ------
        EmptySpaceError
            No configuration meets the constraints, or none was found.
        """
        for _ in range(_SINGLE_DRAWS):
            config = self.from_unit(rng.random(len(self.names)).tolist())
            if not self.rules or self.satisfies(config):
                return config
        return self.sample_many(rng, 1)[0]

    def sample_many(self, rng: Generator, n: int) -> list[dict[str, Any]]:
        """Return `n` random configurations; quicker than `n` single ones.

        Raises
        ------
        EmptySpaceError
            No configuration meets the constraints, or none was found.
        """
        return [config for batch in sampling.draw(self, rng, n) for config in batch.configs()]

    def sample_unit(self, rng: Generator, n: int) -> NDArray[np.float64]:
        """Return `n` random configurations in the unit cube, shape (n, d), as `encode` would give them."""
        parts = [batch.unit() for batch in sampling.draw(self, rng, n)]
        return np.concatenate(parts) if parts else np.empty((0, len(self)))

    def ensure_feasible(self) -> None:
        """Do nothing if some configuration meets all constraints; a search calls it before it starts.

        Raises
        ------
        EmptySpaceError
            No configuration meets the constraints, or none was found; the message says how many were tried.
        """
        if self.rules:
            sampling.ensure_feasible(self)

    def default(self) -> dict[str, Any]:
        """Return the configuration of defaults, or the nearest of a fixed sample where that is not allowed.

        Raises
        ------
        EmptySpaceError
            No configuration meets the constraints, or none was found.
        """
        config = self.from_unit(
            [parameter.encode(parameter.default) for parameter in self.parameters.values()]
        )
        # Encoding a number rounds its last bits; the defaults themselves are exact.
        config = {name: self.parameters[name].default for name in config}
        if self.satisfies(config):
            return config
        sample = self.sample_many(np.random.default_rng(0), 256)
        target, X = self.encode([config])[0], self.encode(sample)
        # A parameter that is active on one side only counts as far away as can be.
        gaps = np.where(np.isnan(target) & np.isnan(X), 0.0, np.nan_to_num(np.abs(X - target), nan=1.0))
        return sample[int(np.argmin((gaps**2).sum(axis=1)))]

    def neighbours(
        self, config: Mapping[str, Any], rng: Generator, n: int | None = None
    ) -> list[dict[str, Any]]:
        """Return up to `n` valid configurations, in random order, that change one parameter of `config`.

        Listed values change to each other value, ordered ones and whole numbers by one step, and numbers with
        many values also by normal steps in the unit interval. Children that a change switches on are drawn.
        """
        return neighbours(self, config, rng, n)

    # the unit cube -----------------------------------------------------------------------------------

    def encode(self, configs: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Return configurations as a matrix, shape (n, d), within [0, 1], NaN where a parameter is absent.

        Listed values stand at the centres of equal parts. `decode` gives the same configurations back:
        exactly, but for continuous numbers, which keep about 15 digits of their range.

        Raises
        ------
        ConfigurationError
            A value does not belong to its parameter.
        """
        try:
            if len(configs) < _FEW:
                encoders = self._encoders
                rows = [
                    [encode(c[name]) if name in c else _NAN for name, encode in encoders] for c in configs
                ]
                return np.array(rows, dtype=float).reshape(len(rows), len(encoders))
            return encode_batch(self.parameters, configs)
        except (ValueError, TypeError):
            for config in configs:
                for name in self.parameters.keys() & config.keys():
                    self._normal(name, config[name])
            raise

    def decode(self, X: NDArray[np.float64]) -> list[dict[str, Any]]:
        """Return the configurations at the rows of `X`, shape (n, d).

        Inactive parameters are left out as the conditions say, whatever `X` holds for them. Constraints are
        not looked at.

        Raises
        ------
        ConfigurationError
            `X` has another shape, or NaN where a parameter is active.
        """
        return self._batch(X).configs()

    def snap(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows of the unit cube at values that occur, shape (n, d), NaN where inactive.

        As `encode` gives them for what `decode` makes of `X`, and quicker.

        Raises
        ------
        ConfigurationError
            As `decode`.
        """
        return self._batch(X).unit()

    def from_unit(self, row: Sequence[float] | NDArray[np.float64]) -> dict[str, Any]:
        """Return the configuration at one point of the unit cube; as `decode`, and quicker for one."""
        row = row.tolist() if isinstance(row, np.ndarray) else row
        if len(row) != len(self._decoders) or any(u != u for u in row):
            return self._batch([row]).configs()[0]  # which finds out what is wrong, if anything is
        if self.conditional:
            return self._conditional(row)
        return {name: decode(u) for (name, decode), u in zip(self._decoders, row, strict=True)}

    def _conditional(self, row: Sequence[float] | NDArray[np.float64]) -> dict[str, Any]:
        slots: dict[int, int] = {}
        found: dict[str, Any] = {}
        is_active, parents = self.structure.is_active, self.structure.parents
        for i in self.structure.order:
            if is_active(i, slots):
                name, decode = self._decoders[i]
                found[name] = decode(row[i])
                if i in parents:
                    slots[i] = self.parameters[name].slot(row[i])
        return {name: found[name] for name in self.names if name in found}

    def feasible(self, X: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which rows of `X`, shape (n, d), meet all constraints, shape (n,)."""
        return self._feasible_rows(self._batch(X))

    def _normal(self, name: str, value: Any) -> Any:
        try:
            return self.parameters[name].normal(value)
        except ValueError as error:
            raise ConfigurationError(f"the parameter {name!r}: {error}.") from None

    def _batch(self, X: Any) -> Batch:
        return decode_batch(self.parameters, self.structure, X)

    def _feasible_rows(self, batch: Batch) -> NDArray[np.bool_]:
        return batch.holds_all(self.rules)

    # checking ----------------------------------------------------------------------------------------

    def active(self, config: Mapping[str, Any]) -> list[str]:
        """Return the names of the parameters that are active under the parents' values in `config`."""
        return checking.active(self, config)

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return `config` in its normal form.

        Whole floats become integers where these are wanted, numpy scalars Python's, labels their choices, and
        the parameters follow the order of the space.

        Raises
        ------
        ConfigurationError
            A parameter is unknown, missing, inactive, of a wrong type or out of its range, or a constraint is
            not met; the message names it.
        """
        return checking.check(self, config)

    def satisfies(self, config: Mapping[str, Any]) -> bool:
        """Return whether the valid values of `config` meet all constraints."""
        return all(checking.meets(self, rule, config) for rule in self.rules)

    def violations(self, config: Mapping[str, Any]) -> list[str]:
        """Return the texts of the constraints that `config` does not meet."""
        return [rule.text for rule in self.rules if not checking.meets(self, rule, config)]

    # counting ----------------------------------------------------------------------------------------

    @cached_property
    def size(self) -> int | None:
        """The number of configurations that meet conditions and constraints.

        None for infinitely many, for more than 200,000 candidates with constraints (these are counted one by
        one), and for conditions too tangled to be counted in about a second.
        """
        total = count(self.parameters, self.structure)
        if total is None or not self.rules:
            return total
        if total > MOST_COUNTED:
            return None
        return sum(int(self._feasible_rows(batch).sum()) for batch in candidates(self))

    def enumerate(self) -> Iterator[dict[str, Any]]:
        """Yield all configurations of a finite space in a fixed order, those declared last varying fastest.

        Raises
        ------
        SpaceError
            The space is not finite.
        """
        for name, parameter in self.parameters.items():
            if parameter.size is None:
                raise SpaceError(
                    f"the space is not finite: {name!r} is a continuous Float.",
                    hint="Give it a step to list its values.",
                )
        return self._enumerated()

    def _enumerated(self) -> Iterator[dict[str, Any]]:
        for batch in candidates(self):
            rows = batch.take(self._feasible_rows(batch)) if self.rules else batch
            yield from rows.configs()

    # JSON --------------------------------------------------------------------------------------------

    def dump(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return a valid configuration as JSON, objects by their labels; `load` is the inverse."""
        stored = dict(config)
        for name, parameter in self._labelled:
            if name in stored:
                stored[name] = parameter.dump(stored[name])
        return stored

    def load(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration that `dump` gave `stored` for.

        In a space that was itself read from JSON the labels stand for the objects.
        """
        config = dict(stored)
        for name, parameter in self._labelled:
            if name in config:
                config[name] = parameter.load(config[name])
        return config

    def key(self, config: Mapping[str, Any]) -> str:
        """Return a text that valid configurations share only if they are the same, floats to the last bit."""
        return canonical(self.dump(config))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; see `from_json`.

        Raises
        ------
        SpaceError
            A constraint is a callable.
        """
        return space_to_json(self)

    @classmethod
    def from_json(cls, form: Any) -> Space:
        """Return the space that `form` describes.

        Written by hand, in JSON or TOML, parameters form a table by name; `to_json` writes a list of tables
        with a key ``name``, because some databases sort the keys of objects. In TOML, which has no null, a
        choice None is ``{null = true}``. Choices that were objects come back as their labels.

        ::

            constraints = ["lr * layers <= 0.1"]

            [parameters.lr]
            type = "float"              # low, high, and if wanted: log, step, default
            low = 1e-5
            high = 0.1
            log = true

            [parameters.layers]
            type = "int"                # keys as for float
            low = 1
            high = 3

            [parameters.optimizer]
            type = "categorical"        # or "ordinal": choices, or labels of objects; default
            choices = ["adam", "sgd"]

            [parameters.momentum]
            type = "float"
            low = 0
            high = 1
            when = {optimizer = "sgd"}  # several values: ["sgd", "rmsprop"]

            [parameters.nesterov]
            type = "bool"               # default
            when = {optimizer = "sgd"}

            [parameters.epochs]
            type = "constant"           # value, or the label of an object
            value = 10

        Raises
        ------
        SpaceError
            `form` does not describe a space; the message names the place.
        """
        parameters, constraints = parse_space(form)
        return cls(parameters, constraints=constraints)


def _rebuild(parameters: dict[str, Parameter], constraints: tuple[Any, ...]) -> Space:
    return Space(parameters, constraints=constraints)


def _make_rules(
    constraints: Sequence[Any], parameters: Mapping[str, Parameter]
) -> tuple[TextConstraint | CallableConstraint, ...]:
    if not constraints:
        return ()
    from modelwright.space.constraints import make_constraint  # with its parser; most spaces need neither

    return tuple(make_constraint(given, parameters) for given in constraints)


def _merge(
    parameters: Mapping[str, Parameter] | None, params: Mapping[str, Parameter]
) -> dict[str, Parameter]:
    if parameters is not None and not isinstance(parameters, Mapping):
        raise SpaceError(f"expected a mapping of names to parameters, got {parameters!r:.80}.")
    given = parameters or {}
    if len(given) + len(params) > MOST_PARAMETERS:
        raise SpaceError(
            f"expected at most {MOST_PARAMETERS:,} parameters, got {len(given) + len(params):,}.",
            code="E_SPACE_LIMIT",
        )
    twice = sorted(set(given) & set(params))
    if twice:
        raise SpaceError(f"the parameter {twice[0]!r} is given twice.", code="E_NAME")
    together = {**given, **params}
    for name, parameter in together.items():
        check_name(name)
        if not isinstance(parameter, Parameter):
            raise SpaceError(
                f"the parameter {name!r}: expected Float, Int, Categorical, Ordinal, Bool or Constant, "
                f"got {parameter!r:.80}.",
                hint="Use Categorical(...) for listed values and Constant(...) for a fixed one.",
            )
    return together


def _only(when: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {parent: values for parent, values in when.items() if parent in names}
