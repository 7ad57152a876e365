import os
import signal
import subprocess
import sys

import pytest

from stabilimeter.records.process import Process, is_alive, this_process

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def identity(child):
    own = this_process()
    start = None
    if own.start is not None:
        with open(f"/proc/{child.pid}/stat") as stat:  # noqa: PTH123
            start = stat.read().rpartition(")")[2].split()[19]
    return Process(own.hostname, child.pid, start)


def test_this_process_is_alive():
    assert this_process().pid == os.getpid()
    assert is_alive(this_process()) is True


def test_a_killed_process_is_gone_even_before_its_parent_collects_it():
    with subprocess.Popen(SLEEP, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        process = identity(child)
        assert is_alive(process) is True
        child.send_signal(signal.SIGKILL)
        while is_alive(process):
            pass  # the kernel needs a moment; the test's time limit is the guard
        assert child.returncode is None  # nobody has waited for it: it is a zombie
        child.wait()
        assert is_alive(process) is False


@pytest.mark.skipif(this_process().start is None, reason="this system does not tell when a process started")
def test_another_process_with_the_same_id_is_not_it():
    assert is_alive(this_process()._replace(start="1")) is False


def test_another_host_cannot_be_asked():
    assert is_alive(Process("elsewhere.invalid", os.getpid(), None)) is None
