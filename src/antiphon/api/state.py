"""What the views of one API share: the services and the parts that live as long as the process."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.api.auth import Authenticator
from antiphon.api.hub import Hub
from antiphon.api.origins import Origins
from antiphon.api.rates import Buckets
from antiphon.api.services import ApiServices


@dataclass(frozen=True, slots=True)
class ApiState:
    """Built once by `asgi.build_asgi`; views get it as `self.state`."""

    services: ApiServices
    auth: Authenticator
    hub: Hub
    transcripts: Hub
    """Listeners of spoken sessions."""
    origins: Origins
    messages: Buckets
    """How fast a person may send messages."""
    sign_ins: Buckets
    """How fast an address may try to sign in."""
    guesses: Buckets
    """How fast the password of one login may be tried, from addresses it was not used from before."""
    trials: Buckets
    """How fast a person may try things out."""
