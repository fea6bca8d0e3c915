"""What deploy/ holds: built, checked and started as an operator would."""
