"""Ctrl-C and SIGTERM: held back between steps, and what they become."""

import os
import signal
import threading

import pytest

from apparel.core.signals import StopRequest, Terminated, signals_held, termination_raised


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_waits_until_it_is_obeyed_or_the_last_step_is_done(number, error):
    def steps():
        with signals_held() as request:
            request.obey()
            os.kill(os.getpid(), number)
            assert request.signal == number
            with pytest.raises(error):
                request.obey()
            assert request.signal is None
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(error):
        steps()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_does_not_wait(second):
    def impatient():
        with signals_held():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), second)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        impatient()
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_raises_while_a_run_lasts():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), termination_raised():
        os.kill(os.getpid(), signal.SIGTERM)
    assert not issubclass(Terminated, Exception)  # or a handler of errors would take it for one
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_leaves_signals_alone():
    before = signal.getsignal(signal.SIGINT)
    found = []

    def work():
        with signals_held() as request, termination_raised():
            found.append((type(request), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(StopRequest, before)]
