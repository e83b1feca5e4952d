"""Pure functions from a result to something a person or a machine reads."""
