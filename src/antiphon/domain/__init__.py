"""The nouns of the product, its ports and its one error tree.

Everything here is a frozen dataclass, an enum or a Protocol and imports the standard library only, so that each
other package may depend on it and nothing can depend on it the wrong way round.
"""
