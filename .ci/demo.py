"""Run the quickstart as a job, and say where its record is and what to open next."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
#: The quickstart's assets; those of other notebooks in the folder are left alone.
SELECTION = "+continent_stats"


def main() -> int:
    """Return the exit status of the job."""
    print(f"The quickstart as a job (nbpipe materialize {SELECTION} in notebooks/):\n", flush=True)
    done = subprocess.run(["nbpipe", "materialize", SELECTION], cwd=NOTEBOOKS, check=False)
    if done.returncode:
        return done.returncode
    print(f"\nWhat is stored now (nbpipe status {SELECTION}):\n", flush=True)
    subprocess.run(["nbpipe", "status", SELECTION], cwd=NOTEBOOKS, check=True)
    listing = subprocess.run(["nbpipe", "runs", "--json"], cwd=NOTEBOOKS, check=True, capture_output=True, text=True)
    newest = json.loads(listing.stdout)[0]
    print("\nThe record of the run, an executed copy of the notebook:")
    for record in newest["notebooks"]:
        print(f"    notebooks/{record}")
    print("Open next:\n    .venv/bin/jupyter lab notebooks/01_quickstart.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
