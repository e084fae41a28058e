"""What is said between a daemon, its trunk process, and the branches: `core.automation.evaluations`, and this.

Each is JSON with a tag, see `execution.framing`.
"""

from __future__ import annotations

import msgspec

from nbpipe.core.automation.evaluations import Evaluated, Evaluation


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """A branch has executed its setup cells."""

    keep: bool
    """It may be asked again; otherwise a cell failed, and they are to be executed anew."""
    threads: bool = False
    """They started threads, which a fork does not have: each evaluation has to execute them itself."""


class Outdated(msgspec.Struct, frozen=True, tag="outdated"):
    """A module of the project that a branch has imported is another by now: what was asked for was not done."""

    evaluation: Evaluation


ToBranch = Evaluation
FromBranch = Ready | Outdated | Evaluated
