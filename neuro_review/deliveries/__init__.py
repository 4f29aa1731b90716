"""How applications are told: each message to each endpoint of its workflow, until it has arrived.

* signing    the secret of an endpoint, and the signatures of Standard Webhooks
* messages   what is sent: one event of the feed
* endpoints  where to: added, paused, rotated and removed by owners
* health     what an owner sees of it, and messages that were given up sent again
* claims     which message is whose to send now, and how it went
* run        the sending itself, in the worker
"""
