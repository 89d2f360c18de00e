"""A LiveKit-compatible server for tests: rooms, tokens, signalling, audio and data, so that the real SDKs can be used.

It is a process of its own (`python -m tests.livekit_server`), because the SDKs talk to a server over the network and
because what aiortc costs is then not the test's. `LIVEKIT_URL`, `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET` in the
environment of the tests name a real server that is used instead: see `process`.
"""
