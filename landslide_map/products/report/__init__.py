"""``report.html``: a result on one page, offline, to read, print and share."""
