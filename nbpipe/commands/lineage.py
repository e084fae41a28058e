"""`lineage`: the graph of assets, as text, picture or data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from nbpipe.commands.arguments import selection_argument
from nbpipe.commands.surface import current_surface
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import RefusedError

if TYPE_CHECKING:
    from nbpipe.views.lineage import LineageView

FORMATS = ("text", "svg", "html", "mermaid", "json")
_ENDINGS = {
    ".svg": "svg",
    ".html": "html",
    ".htm": "html",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".json": "json",
    ".txt": "text",
}


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written."""

    path: str
    format: str


@click.command("lineage")
@selection_argument
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Default: as the file's name says, else text.")
@click.option("-o", "--output", metavar="FILE", help="Write to a file.")
@click.option("--limit", type=click.IntRange(min=2), default=60, show_default=True, help="Most nodes to draw.")
@click.pass_obj
def command(
    workspace: Workspace, *, selection: str, format_: str | None, output: str | None, limit: int
) -> LineageView | str | Written:
    """Draw how assets depend on each other."""
    kind = format_ or (_format_of(output) if output else "text")
    view = lineage_view(workspace, selection, limit=limit)
    if output is None:
        as_data = kind == "json" or (current_surface().data and format_ is None)
        return view if as_data else drawn(view, kind)
    content = msgspec.json.format(msgspec.json.encode(view)).decode() if kind == "json" else drawn(view, kind)
    try:
        Path(output).write_text(content, encoding="utf-8")
    except OSError as error:
        raise RefusedError(f"{output} can't be written: {error.strerror or error}") from error
    return Written(path=output, format=kind)


def _format_of(output: str) -> str:
    """Return the format that the name of a file asks for."""
    ending = Path(output).suffix.lower()
    if ending and ending not in _ENDINGS:
        raise RefusedError(
            f"{output}: {ending} can't be written: end the name with {', '.join(_ENDINGS)}, or give --format"
        )
    return _ENDINGS.get(ending, "text")


def lineage_view(workspace: Workspace, selection: str = "", *, limit: int = 60) -> LineageView:
    """Return what is drawn of the selected assets (all, for an empty selection).

    Raises:
        SelectionError: the selection can't be read.
        UnknownNameError: it names an asset that does not exist.
    """
    from nbpipe.views.lineage import lineage

    workspace.settle()
    assessments = workspace.assess()
    chosen = workspace.select(selection, assessments) if selection else None
    return lineage(workspace.definitions, workspace.graph, assessments, chosen, limit=limit)


def drawn(view: LineageView, kind: str) -> str:
    """Return the lineage as `text`, `svg`, `html` or `mermaid`."""
    match kind:
        case "svg":
            from nbpipe.views.svg import svg

            return svg(view)
        case "html":
            from nbpipe.views.html import html_page

            return html_page(view)
        case "mermaid":
            from nbpipe.views.mermaid import mermaid

            return mermaid(view)
        case _:
            from nbpipe.views.text import lineage_text

            return lineage_text(view)
