"""Files of limits: what they ask for, what is wrong with them, and the plan that carries them out."""
