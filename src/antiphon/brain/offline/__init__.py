"""The model that needs no key, no weights and no internet: it understands requests by grammar and uses the same tools.

`understand` turns text into intents (`grammar` matches templates of `intents/<language>.yaml`, `slots` turns free text
into arguments), `answers` words the results, and `model` is all of it behind the interface of a language model.
"""
