"""Services for the operator: health, doctor, verification of counters, deletion of old rows, metrics."""
