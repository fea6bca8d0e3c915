"""The schemas of responses, by subject.

The OpenAPI document is built from them, and tests compare every response with them. The renderer (`render`, `keys`,
`metering`) writes the bytes. These schemas never write a response.
"""
