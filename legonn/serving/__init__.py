"""A trained or composed system as an HTTP service: `legonn serve`.

A request's way: `protocol` (a connection that says nothing is closed), `metrics`, `body` (read within limits), `app`
(routes, what a request may ask), `batcher` (a bounded queue, and batches for one thread), `engine` (the search).
"""
