"""Files of limits: entries coming in, exports and plans going out."""
