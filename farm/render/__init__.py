"""From a still to frames."""
