from __future__ import annotations

from types import MappingProxyType

import pytest

from nbpipe.loading.cache import read_cache, write_cache


def test_what_was_written_is_read(tmp_path):
    assert write_cache(tmp_path / "c", {"a": MappingProxyType({"b": 1})})
    assert read_cache(tmp_path / "c", dict[str, dict[str, int]]) == {"a": {"b": 1}}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("damaged", [b"", b"short", b"\0" * 64])
def test_a_foreign_file_is_none(tmp_path, damaged):
    (tmp_path / "c").write_bytes(damaged)
    assert read_cache(tmp_path / "c", dict[str, list[int]]) is None


@pytest.mark.parametrize("place", [0, 15, 16, 40, -1])
def test_a_damaged_cache_is_none(tmp_path, place):
    write_cache(tmp_path / "c", {"a": list(range(100))})
    data = bytearray((tmp_path / "c").read_bytes())
    data[place] ^= 1
    (tmp_path / "c").write_bytes(data)
    assert read_cache(tmp_path / "c", dict[str, list[int]]) is None


def test_a_cache_of_another_shape_is_none(tmp_path):
    write_cache(tmp_path / "c", {"a": "text"})
    assert read_cache(tmp_path / "c", dict[str, int]) is None


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    assert read_cache(tmp_path / "no/c", dict[str, int]) is None
    assert not write_cache(tmp_path / "no/c", {})


def test_a_cache_that_cannot_be_replaced_leaves_no_draft(tmp_path):
    (tmp_path / "c/in the way").mkdir(parents=True)
    assert not write_cache(tmp_path / "c", {})
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
