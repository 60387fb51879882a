"""A page in the browser, served to this machine alone: results are seen and judged, patches are scored."""
