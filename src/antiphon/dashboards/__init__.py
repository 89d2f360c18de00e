"""The five panels operators look at: Server, Logs, Events, Messages, Voice. One state, two renderers.

`board` keeps the state from what the bus and the log say; each panel is a module of its own that turns its part of the
state into a neutral `Panel`. The console draws panels as they are, `platforms/discord/panels` draws them as embeds.
"""
