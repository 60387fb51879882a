"""The process: threads, memory, progress, files that appear whole."""
