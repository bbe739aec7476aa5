"""What will be rendered, and what it will take."""
