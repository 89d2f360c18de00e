"""Several language models as one: who is asked (`router`), and who steps in when one fails (`failover`).

`registry` holds the experts of the settings, each with its `breaker`; `failures` says what went wrong in words;
`seam` joins a text that another expert goes on with; `health` checks in the background and finds local servers;
`probe` tries a model before it is configured. `clients` and `gguf` build the models themselves.
"""
