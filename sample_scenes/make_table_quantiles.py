"""``table_quantiles.json``: distribution of the statistics of real windows, class by class.

Usage: ``python sample_scenes/make_table_quantiles.py TABLE.csv``. The simulator is fitted to these
summary numbers, and a test holds the sample scene to them, without the table at hand.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np

from landslide_map.datasets.statistics_table import read_statistics_table

QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
"""Percent; 0 and 100 are the least and the greatest value."""


def main(table: str) -> None:
    data = read_statistics_table(table)
    values = data.statistics.sel(
        statistic=[s for s in data.statistics.statistic.values if s != "valid_fraction"]
    )
    summary = {
        "unit": "per 64 x 64 window, channels and units as in landslide_map.bands",
        "source": "Classification for Landslide Detection (ITU, ComHaz, MISSLab, ESA), CC-BY-SA 4.0",
        "percent": list(QUANTILES),
        "windows": {str(label): int((data.labels == label).sum()) for label in (0, 1)},
        "quantiles": {
            str(label): {
                str(channel): {
                    str(statistic): [
                        float(f"{q:.6g}")
                        for q in np.percentile(
                            values.sel(channel=channel, statistic=statistic).values[data.labels == label],
                            QUANTILES,
                        )
                    ]
                    for statistic in values.statistic.values
                }
                for channel in values.channel.values
            }
            for label in (0, 1)
        },
    }
    out = Path(__file__).with_name("table_quantiles.json")
    one_line = re.sub(r"\[[^\[\]]*\]", lambda m: " ".join(m.group().split()), json.dumps(summary, indent=1))
    out.write_text(one_line + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
