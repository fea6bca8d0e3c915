"""Bifrost's rows, checked by the schemas of the HTTP bodies."""
