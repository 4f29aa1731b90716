"""The HTTP API: what an application hands in, and what it gets back. Keys only; nobody decides anything here.

* app        the routes
* document   the OpenAPI 3.1 document that describes them
* forms      what is sent and what is answered
* answers    every answer and every refusal, in one shape
* committer  single submits of many callers, stored together
* storing    how they are, by a process beside the server
* keys       where keys lead
* batches    many submits of one caller
* waiting    who waits for a verdict, and is woken
* limits     how often a key may ask
"""
