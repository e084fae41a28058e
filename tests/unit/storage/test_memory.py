from __future__ import annotations

import subprocess
import sys


def test_the_store_in_memory_needs_no_database():
    program = "import sys, nbpipe.testing; print(sorted({'sqlalchemy', 'sqlite3', 'psycopg'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
