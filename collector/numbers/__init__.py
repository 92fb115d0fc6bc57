"""From a tally to numbers."""
