"""A LiveKit server for the tests that need one: the real one that the environment names, else the test server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.livekit_server.process import LiveKit, LiveKitProcess, real_server


@pytest.fixture(scope="session")
def livekit_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitProcess]:
    """The test server of all tests of a run, for one that stops it and starts it again between theirs."""
    process = LiveKitProcess(tmp_path_factory.mktemp("livekit") / "server.log")
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def livekit(request: pytest.FixtureRequest) -> LiveKit:
    """One server for all tests of a run; they keep to rooms of their own."""
    return real_server() or request.getfixturevalue("livekit_process").livekit


@pytest.fixture
def mortal_livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitProcess]:
    """A test server of one test alone, which may kill it and start it again."""
    process = LiveKitProcess(tmp_path_factory.mktemp("livekit") / "server.log")
    process.start()
    yield process
    process.stop()
