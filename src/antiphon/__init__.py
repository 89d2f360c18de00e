"""Antiphon: one agent, every channel, text and voice."""

__version__ = "0.1.0"
