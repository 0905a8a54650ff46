"""Where many independent jobs run: on the cores here, or on a Dask cluster."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

ANSWERS_WITHIN = "10 s"  # a scheduler that lives


class NoCluster(RuntimeError):
    """No scheduler answers, or it has no workers; says which."""


@contextlib.contextmanager
def executor(scheduler, processes, modules=()):
    """An executor as in `concurrent.futures`, of processes that the jobs start.

    Its attribute `machines` lists an executor for each machine that it uses, and
    `at_once` says how many jobs run at a time.

    Args:
        scheduler: address of a Dask scheduler, or None for threads here.
        processes: how many jobs at a time, here.
        modules: what the jobs need and other machines cannot import; sent along.

    Raises:
        NoCluster: no scheduler answers at that address, or it has no workers.
    """
    if scheduler is None:
        with ThreadPoolExecutor(processes) as pool:
            pool.machines, pool.at_once = [pool], processes
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
    try:
        client = Client(scheduler, timeout=ANSWERS_WITHIN)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        raise NoCluster(
            f"scheduler {scheduler!r}: nothing answers there ({error})"
        ) from None
    with client:
        workers = client.scheduler_info()["workers"]
        if not workers:
            raise NoCluster(f"scheduler {scheduler!r} has no workers")
        with client.get_executor(workers=[*workers]) as pool:
            pool.machines = [client.get_executor(workers=[one]) for one in workers]
            pool.at_once = sum(worker["nthreads"] for worker in workers.values())
            yield pool
