"""The formats of HTTP and files: marshmallow schemas check the form of input, and one renderer writes all output."""
