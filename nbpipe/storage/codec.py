"""How values become columns, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from nbpipe.core.records import Details, NewMaterialization, Preview, StoredValue, WorkerId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DEEPEST = 30


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a materialization that is only ever read as a whole."""

    stored: StoredValue
    inputs: dict[str, str] = {}
    input_versions: dict[str, int] = {}
    files: dict[str, str] = {}
    parameters: dict[str, str] = {}
    parameter_defaults: dict[str, str] = {}
    notebook: str = ""
    cell_id: str = ""
    duration: float = 0.0
    peak_memory: int | None = None
    metadata: dict[str, Any] = {}


def facts_of(value: NewMaterialization) -> Facts:
    """Return what is kept of a new materialization beside its identity, without the preview."""
    return Facts(
        stored=msgspec.structs.replace(value.stored, preview=Preview()),
        inputs=dict(value.inputs),
        input_versions=dict(value.input_versions),
        files=dict(value.files),
        parameters=dict(value.parameters),
        parameter_defaults=dict(value.parameter_defaults),
        notebook=value.notebook,
        cell_id=value.cell_id,
        duration=value.duration,
        peak_memory=value.peak_memory,
        metadata=dict(value.metadata),
    )


def details_of(value: NewMaterialization) -> Details | None:
    """Return the bulky part of a new materialization, or None if there is none."""
    if value.stored.preview == Preview() and not value.displays:
        return None
    return Details(preview=value.stored.preview, displays=value.displays)


def encode(value: object) -> bytes:
    """Return `value` as JSON.

    It never raises for what a value contains: a number of numpy becomes its Python twin, anything else that
    JSON does not know becomes text. A remark that can't be represented is no reason to lose a computed value.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _ENCODER.encode(_plain(value, 0))


def encode_text(value: object) -> str:
    """Return `value` as JSON text."""
    return encode(value).decode()


def jsonable(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as it would be read back."""
    decoded: dict[str, Any] = msgspec.json.decode(encode(value))
    return decoded


decode_facts = msgspec.json.Decoder(Facts).decode
decode_details = msgspec.json.Decoder(Details).decode
decode_components = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode
decode_names = msgspec.json.Decoder(tuple[str, ...]).decode
decode_mapping = msgspec.json.Decoder(dict[str, Any]).decode
_decode_worker = msgspec.json.Decoder(WorkerId).decode


def decode_worker(content: str | None) -> WorkerId | None:
    """Return the identity of a process, if there is one."""
    return None if content is None else _decode_worker(content)


def clean(text: str) -> str:
    """Return text that every database can keep: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def stamp(moment: datetime) -> int:
    """Return microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(stamped: int) -> datetime:
    """Return the aware datetime of a stamp."""
    return _EPOCH + timedelta(microseconds=stamped)


def moment_or_none(stamped: int | None) -> datetime | None:
    """Return the aware datetime of a stamp, if there is one."""
    return None if stamped is None else moment(stamped)


def _unknown(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return item()
    return _text(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_unknown)


def _plain(value: object, depth: int) -> object:
    """Rebuild a value of things that JSON can hold."""
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return clean(value)
    if depth > _DEEPEST:
        return _text(value)
    if isinstance(value, msgspec.Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {_key(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return value
    known = _unknown(value)
    return known if isinstance(known, str) else _plain(known, depth + 1)


def _key(value: object) -> str:
    return clean(value) if isinstance(value, str) else _text(value)


def _text(value: object) -> str:
    try:
        return clean(str(value))
    except Exception:  # noqa: BLE001 - a foreign object's __str__ may do anything
        return f"<{type(value).__qualname__}>"
