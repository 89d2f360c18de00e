"""What the agent can do, who may make it do so, and the one place where it is done.

`tool` says what a tool is, `catalog` what tools there are, `policy` who may use them, and `execute` is the choke point
every call of every surface passes. `builtin` holds the tools that need nothing but the stores.
"""
