"""Bifrost's rows. They are checked by the same schemas as HTTP bodies."""
