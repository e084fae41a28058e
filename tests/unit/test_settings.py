"""Secrets are what the configuration refers to, and are blotted out of every text."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.settings import blotted, redacted, secret_values


@pytest.mark.parametrize(
    ("configured", "secrets"),
    [
        (["sqlite:///x"], ()),
        (["postgresql://u:${PW}@h/d", {"key": ["${KEY}", {"deep": "a${PW}b"}]}], ("long-secret", "pass")),
        (["${SHORT} ${UNSET}"], ()),
    ],
)
def test_secrets_are_what_the_configuration_refers_to(configured, secrets):
    assert secret_values(configured, {"PW": "pass", "KEY": "long-secret", "SHORT": "abc"}) == secrets


def test_longer_secrets_are_blotted_out_before_those_they_contain():
    assert redacted("abcd-efgh abcd", ("abcd-efgh", "abcd")) == "*** ***"


def test_the_path_of_a_folder_is_no_secret(tmp_path: Path):
    environ = {"HERE": str(tmp_path), "GONE": str(tmp_path / "none")}
    assert secret_values(["${HERE}/values", "${GONE}"], environ) == (str(tmp_path / "none"),)


def test_secrets_are_blotted_out_at_any_depth_and_of_keys():
    data = {"pass": ("a pass", [1, b"pass", {"x": "pass"}])}
    assert blotted(data, ("pass",)) == {"***": ("a ***", [1, b"pass", {"x": "***"}])}
