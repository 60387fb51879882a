"""Reports of an evaluation: pictures, tables and text."""
