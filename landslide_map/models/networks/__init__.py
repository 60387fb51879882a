"""Networks on pixels: what one is, who lets it vote, and how it gets faster with the same numbers."""
