"""The formats of HTTP and files: marshmallow schemas check the shape of input, and one renderer writes all output."""
