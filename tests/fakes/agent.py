"""A whole brain over fakes: what the unit tests of turns and tools talk to."""

from __future__ import annotations

from dataclasses import dataclass, field

from antiphon.brain.context import ContextSources
from antiphon.brain.models import ModelChoice
from antiphon.brain.turn import TurnBrain
from antiphon.bus.memory import MemoryBus
from antiphon.config.settings import Settings
from antiphon.domain.approvals import Resume
from antiphon.domain.conversation import Author
from antiphon.domain.identity import Person, Requester
from antiphon.domain.turns import Final, Paused, TurnEvent, TurnRequest
from antiphon.telemetry.redaction import Redactor
from antiphon.tools.builtin.source import BuiltinTools
from antiphon.tools.catalog import AnyTool, Catalog
from antiphon.tools.execute import CallSession, ToolExecutor
from antiphon.tools.policy import ToolPolicy
from tests.fakes.approvals import FakeApprovals
from tests.fakes.authority import FakeAuthority
from tests.fakes.clock import FakeClock
from tests.fakes.executions import FakeExecutions
from tests.fakes.learning import FakeAttachments, FakeFeedback, FakePlaces, FakeSummaries
from tests.fakes.memories import FakeMemories
from tests.fakes.people import FakePeople
from tests.fakes.personal_data import FakePersonalData
from tests.fakes.polls import FakePolls
from tests.fakes.proposals import FakeProposals
from tests.fakes.schedule import FakeSchedule
from tests.fakes.status import FakeStatus
from tests.fakes.threads import FakeThreads
from tests.fakes.tools import FixedTools

ADA = Person(1, "Ada", "Europe/Berlin")
BOB = Person(2, "Bob")


@dataclass
class Workbench:
    """Everything a turn touches. Extra `tools` come beside the built-in ones, or (`builtin` off) stand alone."""

    tools: tuple[AnyTool, ...] = ()
    choice: ModelChoice | None = field(default_factory=ModelChoice)
    settings: Settings = field(default_factory=Settings)
    secrets: tuple[str, ...] = ()
    always_ask: tuple[str, ...] = ()
    builtin: bool = True

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.authority = FakeAuthority()
        self.approvals = FakeApprovals(self.clock)
        self.executions = FakeExecutions(self.clock, self.approvals)
        self.schedule = FakeSchedule(self.clock)
        self.memories = FakeMemories(self.clock)
        self.proposals = FakeProposals(self.clock)
        self.people = FakePeople(ADA, BOB)
        self.threads = FakeThreads()
        self.feedback = FakeFeedback(self.clock)
        self.attachments = FakeAttachments()
        self.places = FakePlaces()
        self.summaries = FakeSummaries(self.threads)
        self.polls = FakePolls(self.clock)
        self.status = FakeStatus()
        policy = ToolPolicy(self.authority, always_ask=self.always_ask)
        builtin = BuiltinTools(
            self.schedule,
            self.memories,
            self.proposals,
            FakePersonalData(self.clock, self.memories),
            MemoryBus(self.clock),
            self.people,
            self.threads,
            self.polls,
            self.status,
            policy,
            lambda: self.catalog,
        )
        self.catalog = Catalog([*([builtin] if self.builtin else []), FixedTools(*self.tools)])
        self.executor = ToolExecutor(self.catalog, policy, self.executions, self.clock, Redactor(self.secrets))
        self.brain = TurnBrain(
            self.settings,
            self.executor,
            ContextSources(
                threads=self.threads,
                people=self.people,
                memories=self.memories,
                feedback=self.feedback,
                attachments=self.attachments,
                places=self.places,
                summaries=self.summaries,
                clock=self.clock,
            ),
            choice=self.choice,
            polls=self.polls,
        )
        self._tasks = 0

    def session(self, task: int = 1, *, person: Person = ADA, server: int | None = None) -> CallSession:
        """A session of tool calls for one turn of a task."""

        async def known() -> int:
            return task

        requester = Requester(person.id, "web", "web:a", server=server)
        return self.executor.open(requester, person, known)

    def request(
        self, text: str, *, person: Person = ADA, task: int | None = None, resume: Resume | None = None, **more: object
    ) -> TurnRequest:
        """A turn request for a message that is also said in the channel."""
        self._tasks += task is None
        files = more.pop("attachments", ())
        message = self.threads.say(text, person=person.id, name=person.name, attachments=files)  # type: ignore[arg-type]
        server = more.pop("server", None)
        return TurnRequest(
            task=task or self._tasks,
            turn=f"{task or self._tasks}.1",
            attempt=1,
            channel="web:a",
            thread=1,
            message=message.id,
            text=text,
            requester=Requester(person.id, "web", "web:a", server=server),  # type: ignore[arg-type]
            resume=resume,
            **more,  # type: ignore[arg-type]
        )

    async def events(self, request: TurnRequest) -> list[TurnEvent]:
        """Run a turn to its end; the answer is also said in the channel."""
        events = [event async for event in self.brain.turn(request)]
        last = events[-1]
        assert isinstance(last, Final | Paused)
        self.threads.say(last.text, author=Author.AGENT)
        return events

    async def ask(self, text: str, *, person: Person = ADA, **more: object) -> str:
        """What is answered to a text."""
        last = (await self.events(self.request(text, person=person, **more)))[-1]  # type: ignore[arg-type]
        assert isinstance(last, Final | Paused)
        return last.text
