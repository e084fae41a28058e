"""Whether two pandas frames are the same in everything that a program can see.

Stricter than pandas' own `equals`: types of axes, names, units, frequencies and storage count, None is not
NaN, True is not 1, a list is not an array. Two NaN are the same, whatever their bits. Of a MultiIndex, levels
that no row uses don't count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def same_schema(left: Any, right: Any) -> str | None:
    """Say what differs in types and names, or return None; values and the index's length are not looked at."""
    if left.shape[1] != right.shape[1]:
        return "the number of columns"
    difference = _index_difference(left.columns, right.columns)
    if difference:
        return f"its columns ({difference})"
    for name, one, other in zip(left.columns, left.dtypes, right.dtypes, strict=True):
        if not _same_dtype(one, other):
            return f"the dtype of column {name!r} ({one})"
    if type(left.index) is not type(right.index):
        return "the type of the index"
    if not _same_dtype(left.index.dtype, right.index.dtype) or not _same_names(left.index, right.index):
        return "the index"
    return None


def same_frame(left: Any, right: Any) -> str | None:
    """Say what differs, or return None."""
    if left.shape != right.shape:
        return "its shape"
    difference = same_schema(left, right)
    if difference:
        return difference
    difference = _index_difference(left.index, right.index)
    if difference:
        return f"the index ({difference})"
    for position, name in enumerate(left.columns):
        if not _same_values(left.iloc[:, position].array, right.iloc[:, position].array):
            return f"the values of column {name!r}"
    return None


def _same_dtype(left: Any, right: Any) -> bool:
    if type(left) is not type(right) or left != right or str(left) != str(right):
        return False
    if str(left) == "category":
        return _index_difference(left.categories, right.categories) is None and left.ordered == right.ordered
    if hasattr(left, "tz"):
        return type(left.tz) is type(right.tz)
    if hasattr(left, "storage"):
        return left.storage == right.storage and _same_objects([left.na_value], [right.na_value])
    return True


def _same_names(left: Any, right: Any) -> bool:
    return _same_objects(left.names, right.names)


def _index_difference(left: Any, right: Any) -> str | None:
    if type(left) is not type(right):
        return "its type"
    if len(left) != len(right):
        return "its length"
    if not _same_names(left, right):
        return "its names"
    if left.nlevels > 1:
        return _levels_difference(left, right)
    if not _same_dtype(left.dtype, right.dtype):
        return "its dtype"
    if type(left).__name__ == "RangeIndex":
        same = (left.start, left.stop, left.step) == (right.start, right.stop, right.step)
        return None if same else "its range"
    if getattr(left, "freq", None) != getattr(right, "freq", None):
        return "its frequency"
    return None if _same_values(left.array, right.array) else "its labels"


def _levels_difference(left: Any, right: Any) -> str | None:
    import numpy as np

    left, right = left.remove_unused_levels(), right.remove_unused_levels()
    for one, other in zip(left.levels, right.levels, strict=True):
        difference = _index_difference(_without_freq(one), _without_freq(other))
        if difference:
            return f"of a level {difference}"
    same = all(np.array_equal(one, other) for one, other in zip(left.codes, right.codes, strict=True))
    return None if same else "the order of its labels"


def _without_freq(level: Any) -> Any:
    """Return a level of a MultiIndex without its frequency, which pandas itself drops when rows are selected."""
    if getattr(level, "freq", None) is None or type(level).__name__ == "PeriodIndex":
        return level
    level = level.view()
    level.freq = None
    return level


def _same_values(left: Any, right: Any) -> bool:
    """Compare two arrays of one dtype."""
    import numpy as np

    dtype, name = left.dtype, type(left.dtype).__name__
    if isinstance(dtype, np.dtype) or hasattr(left, "asi8"):
        return _same_plain(_plain(left), _plain(right))
    if name == "CategoricalDtype":
        return np.array_equal(left.codes, right.codes)
    if name == "IntervalDtype":
        return _same_values(left.left.array, right.left.array) and _same_values(left.right.array, right.right.array)
    if hasattr(left, "_mask"):
        valid = ~left.isna()
        # to_numpy would copy, and can't tell NaN from NA
        ones, others = left._data, right._data  # noqa: SLF001
        return np.array_equal(valid, ~right.isna()) and _same_plain(ones[valid], others[valid])
    return _same_objects(left.astype(object), right.astype(object))


def _plain(array: Any) -> Any:
    import numpy as np

    return array.asi8 if hasattr(array, "asi8") else np.asarray(array)


def _same_plain(left: Any, right: Any) -> bool:
    import numpy as np

    if left.dtype == object:
        return _same_objects(left, right)
    if left.dtype.kind in "fc":
        zeros = np.array_equal(np.signbit(left.real), np.signbit(right.real)) or _same_signs(left, right)
        return zeros and np.array_equal(left, right, equal_nan=True)
    return np.array_equal(left, right)


def _same_signs(left: Any, right: Any) -> bool:
    import numpy as np

    return bool(((np.signbit(left.real) == np.signbit(right.real)) | np.isnan(left)).all())


def _same_objects(left: Iterable[Any], right: Iterable[Any]) -> bool:
    """Compare Python objects by type and value, going into lists, tuples, dicts and arrays; not recursive."""
    pending = [(list(left), list(right))]
    while pending:
        ones, others = pending.pop()
        if len(ones) != len(others) or list(map(type, ones)) != list(map(type, others)):
            return False
        kinds = set(map(type, ones))
        if kinds <= {str, int, bool, bytes, type(None)}:
            if ones != others:
                return False
            continue
        for one, other in zip(ones, others, strict=True):
            parts = _parts(one, other)
            if parts is None:
                return False
            if parts != ([], []):
                pending.append(parts)
    return True


def _parts(one: Any, other: Any) -> tuple[list[Any], list[Any]] | None:
    """Return the parts that remain to be compared, or None if the two differ already."""
    if type(one) in (list, tuple):
        return list(one), list(other)
    if type(one) is dict:
        return [*one.keys(), *one.values()], [*other.keys(), *other.values()]
    if type(one).__name__ == "ndarray":
        if one.dtype != other.dtype or one.shape != other.shape:
            return None
        if one.dtype == object:
            return one.reshape(-1).tolist(), other.reshape(-1).tolist()
        return ([], []) if _same_plain(one, other) else None
    if one is other or _is_nan(one, other):
        return [], []
    same = bool(one == other) and repr(one) == repr(other)  # repr tells 0.0 from -0.0, and time zones
    return ([], []) if same else None


def _is_nan(one: Any, other: Any) -> bool:
    import numpy as np

    return isinstance(one, float | np.floating) and bool(one != one and other != other)  # noqa: PLR0124 - NaN
