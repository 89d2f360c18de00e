"""A simulated Discord that speaks the real protocols to unmodified clients, on loopback alone.

`DiscordSim` in `sim.py` is the whole of it. `world` is what exists, `rules` what may happen, `rest`, `gateway` and
`voice` how clients are told, `control` how people are played and things are broken.
"""

from antiphon.sim.discord.errors import Refused
from antiphon.sim.discord.limits import Limits
from antiphon.sim.discord.loopback import LoopbackResolver, connector
from antiphon.sim.discord.sim import DiscordSim

__all__ = ["DiscordSim", "Limits", "LoopbackResolver", "Refused", "connector"]
