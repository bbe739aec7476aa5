"""From frames to a judgement."""
