"""A run: what makes it the same run again, what it has finished, who computes, and how often it tries."""
