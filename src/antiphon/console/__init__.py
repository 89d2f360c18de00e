"""The console: Flask pages without data of their own.

Every page is a shell; the browser's scripts talk to `/api` and `/ws` on the same origin. `run` builds the app with
`app.create_console` and puts it behind the one port.
"""
