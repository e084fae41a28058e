"""Execute a body again when it fails, as its asset says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbpipe.core.definitions import AssetSpec
from nbpipe.kernel.sayings import say


def retrying(spec: AssetSpec, attempt: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function (a coroutine function for one) that makes as many attempts as the asset's policy allows."""
    options = spec.options
    if not options.retries:
        return attempt
    import tenacity

    waits: dict[str, tenacity.wait.wait_base] = {
        "constant": tenacity.wait_fixed(options.retry_delay),
        "linear": tenacity.wait_incrementing(start=options.retry_delay, increment=options.retry_delay),
        "exponential": tenacity.wait_exponential(multiplier=options.retry_delay),
    }

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        say(f"{spec.key}: attempt {state.attempt_number} failed ({type(error).__name__}: {error}); trying again")

    return tenacity.retry(
        stop=tenacity.stop_after_attempt(options.retries + 1),
        wait=waits[options.backoff],
        retry=tenacity.retry_if_exception_type(Exception),
        before_sleep=tell,
        reraise=True,
    )(attempt)
