"""What an operator needs: health, doctor, verification, retention, counts."""
