"""Every setting of Antiphon: one frozen tree, gathered once at start and handed to whoever needs a part of it.

`run` loads it; nothing else reads the environment or a configuration file.
"""

from antiphon.config.change import Configuration
from antiphon.config.load import ConfigProblems, load_settings
from antiphon.config.settings import (
    ApprovalSettings,
    AttachmentSettings,
    ConsoleSettings,
    HttpSettings,
    LimitSettings,
    LogSettings,
    OutboxSettings,
    RetentionSettings,
    Settings,
    ThreadSettings,
)

__all__ = [
    "ApprovalSettings",
    "AttachmentSettings",
    "ConfigProblems",
    "Configuration",
    "ConsoleSettings",
    "HttpSettings",
    "LimitSettings",
    "LogSettings",
    "OutboxSettings",
    "RetentionSettings",
    "Settings",
    "ThreadSettings",
    "load_settings",
]
