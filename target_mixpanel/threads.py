"""How is a thread started, on a machine that may have no room for one?"""

import threading

from target_mixpanel.errors import ThreadsError


def start(thread: threading.Thread) -> None:
    """
    Start *thread*.

    Raises:
        ThreadsError: The machine has no room for it.
    """
    try:
        thread.start()
    except RuntimeError as error:  # "can't start new thread"
        raise ThreadsError(
            f"threads: the machine has no room for another one ({error}); allow this process more "
            "(ulimit -u, or the container's limit of pids), or lower max_parallel_requests",
        ) from None
