"""What goes out, described by subject: OpenAPI is made from this, and the tests hold every answer against it.

The renderer (`render`, `keys`, `metering`) writes the bytes; these schemas never dump.
"""
