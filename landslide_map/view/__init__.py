"""A page in the browser, served to this machine alone: results are shown and reviewed, patches are scored."""
