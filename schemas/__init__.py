"""The formats of HTTP and files: marshmallow schemas check input, and one renderer writes all output."""
