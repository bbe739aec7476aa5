"""Keys, objects and the manifest."""
