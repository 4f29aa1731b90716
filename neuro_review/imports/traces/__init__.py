"""Traces of other tools as rows to import: every span of a model call that holds its text.

* spans     an export file, span by span, in constant memory, whatever its layout; what is passed by is counted
* otel      a span of OpenTelemetry: GenAI's names, old and new, OpenLLMetry's and OpenInference's
* langfuse  an observation of Langfuse
* chats     messages and texts, in the forms that they are written in
"""
