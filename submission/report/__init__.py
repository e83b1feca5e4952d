"""From finished runs to a written report."""
