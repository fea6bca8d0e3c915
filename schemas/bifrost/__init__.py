"""Bifrost's rows, judged by the schemas of the HTTP bodies."""
