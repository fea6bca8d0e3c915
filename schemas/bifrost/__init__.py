"""Bifrost's rows, validated by the schemas of the HTTP bodies."""
