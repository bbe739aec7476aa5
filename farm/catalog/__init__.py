"""Where stills and motions come from."""
