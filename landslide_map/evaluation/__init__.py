"""How good an ensemble is: figures of windows (window level) and of mapped landslides (object level)."""
