"""The wire: marshmallow schemas for what comes in (shape only), and the one renderer of what goes out."""
