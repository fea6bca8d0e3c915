"""Schemas that describe responses, one module for each subject.

The OpenAPI document is built from these schemas, and tests compare every response with them. The service does not use
them to write responses. Other modules do that, for example `schemas.render` and `schemas.keys`.
"""
