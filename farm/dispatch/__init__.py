"""Who renders what, when, and what happens when it fails."""
