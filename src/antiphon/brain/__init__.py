"""ONE TURN: from what was said to what is answered. Read `turn.py` first.

`context` gathers what the model may know, `prompt` words it, `models` names who answers, `engine` runs the agent (the
only importers of pydantic-ai are `engine`, `toolset` and `offline/model`, so that a process starts without it), and
`offline` is the model that is always there.
"""
