"""What belongs to a person, in memory: enough for the tool that forgets it."""

from __future__ import annotations

from typing import IO

from antiphon.domain.memories import MemoryScope
from antiphon.domain.personal_data import ErasureReceipt, PersonalData
from tests.fakes.clock import FakeClock
from tests.fakes.memories import FakeMemories


class FakePersonalData:
    """Implements `domain.personal_data.PersonalDataStore` over the memories alone."""

    def __init__(self, clock: FakeClock, memories: FakeMemories) -> None:
        self._clock = clock
        self._memories = memories

    async def export(self, person: int) -> PersonalData:
        """Nothing but who it is."""
        return PersonalData({"person": {"id": str(person)}})

    async def write(self, data: PersonalData, target: IO[bytes]) -> None:
        """As text."""
        target.write(str(data.document).encode())

    async def erase(self, person: int) -> ErasureReceipt:
        """The memories."""
        return await self.forget(person)

    async def forget(self, person: int) -> ErasureReceipt:
        """The memories."""
        gone = await self._memories.forget(MemoryScope.PERSON, person, None)
        return ErasureReceipt(self._clock.now(), {"memories": len(gone)} if gone else {})
