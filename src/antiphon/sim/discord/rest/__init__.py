"""The HTTP face, version 10: authentication, limits and errors in `server`, one module of routes per resource."""
