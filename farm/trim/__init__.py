"""From frames to a clip."""
