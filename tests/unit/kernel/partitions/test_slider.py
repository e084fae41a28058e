"""The controls that choose the current partition."""

from datetime import UTC, datetime

import pytest

from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.errors import UnknownNameError
from nbpipe.kernel.partitions.choice import Choices
from nbpipe.kernel.partitions.current import Shown
from nbpipe.kernel.partitions.slider import PartitionControls

NOW = datetime(2024, 4, 15, tzinfo=UTC)
SETS = {
    "day": "daily:2024-01-01..2024-01-31",
    "work": "cron(0 6 * * 1-5):2024-01-01..2024-01-31",
    "both": "date=daily:2024-01-01..2024-01-31 x region=static:eu,us",
    "many": "static:" + ",".join(f"k{number}" for number in range(1_500)),
}


class Notebook:
    """Remembers what was chosen."""

    def __init__(self):
        self.choices = Choices()

    def shown(self):
        return [Shown((name,), of, self.choices.key(of, NOW)) for name, of in SETS_PARSED.items()]

    def move(self, of, index, key):
        self.choices = self.choices.with_part(of, index, key, NOW)
        return self.shown()


SETS_PARSED = {name: parse_partitions(spec) for name, spec in SETS.items()}


@pytest.fixture
def notebook():
    return Notebook()


@pytest.fixture
def controls(notebook):
    found = PartitionControls(notebook.shown(), notebook.move)
    yield found
    found.close()


def keys(controls):
    return [row.children[-1].value for row in controls.children[:-1]]


def test_each_dimension_has_a_control_that_stands_at_the_current_key(controls):
    kinds = [[type(part).__name__ for part in row.children[1:-1]] for row in controls.children[:-1]]
    assert kinds == [["IntSlider"], ["IntSlider"], ["IntSlider", "Dropdown"], ["Text"]]
    assert keys(controls) == ["2024-01-31", "2024-01-31", "2024-01-31|us", "k1499"]
    assert controls.children[0].children[1].max == 30
    assert controls.children[1].children[1].max == 22


def test_moving_a_slider_moves_what_follows(controls, notebook):
    controls.children[0].children[1].value = 4
    assert keys(controls) == ["2024-01-05", "2024-01-05", "2024-01-05|us", "k1499"]
    assert controls.children[2].children[1].value == 4
    controls.children[2].children[2].value = "eu"
    assert keys(controls)[2] == "2024-01-05|eu"
    assert notebook.choices.key(SETS_PARSED["both"], NOW) == "2024-01-05|eu"


def test_a_key_that_is_none_is_told(controls):
    text = controls.children[3].children[1]
    text.value = "k7"
    assert keys(controls)[3] == "k7"
    text.value = "<b>"
    assert "there is no partition '&lt;b&gt;'" in controls.children[-1].value
    assert text.value == "k7"


def test_a_frontend_without_widgets_reads_the_keys(controls):
    bundle = controls._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["text/plain"].splitlines()[0] == "day: 2024-01-31 (daily:2024-01-01..2024-01-31)"


def test_a_choice_that_fails_changes_nothing(notebook):
    def refuse(of, index, key):
        raise UnknownNameError("partition", key)

    controls = PartitionControls(notebook.shown(), refuse)
    controls.children[0].children[1].value = 4
    assert keys(controls)[0] == "2024-01-31"
    assert controls.children[0].children[1].value == 30
    controls.close()


def test_a_key_that_was_added_meanwhile_can_be_followed(controls, notebook, monkeypatch):
    longer = parse_partitions("date=daily:2024-01-01..2024-01-31 x region=static:eu,us,asia")
    monkeypatch.setitem(SETS_PARSED, "both", longer)
    notebook.choices = notebook.choices.with_key([longer], "2024-01-09|asia")
    controls.children[0].children[1].value = 8
    assert keys(controls)[2] == "2024-01-09|asia"


def test_keys_are_text_and_no_markup():
    choices, of = Choices(), parse_partitions('static:"<b>x</b>"')
    found = PartitionControls([Shown(("one", "other"), of, choices.key(of, NOW))], lambda *_: [])
    name, _, key = found.children[0].children
    assert name.value == "one, other"
    assert key.value == "&lt;b&gt;x&lt;/b&gt;"
    found.close()


def test_what_has_no_room_in_a_row_goes_on_in_the_next(controls):
    for row in controls.children[:-1]:
        assert row.layout.flex_flow == "row wrap"
        assert all(part.style.description_width == "initial" for part in row.children[1:-1])
