"""What a kernel tells the state store of a cell: never the value of a configured secret, and no endless error."""

from __future__ import annotations

import msgspec

from nbpipe.core.records import NewMaterialization, kept_error
from nbpipe.settings import blotted, redacted


def told_error(error: BaseException, secrets: tuple[str, ...]) -> str:
    """Return an error in words, as the state store keeps it."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a person's exception may be unable to describe itself
        text = "(it can't be put in words)"
    return kept_error(redacted(f"{type(error).__name__}: {text}", secrets))


def without_secrets(new: NewMaterialization, secrets: tuple[str, ...]) -> NewMaterialization:
    """Return what is about to be committed with secret values blotted out of all that people see of it."""
    if not secrets:
        return new
    stored, preview = new.stored, new.stored.preview
    shown = msgspec.structs.replace(
        preview,
        columns=blotted(preview.columns, secrets),
        rows=blotted(preview.rows, secrets),
        text=redacted(preview.text, secrets),
    )
    return msgspec.structs.replace(
        new,
        stored=msgspec.structs.replace(stored, metadata=blotted(stored.metadata, secrets), preview=shown),
        metadata=blotted(new.metadata, secrets),
        sources=blotted(new.sources, secrets),
        displays=blotted(new.displays, secrets),
    )
