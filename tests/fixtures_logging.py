"""Whoever configures the log of the process does so for one test alone.

A program that starts inside of a test sends every line to the standard error of that test. Left in place, the handler
would write to a closed stream in all later tests, at any moment: a collected object may have something to say.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, configuration = root.handlers[:], structlog.get_config()
    levels = {
        logger: logger.level
        for logger in [root, *root.manager.loggerDict.values()]
        if isinstance(logger, logging.Logger)
    }
    yield
    if root.handlers != handlers:
        root.handlers[:] = handlers
        for logger, level in levels.items():
            logger.setLevel(level)
        logging.captureWarnings(False)
        structlog.configure(**configuration)
