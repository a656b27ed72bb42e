"""Draws plain records: learning curves, pictures of cases, one HTML page that needs no server, and ``results.json``.

`records` is what goes in; `statistics` says what a number over seeds is worth; `metrics` names them; `curves`,
`pictures` and `anatomy` draw; `page` puts everything into one file; `results` is what other programs read.
"""
