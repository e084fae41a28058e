"""The lineage widget as a person meets it: what is drawn, what is written beside it, what can be pressed."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.ui.lab import PATIENCE, Lab

expect.set_options(timeout=PATIENCE)


class LineageWidget:
    """The last lineage widget of the open notebook."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._page = lab, lab.page
        self.root = lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .nbpipe-lineage").last
        self.details = self.root.locator(".nbpipe-details")
        self.search = self.root.get_by_label("Select")
        self.nodes = self.root.get_by_label("Asset", exact=True)
        self.legend = self.root.locator(".nbpipe-legend")
        self.error = self.root.locator(".nbpipe-error")

    def wait(self, nodes: int) -> None:
        """Wait until a graph of so many nodes is drawn."""
        self._page.wait_for_function(
            "count => { const cy = window.graph(); return cy && cy.nodes().length === count && cy.zoom() > 0 "
            "&& cy.nodes().every(node => node.renderedPosition().x > 0) }",
            arg=nodes,
        )

    def statuses(self) -> dict[str, str]:
        found: dict[str, str] = self._page.evaluate(
            "Object.fromEntries(window.graph().nodes().map(node => [node.data('label'), node.data('status')]))"
        )
        return found

    def edges(self) -> set[tuple[str, str]]:
        found = self._page.evaluate("window.graph().edges().map(e => [e.source().id(), e.target().id()])")
        return {(source, target) for source, target in found}

    def wait_for_status(self, node: str, *statuses: str) -> None:
        self._page.wait_for_function(
            "([node, statuses]) => { const cy = window.graph();"
            " return cy && statuses.includes(cy.getElementById(node).data('status')) }",
            arg=[node, list(statuses)],
        )

    def click(self, node: str) -> None:
        """Click a node with the mouse, as a person does: come there first."""
        x, y = self._page.evaluate(
            "node => { const p = window.graph().getElementById(node).renderedPosition(); return [p.x, p.y] }", node
        )
        graph = self.root.locator(".nbpipe-graph").last
        graph.hover(position={"x": x, "y": y})
        # The graph learns in the next frame that the page was scrolled to it.
        self._page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        graph.click(position={"x": x, "y": y})

    def select(self, text: str) -> None:
        """Write a selection into the search box and press Enter."""
        self.search.fill(text)
        self.search.press("Enter")

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name)

    def expect_details(self, *texts: str) -> None:
        for text in texts:
            expect(self.details).to_contain_text(text)
