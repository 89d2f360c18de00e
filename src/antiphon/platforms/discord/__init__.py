"""Discord: text in and out, commands, and the connection to its gateway.

`service.py` is the way in (read it first): it holds the shards and runs the gateway (`gateway.py`, the only module with
`voice.py` that imports the library). What the gateway says goes through `dispatch.py` to `inbound.py` (messages for the
agent, in order; `hearing.py` knows up to when each shard was heard, `taking.py` what becomes of one message), to
`calling.py` (slash commands and buttons) and to `events.py` (everything else). `delivery.py` is the way out. Every
request goes through `rest.py`, which needs no gateway, so that any worker can deliver.
"""
