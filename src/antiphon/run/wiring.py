"""The only place that builds objects and connects the parts. Read it to see what the program consists of."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import structlog

from antiphon.brain.turn import TurnBrain
from antiphon.bus.memory import MemoryBus
from antiphon.bus.redis import RedisBus
from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings
from antiphon.domain.approvals import Approval
from antiphon.domain.health import PartHealth, PartState
from antiphon.domain.identity import Principal, Requester
from antiphon.domain.ports import Authority, Bus, Clock, Platform
from antiphon.platforms.web import WebAuthority, WebPlatform
from antiphon.run.asgi import AsgiApp, OnePort
from antiphon.run.banner import banner
from antiphon.run.clock import SystemClock
from antiphon.store.settings import configure
from antiphon.store.stores import Stores, open_stores
from antiphon.threads.approvals import Approvals
from antiphon.threads.control import TaskControl
from antiphon.threads.inbox import Inbox
from antiphon.threads.live import LiveTurns
from antiphon.threads.outbox import Outbox, OutboxOptions
from antiphon.threads.runner import Runner, RunnerOptions
from antiphon.threads.schedule import Scheduler
from antiphon.threads.task_run import TurnParts
from antiphon.tools.builtin import BuiltinTools
from antiphon.tools.catalog import Catalog, ToolSource
from antiphon.tools.execute import ToolExecutor
from antiphon.tools.policy import ToolPolicy
from antiphon.tools.redact import Redactor

log = structlog.stdlib.get_logger(__name__)
