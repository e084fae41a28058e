"""Which programs can come from the same warm process, and where it is found."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from nbpipe import __version__, settings
from nbpipe.errors import ExecutionError
from nbpipe.execution.kernels.connections import KernelCommand, command
from nbpipe.execution.warm.messages import WARM_PROTOCOL

#: What starts a kernel in an interpreter that has imported ipykernel.
_LAUNCHERS = ("ipykernel_launcher", "ipykernel")

#: Variables that Python or a module reads once, when it starts or is imported: a fork can't change them any more.
_EARLY = re.compile(
    r"PYTHON(?!PYCACHEPREFIX$).*|LD_.*|LC_.*|LANG(UAGE)?|HOME|VIRTUAL_ENV|CONDA_PREFIX|"
    r"(JUPYTER|IPYTHON|MPL|MALLOC|JE_|NUMPY|NPY|OMP|OPENBLAS|GOTO|MKL|KMP|GOMP|BLIS|NUMEXPR|"
    r"ARROW|PYARROW|PANDAS|SKLEARN|SCIPY|SQLALCHEMY|FSSPEC|TQDM|SSL_)_?.*"
)

#: Of those, the ones that say where one server or kernel is, and that nothing reads when it is imported.
_LATE = re.compile(r"JUPYTER_(SERVER_(ROOT|URL)|TOKEN)")

#: A socket's path may have 107 bytes, sun_path of unix(7); ours adds `/socket`.
_LONGEST_FOLDER = 95

_BACKEND, _INLINE = "MPLBACKEND", "module://matplotlib_inline.backend_inline"


class NotWarmError(ExecutionError):
    """No warm process serves this; a process is started afresh."""


class WarmEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What can't be changed after a fork."""

    interpreter: str
    options: tuple[str, ...] = ()
    """The interpreter's own, such as `-X frozen_modules=off`."""
    early: Mapping[str, str]
    """The variables that were read by then."""

    @classmethod
    def of(cls, interpreter: str, options: Iterable[str], environ: Mapping[str, str]) -> WarmEnvironment:
        """Return what is fixed in a process with these variables."""
        # a kernel sets the first one when it starts; by then, matplotlib has been imported here
        known = {_BACKEND: _INLINE, **{name: value for name, value in environ.items() if value or name != _BACKEND}}
        early = {name: known[name] for name in sorted(known) if _EARLY.fullmatch(name) and not _LATE.fullmatch(name)}
        return cls(interpreter=interpreter, options=tuple(options), early=early)

    def around(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return all variables of the warm process: these, and of others what does not tell whom it works for."""
        late = {name: value for name, value in environ.items() if not _EARLY.fullmatch(name)}
        for name in (settings.RUN_ID, settings.STEP, settings.NOTEBOOK, settings.PARENT):
            late.pop(name, None)
        return {**late, **self.early}

    @property
    def key(self) -> str:
        """Return a name for it, the same in every process of this version."""
        parts = msgspec.json.encode([WARM_PROTOCOL, __version__, self], enc_hook=dict)
        return hashlib.sha256(parts).hexdigest()[:16]


def this_environment(environ: Mapping[str, str]) -> WarmEnvironment:
    """Return the environment of this interpreter."""
    return WarmEnvironment.of(sys.executable, (), environ)


def kernel_environment(spec: KernelCommand, environ: Mapping[str, str]) -> tuple[WarmEnvironment, str]:
    """Return the environment of a kernel, and the module that starts it.

    Raises:
        NotWarmError: it is not started by Python alone.
    """
    program, *words = command(list(spec.argv), "{connection_file}", spec.resources)
    if spec.language != "python" or not re.fullmatch(r"python[0-9.]*", Path(program).name):
        raise NotWarmError(f"kernel {spec.name!r} is not started by Python itself")
    if "-m" not in words or words[words.index("-m") + 1 :][:1] not in [[name] for name in _LAUNCHERS]:
        raise NotWarmError(f"kernel {spec.name!r} is not started by ipykernel alone")
    start = words.index("-m")
    if words[start + 2 :] != ["-f", "{connection_file}"]:
        raise NotWarmError(f"kernel {spec.name!r} has options of its own")
    return WarmEnvironment.of(program, words[:start], environ), words[start + 1]


def home(environment: WarmEnvironment, *, create: bool = False) -> Path:
    """Return the folder in which the warm process of an environment keeps its socket; it may not be there.

    Args:
        environment: whose.
        create: make the folder above it, which all warm processes of this user share.

    Raises:
        NotWarmError: there are none; or somebody else could reach into that folder; or its path is too long.
    """
    parent = settings.runtime_folder() / f"nbpipe-warm-{os.getuid()}"
    if create:
        parent.mkdir(mode=0o700, exist_ok=True)
    try:
        about = parent.lstat()
    except FileNotFoundError:
        raise NotWarmError("there is no warm process") from None
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise NotWarmError(f"{parent} is open to others: remove it")
    folder = parent / environment.key
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        raise NotWarmError(f"the path of {folder} is too long for a socket: set XDG_RUNTIME_DIR or TMPDIR")
    return folder


def socket_of(environment: WarmEnvironment) -> str:
    """Return the path of the socket."""
    return str(home(environment) / "socket")
