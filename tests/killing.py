"""Processes that kill themselves, for the scripts that tests of killed runs start."""

import os
import signal
from collections.abc import Callable


def kill() -> None:
    """Ends this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_fork(work: Callable[[], object]) -> int:
    """Exit status of a child process that does the work; minus the signal when it was killed."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
