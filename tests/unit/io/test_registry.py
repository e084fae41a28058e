from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.errors import ConfigError, MissingValueError, UnknownNameError, UnstorableValueError
from nbpipe.io.registry import open_io
from nbpipe.io.targets import StoreTarget

WHERE = StoreTarget(env="dev", asset="a", uid="1")


def test_the_default_manager_keeps_files_in_the_storage(tmp_path: Path) -> None:
    managers = open_io({}, storage=".nbpipe/values", root=tmp_path, env="dev")
    stored = managers.manager(None).store("x", WHERE)
    assert (tmp_path / ".nbpipe/values/dev/a/_/1.txt").read_text() == "x"
    assert managers["files"].load(stored) == "x"
    assert (list(managers), len(managers)) == (["files"], 1)


def test_a_manager_of_its_own_place_and_format(tmp_path: Path) -> None:
    tables = {"raw": {"type": "files", "url": (tmp_path / "raw").as_uri(), "format": "pickle"}}
    stored = open_io(tables, storage="v", root=tmp_path, env="dev").manager("raw").store("x", WHERE)
    assert (stored.io, stored.format) == ("raw", "pickle")
    assert (tmp_path / "raw" / stored.path).exists()


def test_a_format_that_does_not_fit_is_said(tmp_path: Path) -> None:
    managers = open_io({"docs": {"format": "json"}}, storage="v", root=tmp_path, env="dev")
    with pytest.raises(UnstorableValueError, match=r"'a'.*'docs'.*only json.*keys but strings.*\[io.docs\]"):
        managers.manager("docs").store({1: 2}, WHERE)
    with pytest.raises(UnstorableValueError, match="not a value for json"):
        managers.manager("docs").store((1, 2), WHERE)


def test_a_memory_manager_can_be_configured(tmp_path: Path) -> None:
    manager = open_io({"scratch": {"type": "memory"}}, storage="v", root=tmp_path, env="dev").manager("scratch")
    assert manager.load(manager.store([1], WHERE)) == [1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"type": "file"}, r"io\.x\.type: 'file' is no type of I/O manager: did you mean 'files'"),
        ({"type": "zzz"}, r"use one of files, memory"),
        ({"urll": "a"}, r"io\.x: 'urll' is no key .* did you mean 'url'"),
        ({"url": 1}, r"io\.x\.url must be text, not int"),
        ({"options": "a"}, r"io\.x\.options must be a table"),
        ({"format": "parquett"}, r"did you mean 'parquet'"),
        ({"type": "memory", "url": "a"}, r"'url' is no key of an I/O manager of type 'memory'"),
    ],
)
def test_wrong_tables_are_refused_with_the_remedy(table: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        open_io({"x": table}, storage="v", root=tmp_path, env="dev")


def test_an_unknown_manager_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    managers = open_io({"warehouse": {}}, storage="v", root=tmp_path, env="dev")
    with pytest.raises(UnknownNameError, match=r"'warehose': did you mean 'warehouse'"):
        managers.manager("warehose")
    with pytest.raises(KeyError):
        managers["warehose"]


def test_secrets_are_needed_only_when_a_manager_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALUES_HERE", raising=False)
    managers = open_io({}, storage="${VALUES_HERE}/v", root=tmp_path, env="dev")
    with pytest.raises(ConfigError, match="VALUES_HERE is not set"):
        managers.manager(None)
    monkeypatch.setenv("VALUES_HERE", str(tmp_path / "here"))
    managers.manager(None).store("x", WHERE)
    assert (tmp_path / "here/v/dev").is_dir()


def test_secrets_within_options_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKIP", "yes")
    tables = {"m": {"url": "memory://secret-test", "options": {"extra": {"list": ["${SKIP}", 1]}}}}
    assert open_io(tables, storage="v", root=tmp_path, env="dev").manager("m").name == "m"


def test_messages_and_paths_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET_KEY", "hunter2")
    manager = open_io({}, storage="memory://${BUCKET_KEY}", root=tmp_path, env="dev").manager(None)
    stored = manager.store("x", WHERE)
    assert manager.local_path(stored).startswith("memory:///***/dev/")
    manager.delete(stored)
    with pytest.raises(MissingValueError, match=r"\*\*\*") as refused:
        manager.load(stored)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigError) as unknown:
        open_io({}, storage="${BUCKET_KEY}://x", root=tmp_path, env="dev").manager(None)
    assert "hunter2" not in str(unknown.value)


def test_a_file_system_that_is_not_installed_is_said(tmp_path: Path) -> None:
    managers = open_io({}, storage="nosuch://bucket", root=tmp_path, env="dev")
    with pytest.raises(ConfigError, match=r"storage = 'nosuch://bucket' can't be opened.*nosuch"):
        managers.manager(None)
