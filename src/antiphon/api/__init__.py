"""The control plane over HTTP: REST with OpenAPI, event streams, WebSockets and the admin. Run wiring builds it.

How a request goes: `edge` (request id, host, size, headers) -> `asgi` (which face) -> `handler` (Django without its
middlewares) -> `views/base` (credential, scope, body) -> a view -> a port. Live events go bus -> `hub` -> `streams`
and `sockets`.
"""
