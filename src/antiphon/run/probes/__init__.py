"""Trying out what people enter on the set-up page: models, tokens, servers, the disk. Called through `trials.Trials`.

One module per thing that can be tried. Nothing is kept, every try is over within seconds, and what the other side
answers is read for the facts we know of; none of its text is repeated, except for the names of bots and servers.
"""
