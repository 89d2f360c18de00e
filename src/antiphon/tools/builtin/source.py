"""All built-in tools as one source for the catalog. Wiring gives the ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from antiphon.domain.conversation import ThreadStore
from antiphon.domain.events import Bus
from antiphon.domain.identity import PeopleStore
from antiphon.domain.memories import MemoryStore, ProposalStore
from antiphon.domain.personal_data import PersonalDataStore
from antiphon.domain.polls import PollStore
from antiphon.domain.schedule import ScheduleStore
from antiphon.tools.builtin.channel import ChannelSummary
from antiphon.tools.builtin.clock import ClockDate, ClockDifference, ClockNow
from antiphon.tools.builtin.dice import CoinFlip, DiceRoll
from antiphon.tools.builtin.math import MathCalculate
from antiphon.tools.builtin.memory import MemoryForget, MemoryForgetAll, MemoryPropose, MemoryRecall, MemoryRemember
from antiphon.tools.builtin.polls import PollsClose, PollsCreate, PollsShow, PollsVote
from antiphon.tools.builtin.profile import ProfileLanguage, ProfileName, ProfileTimezone
from antiphon.tools.builtin.reminders import (
    RemindersCancel,
    RemindersCreate,
    RemindersEdit,
    RemindersList,
    TimersCreate,
)
from antiphon.tools.builtin.system import StatusSource, SystemHelp, SystemStatus
from antiphon.tools.builtin.units import UnitsConvert
from antiphon.tools.catalog import AnyTool, Catalog
from antiphon.tools.policy import ToolPolicy


class BuiltinTools:
    """Implements `tools.catalog.ToolSource`."""

    def __init__(
        self,
        schedule: ScheduleStore,
        memories: MemoryStore,
        proposals: ProposalStore,
        personal_data: PersonalDataStore,
        bus: Bus,
        people: PeopleStore,
        threads: ThreadStore,
        polls: PollStore,
        status: StatusSource,
        policy: ToolPolicy,
        catalog: Callable[[], Catalog],
    ) -> None:
        """`catalog` returns the catalog this source will be part of, for `system.help`."""
        self._tools: tuple[AnyTool, ...] = (
            ClockNow(),
            ClockDate(),
            ClockDifference(),
            MathCalculate(),
            UnitsConvert(),
            DiceRoll(),
            CoinFlip(),
            RemindersCreate(schedule),
            TimersCreate(schedule),
            RemindersList(schedule),
            RemindersEdit(schedule),
            RemindersCancel(schedule),
            MemoryRemember(memories),
            MemoryPropose(proposals, bus),
            MemoryRecall(memories),
            MemoryForget(memories),
            MemoryForgetAll(memories, personal_data),
            ProfileTimezone(people),
            ProfileLanguage(people),
            ProfileName(people),
            ChannelSummary(threads),
            PollsCreate(polls),
            PollsVote(polls),
            PollsShow(polls),
            PollsClose(polls, policy),
            SystemHelp(catalog, policy),
            SystemStatus(status),
        )

    def tools(self) -> Sequence[AnyTool]:
        """Always the same."""
        return self._tools
