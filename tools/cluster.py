"""Where many independent jobs run: on the cores here, or on a Dask cluster."""

import contextlib
from concurrent.futures import ThreadPoolExecutor


@contextlib.contextmanager
def executor(scheduler, processes, modules=()):
    """An executor as in `concurrent.futures`, of processes that the jobs start.

    Args:
        scheduler: address of a Dask scheduler, or None for threads here.
        processes: how many jobs at a time, here.
        modules: what the jobs need and other machines cannot import; sent along.
    """
    if scheduler is None:
        with ThreadPoolExecutor(processes) as pool:
            try:
                yield pool
            except BaseException:  # what waits is not begun; what runs ends
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return
    import cloudpickle
    from distributed import Client

    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    with Client(scheduler) as client, client.get_executor() as pool:
        yield pool
