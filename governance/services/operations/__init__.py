"""The operator's services: health, doctor, verification, retention, counts."""
