"""Say why somebody could not be told, without a secret: servers repeat what they were sent, in one form or another."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from nbpipe import settings
from nbpipe.errors import ConfigError, NbpipeError

_LONGEST = 500
#: Parts of a secret URL that are as long may open something by themselves.
_SHORTEST_PART = 6


def problem_text(problem: Exception, secrets: Iterable[str]) -> str:
    """Return an error in one line of bounded length.

    Args:
        problem: what was raised.
        secrets: values that must not be in it.
    """
    text = settings.redacted(f"{type(problem).__name__}: {_words(problem)}", _forms(secrets))
    return " ".join(text.split())[:_LONGEST]  # shortened last: half a secret would not be found


def is_final(problem: Exception) -> bool:
    """Tell whether another attempt would end the same, and with a wrong password perhaps lock somebody out."""
    import smtplib
    import ssl

    cause = _cause(problem)
    return isinstance(cause, smtplib.SMTPAuthenticationError | ssl.SSLCertVerificationError | ConfigError)


def _cause(problem: Exception) -> object:
    """Return what kept a URL from being opened, or the problem itself."""
    from urllib.error import URLError

    return problem.reason if isinstance(problem, URLError) else problem


def _words(problem: Exception) -> str:
    import smtplib
    import ssl
    from http.client import responses
    from urllib.error import HTTPError

    cause = _cause(problem)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({cause.verify_message}): "
            "set SSL_CERT_FILE to a file that holds the certificate of its issuer"
        )
    if isinstance(problem, HTTPError):  # a server's own words may quote a part of the URL
        return f"HTTP Error {problem.code}: {responses.get(problem.code, 'no reason is known')}"
    if isinstance(problem, smtplib.SMTPAuthenticationError):
        return f"the server refuses the user or the password (code {problem.smtp_code})"
    if isinstance(problem, smtplib.SMTPResponseException):
        return f"{problem.smtp_code} {_decoded(problem.smtp_error)}"
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        refused = problem.recipients.items()
        return "; ".join(f"{to}: {code} {_decoded(words)}" for to, (code, words) in refused)
    # one about a URL, an address or a header may quote a part of it, and that may be the secret
    quotes = isinstance(problem, ValueError) or type(problem).__module__ == "http.client"
    return "what is configured can't be used" if quotes and not isinstance(problem, NbpipeError) else str(problem)


def _decoded(words: bytes | str) -> str:
    return words.decode(errors="replace") if isinstance(words, bytes) else words


def _forms(secrets: Iterable[str]) -> list[str]:
    """Return the texts by which secrets could be repeated, longest first."""
    secrets = list(secrets)
    plain = {*secrets, *(part for secret in secrets for part in _parts(secret))}
    found = set(plain)
    for text in plain:
        found |= {quote(text), quote(text, safe=""), json.dumps(text)[1:-1], ascii(text)[1:-1]}
        found |= {repr(text.encode())[2:-1], base64.b64encode(text.encode()).decode()}
    for user in secrets:  # SMTP's AUTH PLAIN (RFC 4616) has both in one word
        for password in secrets:
            found.add(base64.b64encode(f"\0{user}\0{password}".encode()).decode())
    return sorted(found, key=len, reverse=True)


def _parts(secret: str) -> list[str]:
    """Return what a secret URL is made of."""
    if "://" not in secret:
        return []
    try:
        url = urlsplit(secret)
    except ValueError:
        return []
    parts = [url.netloc, url.hostname or "", url.path, url.query, *url.path.split("/"), *url.query.split("&")]
    return [part for part in parts if len(part) >= _SHORTEST_PART]
