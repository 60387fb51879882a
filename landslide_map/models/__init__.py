"""Members, the bundle on disk, and the vote."""
