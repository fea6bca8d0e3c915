"""The formats of HTTP bodies and of files: marshmallow schemas check input, and functions write output as JSON."""
