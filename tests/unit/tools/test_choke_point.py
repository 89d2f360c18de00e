"""Whatever a caller does, a tool body runs only after a permission check, with a record, and approved where needed."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.domain.approvals import Approval, ApprovalState, ApproverRule
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.tools import ExecutionStatus, Risk
from antiphon.tools.execute import ApprovalNeeded, BadCall, arguments_hash
from antiphon.tools.tool import ToolCall
from tests.fakes.agent import ADA, Workbench
from tests.fakes.tools import Poke, PokeArguments


@st.composite
def situations(draw: st.DrawFn) -> dict[str, object]:
    """One tool, one requester and a series of calls with whatever approvals a snapshot might carry."""
    return {
        "risk": draw(st.sampled_from(list(Risk))),
        "permission": draw(st.sampled_from(["everyone", "operator", ""])),
        "wide": draw(st.sampled_from(["", "operator", "owner"])),
        "always": draw(st.booleans()),
        "idempotent": draw(st.booleans()),
        "grants": draw(st.sets(st.sampled_from(["operator", "owner"]))),
        "calls": draw(
            st.lists(
                st.tuples(
                    st.sampled_from(["poke.do", "poke_do", "poke.undo"]),
                    st.sampled_from([{}, {"whom": "Bob"}, {"scope": "wide"}, {"whom": 5}, {"x": 1}]),
                    st.sampled_from([None, *ApprovalState]),
                    st.booleans(),
                    st.booleans(),
                    st.booleans(),
                ),
                min_size=1,
                max_size=6,
            )
        ),
    }


@settings(max_examples=150, deadline=None)
@given(situations())
def test_no_tool_body_runs_past_the_choke_point(situation: dict[str, object]) -> None:
    asyncio.run(play(situation))


async def play(s: dict[str, object]) -> None:
    """Make the calls and check each run of the body at the moment it happens."""
    breaches: list[str] = []

    def watch(call: ToolCall[PokeArguments]) -> None:
        record = next((row for row in bench.executions.all() if row.id == call.execution), None)
        if record is None or record.status is not ExecutionStatus.STARTED:
            breaches.append("no open record")
            return
        needed = {str(s["permission"])} | ({str(s["wide"])} if s["wide"] and call.arguments.scope == "wide" else set())
        if not all(p == "everyone" or p in s["grants"] for p in needed):  # type: ignore[operator]
            breaches.append("no permission")
        if not all((ADA.id, p) in bench.authority.asked for p in needed):
            breaches.append("permission was not asked")
        if tool.spec.risk is Risk.DANGEROUS or s["always"]:
            approval = bench.approvals.rows.get(record.approval or -1)
            if approval is None or approval.state is not ApprovalState.CONSUMED:
                breaches.append("no approval")
            elif approval.arguments_hash != record.key.arguments_hash:
                breaches.append("approved for something else")

    tool = Poke(
        risk=s["risk"],  # type: ignore[arg-type]
        permission=s["permission"],  # type: ignore[arg-type]
        wide_permission=s["wide"],  # type: ignore[arg-type]
        idempotent=s["idempotent"],  # type: ignore[arg-type]
        watch=watch,
    )
    bench = Workbench((tool,), always_ask=("poke.do",) if s["always"] else ())
    bench.authority.grants[ADA.id] = set(s["grants"])  # type: ignore[call-overload]
    session = bench.session()
    for name, arguments, state, same_arguments, new_turn, crash in s["calls"]:  # type: ignore[attr-defined]
        if new_turn:
            session = bench.session()
        approval = None
        if state is not None:
            full = {"whom": "nobody", "scope": "own", **arguments}
            approval = stored(bench, state, full if same_arguments else {**full, "whom": "Eve"})
        bench.executions.down = int(crash)
        with contextlib.suppress(ApprovalNeeded, BadCall, StoreUnavailable):
            await session.call(name, arguments, approval=approval)
        bench.executions.down = 0
    assert breaches == []


def stored(bench: Workbench, state: ApprovalState, arguments: dict[str, object]) -> Approval:
    """An approval row in some state."""
    approval = Approval(
        id=len(bench.approvals.rows) + 1, task=1, channel="web:a", call_id="c", tool="poke.do", arguments=arguments,
        arguments_hash=arguments_hash(arguments), summary="", rule=ApproverRule(), requester=1, state=state,
        created_at=bench.clock.now(), expires_at=bench.clock.now().replace(hour=23),
    )  # fmt: skip
    bench.approvals.rows[approval.id] = approval
    return approval
