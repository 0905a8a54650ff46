"""Kernels that start, however busy the machine is.

A client of Jupyter chooses the ports of a kernel and frees them again before the kernel
takes them. Where many programs start side by side, another may be faster; the kernel
then dies before it has answered once (https://github.com/nteract/papermill/issues/511).
Another kernel gets other ports.
"""

import atexit

from nbclient import NotebookClient

STARTS = 5  # that many in a row lose no race: something else is wrong


class PatientClient(NotebookClient):
    """Executes a notebook; a kernel may take its time to start, and a few attempts."""

    def __init__(self, notebook, **options):
        """Take a notebook and what else `NotebookClient` takes."""
        # A minute, which is nbclient's own limit, is short on a busy machine.
        super().__init__(notebook, **{"startup_timeout": 24 * 3600} | options)
        self._start = {}  # options of the kernel's start

    async def async_start_new_kernel(self, **options):
        """Start a kernel; see `NotebookClient`."""
        self._start = options
        await super().async_start_new_kernel(**options)

    async def async_start_new_kernel_client(self):
        """Connect with the kernel, or with the next one if it has died at its start.

        Raises:
            RuntimeError: each of `STARTS` kernels died before it answered.
        """
        for attempt in range(STARTS):
            if attempt:  # the one that died has been cleaned up
                self.create_kernel_manager()
                await self.async_start_new_kernel(**self._start)
            try:
                return await super().async_start_new_kernel_client()
            except RuntimeError as error:
                if "died" not in str(error):
                    raise
                last = error
        atexit.unregister(self._cleanup_kernel)  # there is nothing left to clean up
        raise last
