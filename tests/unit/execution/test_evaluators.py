"""The processes in which sensors are asked."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process lasts")
def test_what_setup_cells_print_for_a_year_fills_no_disk(tmp_path):
    code = (
        "from nbpipe.kernel.sensors import trunk\n"
        "for number in range(40):\n"
        "    trunk.empty_long_log()\n"
        "    print('x' * 100_000, number, flush=True)\n"
    )
    log = tmp_path / "log"
    with log.open("ab") as output:
        subprocess.run([sys.executable, "-c", code], stdout=output, stderr=output, check=True, timeout=60)
    assert log.stat().st_size < 2_000_000
    assert log.read_text().endswith("x 39\n")
