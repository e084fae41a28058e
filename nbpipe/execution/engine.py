"""The engine that papermill finds as `nbpipe`: it executes cells in the order and with the care that a step needs.

papermill asks an engine for three functions. It isn't imported here: its import loads all engines, so an
engine that imports papermill can only be imported after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbpipe.core.runs.tasks import DEFAULT_KERNEL, OutputLimits
from nbpipe.errors import UsageError

if TYPE_CHECKING:
    from nbpipe.execution.manager import RecordManager
    from nbpipe.execution.records import RecordWriter


class NbpipeEngine:
    """Executes notebooks for nbpipe's steps, and for `papermill --engine nbpipe`."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        *,
        conduct: Callable[[RecordManager], None] | None = None,
        writer: RecordWriter | None = None,
        progress_bar: bool | Mapping[str, Any] = True,
        **options: Any,
    ) -> Any:
        """Execute a notebook and return it.

        Args:
            nb: the notebook, which is changed.
            kernel_name: name of the kernelspec.
            output_path: where to write, if there is no `writer`.
            conduct: executes the cells; without it, all are executed from the first to the last, as Run All does.
            writer: where to write.
            progress_bar: as papermill has it.
            options: papermill's further options.

        Raises:
            UsageError: an option that this engine doesn't have.
        """
        from nbpipe.execution.manager import RecordManager
        from nbpipe.execution.records import RecordWriter

        if writer is None and output_path is not None:
            writer = RecordWriter(Path(output_path).absolute())
        manager = RecordManager(nb, writer, progress_bar=progress_bar)
        manager.notebook_start()
        manager.write()
        try:
            (conduct or cls._whole(kernel_name, options))(manager)
        finally:
            manager.notebook_complete()
        return manager.nb

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """Return the kernelspec to use; a notebook that names none is taken for Python."""
        return name or nb.metadata.get("kernelspec", {}).get("name") or DEFAULT_KERNEL

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """Return the language of a notebook; one that names none is taken for Python."""
        found = nb.metadata.get("language_info", {}).get("name") or nb.metadata.get("kernelspec", {}).get("language")
        return language or found or "python"

    @classmethod
    def _whole(cls, kernel_name: str, options: Mapping[str, Any]) -> Callable[[RecordManager], None]:
        for name in ("log_output", "stdout_file", "stderr_file"):
            if options.get(name):
                raise UsageError(f"the engine nbpipe has no option {name}: leave it out, or use papermill's own engine")

        def conduct(manager: RecordManager) -> None:
            from nbpipe.execution.kernels.plain import PlainKernels
            from nbpipe.execution.requests import NewKernel, stable_hashes
            from nbpipe.execution.sessions import KernelSession

            request = NewKernel(kernel_name=kernel_name, cwd=str(Path.cwd()), environ=stable_hashes())
            kernel = PlainKernels().start(request)
            session = KernelSession(manager, kernel, limits=OutputLimits())
            try:
                session.open()
                session.run_all(timeout=options.get("execution_timeout"))
                session.close()
            finally:
                kernel.shutdown(session.grace)
                session.disconnect()

        return conduct
