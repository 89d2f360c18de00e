"""The nouns of the product, its ports and its one error tree.

Everything here is a frozen dataclass, an enum or a Protocol and imports the standard library only, so that each
other package may depend on it and nothing can depend on it the wrong way round. A port is narrow and stands in the
module of the nouns it speaks of. `run/wiring.py` connects ports with what implements them; nobody imports sideways.

**Every method of a store port (`...Store`) is one transaction.** Store methods raise `StoreUnavailable` when the
database is locked, full, restarting or gone; nothing is then half written. Methods that take a `Lease` raise
`LeaseLost` when the task no longer belongs to it. All datetimes are timezone-aware UTC.
"""
