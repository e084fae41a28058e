"""How the materialization of a partition becomes two parts, and back: what many share, and what is its own.

A million partitions of one asset have the same code, columns, types and folder. That is kept once, as a *template*;
what remains takes about a hundred bytes: the end of the path, data versions, size, duration, counts;
what is hexadecimal is kept as bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import msgspec
import xxhash

from nbpipe.core.records import Materialization, NewMaterialization, StoredValue
from nbpipe.storage import codec
from nbpipe.storage.database import Row

_PATH = re.compile(r"((?:[^/]+/){2}(?=[^/]+/)|)(.*?)((?:\.[A-Za-z0-9]{1,12})?)", re.DOTALL)
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_WORD = 2**63


class Template(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What many values share."""

    io: str
    format: str
    head: str = ""
    """How their paths begin."""
    extension: str = ""
    opaque: bool = False
    type: str = ""
    metadata: dict[str, Any] = {}
    """Without numbers."""
    numbers: tuple[str, ...] = ()
    """Names of the numbers among the metadata."""
    inputs: tuple[str, ...] = ()
    input_versions: tuple[str, ...] = ()
    files: dict[str, str] = {}
    parameters: dict[str, str] = {}
    parameter_defaults: dict[str, str] = {}
    notebook: str = ""
    cell_id: str = ""


class Own(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What is one value's own; a list in MessagePack."""

    folder: str
    name: bytes
    """Last part of the path, without extension."""
    data_version: bytes
    size: int
    duration: float
    peak_memory: int | None
    late: int
    """Microseconds from the event that tells of the value to its creation."""
    numbers: tuple[int | float, ...]
    inputs: tuple[bytes, ...]
    input_versions: tuple[int, ...]
    metadata: bytes = b""
    """JSON of what the body noted; empty for nothing."""


encode_own = msgspec.msgpack.Encoder().encode
decode_own = msgspec.msgpack.Decoder(Own).decode
_decode_template = msgspec.json.Decoder(Template).decode


@lru_cache(maxsize=256)
def decode_template(content: str) -> Template:
    """Return what many values share; values that are read together share it here, too."""
    return _decode_template(content)


def divided(value: NewMaterialization, late: timedelta) -> tuple[Template, Own]:
    """Return both parts of a value."""
    facts: codec.Facts = codec.decode_facts(codec.encode(codec.facts_of(value)))
    stored = facts.stored
    match = _PATH.fullmatch(stored.path)
    head, path, extension = match.groups() if match else ("", stored.path, "")
    folder, slash, name = path.rpartition("/")
    numbers = {name: number for name, number in stored.metadata.items() if _is_number(number)}
    template = Template(
        io=stored.io,
        format=stored.format,
        head=head,
        extension=extension,
        opaque=stored.opaque,
        type=stored.type,
        metadata={name: kept for name, kept in stored.metadata.items() if name not in numbers},
        numbers=tuple(numbers),
        inputs=tuple(facts.inputs),
        input_versions=tuple(facts.input_versions),
        files=facts.files,
        parameters=facts.parameters,
        parameter_defaults=facts.parameter_defaults,
        notebook=facts.notebook,
        cell_id=facts.cell_id,
    )
    own = Own(
        folder=folder + slash,
        name=_packed(name),
        data_version=_packed(stored.data_version),
        size=stored.size,
        duration=facts.duration,
        peak_memory=facts.peak_memory,
        late=late // timedelta(microseconds=1),
        numbers=tuple(numbers.values()),
        inputs=tuple(map(_packed, facts.inputs.values())),
        input_versions=tuple(facts.input_versions.values()),
        metadata=codec.encode(facts.metadata) if facts.metadata else b"",
    )
    return template, own


def digest(code_version: str, content: str) -> str:
    """Return the identity of a template."""
    return xxhash.xxh3_128_hexdigest(f"{code_version}\n{content}".encode())


def stored_value(template: Template, own: Own) -> StoredValue:
    """Return where a value is kept."""
    numbers = dict(zip(template.numbers, own.numbers, strict=True))
    return StoredValue(
        io=template.io,
        format=template.format,
        path=template.head + own.folder + _unpacked(own.name) + template.extension,
        size=own.size,
        data_version=_unpacked(own.data_version),
        opaque=template.opaque,
        type=template.type,
        metadata={**template.metadata, **numbers},
    )


def stored_partition(row: Row) -> StoredValue:
    """Return where a value is kept, from its number and its two parts."""
    _, own, content = row
    return stored_value(decode_template(content), decode_own(bytes(own)))


def materialization(env: str, asset: str, key: str, row: Row) -> Materialization:
    """Read a row of `partition_queries.VALUE`."""
    number, version, expired, content, at, run_id, code_version, components, shared = row
    own, template = decode_own(bytes(content)), decode_template(shared)
    metadata: Mapping[str, Any] = codec.decode_mapping(own.metadata) if own.metadata else {}
    inputs = map(_unpacked, own.inputs)
    return Materialization(
        id=-number,  # never that of an unpartitioned asset: it has no details
        env=env,
        asset=asset,
        partition=key,
        version=version,
        stored=stored_value(template, own),
        code=codec.decode_components(components),
        code_version=code_version,
        inputs=dict(zip(template.inputs, inputs, strict=True)),
        input_versions=dict(zip(template.input_versions, own.input_versions, strict=True)),
        files=template.files,
        parameters=template.parameters,
        parameter_defaults=template.parameter_defaults,
        notebook=template.notebook,
        cell_id=template.cell_id,
        run_id=run_id,
        created_at=codec.moment(at + own.late),
        duration=own.duration,
        peak_memory=own.peak_memory,
        metadata=metadata,
        expired=bool(expired),
    )


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and -_WORD <= value < _WORD


def _packed(text: str) -> bytes:
    """Return half the bytes for what is hexadecimal, as our own data versions are."""
    return b"x" + bytes.fromhex(text) if _HEX.fullmatch(text) else b"t" + codec.clean(text).encode()


def _unpacked(kept: bytes) -> str:
    return kept[1:].hex() if kept[:1] == b"x" else kept[1:].decode()
