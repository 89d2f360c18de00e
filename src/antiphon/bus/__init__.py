"""Publish/subscribe of events: in-process, or over Redis/Valkey between processes. The same contract for both.

Events are hints that make things fast; the rows in the database are the truth. Losing every event costs a client one
re-read, never a message.
"""
