"""The server's process: its address, its log, and its end."""

import signal

import pytest
from benchmarks.serving.hostile import HEAD
from benchmarks.serving.server import png, serving

from tests.conftest import run_command
from tests.serve.conftest import wait_until
from tests.serve.test_protocol import answers, connect


def test_sigterm_says_not_ready_answers_and_ends(made, tmp_path):
    image = png(made.images(1)[0])
    with serving(made.path, tmp_path, "--token", "secret", "--max-pixels", "72") as served:
        asks = {"Content_Type": "image/png", "Authorization": "Bearer secret"}
        large = served.ask("/predict", png(made.images(1)[0].repeat(2, axis=0)), **asks)
        assert "more than the 72 pixels" in large.json["predictions"][0]["error"]
        broken = {**asks, "Content_Type": "multipart/form-data; boundary=edge"}
        assert served.ask("/predict", b"--edgeless", **broken).status == 400
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: served.ask("/v2/health/ready").status == 503)
        assert served.ask("/v2/health/live").headers["connection"] == "close"
        assert served.ask("/predict", image, **asks).status == 200
        assert served.process.wait(30) == 0
        log = served.log()
    assert [line["event"] for line in log if line["level"] == "info"][-1] == "ended"
    assert "not ready" in [line["event"] for line in log]
    (warning,) = [line["event"] for line in log if line["level"] == "warning"]
    assert "Did not find CR" in warning  # of the library that reads forms


def test_a_second_signal_ends_at_once(made, tmp_path):
    with serving(made.path, tmp_path) as served, connect(served) as connection:
        connection.sendall(HEAD + b"Content-Length: 9\r\n\r\n1")
        served.process.send_signal(signal.SIGINT)
        wait_until(lambda: served.ask("/v2/health/ready").status == 503)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(30) == -signal.SIGINT  # after an end in good order it were 0
        assert served.tracebacks() == 0


def test_an_upload_that_does_not_end_is_refused_at_the_end(serving_here):
    with serving_here() as served, connect(served) as connection, connect(served) as other:
        connection.sendall(HEAD + b"Content-Length: 9\r\n\r\n1")
        wait_until(lambda: served.server.server_state.tasks)
        served.server.should_exit = True
        ((status, body),) = answers(connection)
        assert status == 503
        assert b"about to end" in body
        assert answers(other) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--port", "70000"), "no port 70000"),
        (("--host", "a..b"), "a..b is no address of this machine"),
        (("--host", "0.0.0.0"), "can be reached from other machines"),  # noqa: S104  # is refused
        (("--token", ""), "the token is empty"),
        (("--token", "ä b"), "letters that a header cannot have"),
        (("--allow-origin", "https://example.org/"), "without a path"),
        (("--max-images", "200"), "but only 128 may wait"),
        (("--queue", "0"), "must be above 0"),
    ],
)
def test_impossible_options_are_refused(made, tmp_path, options, why):
    done = run_command("serve", made.path, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_address_in_use_is_named(server, made, tmp_path):
    done = run_command("serve", made.path, "--port", server.port, cwd=tmp_path)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {server.port}" in done.stderr
