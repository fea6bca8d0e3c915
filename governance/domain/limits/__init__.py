"""Model limits: values, windows, money and edits."""
