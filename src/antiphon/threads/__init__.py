"""The durable path: what was said is stored, worked on once, and answered once, whatever crashes.

`inbox` accepts, `runner` works, `approvals` asks people, `outbox` delivers; `live` does the same for spoken turns and
`schedule` starts what is due. They own no data: every step is one transaction of a store port.
"""
