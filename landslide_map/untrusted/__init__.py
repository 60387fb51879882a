"""Foreign files, read with bounds: a file tells its size before it is read, and leads nowhere else."""
