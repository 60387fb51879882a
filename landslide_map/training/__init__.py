"""Training: recipes in, bundles with honest figures out.

>>> from landslide_map.training import read_statistics_table, train_on_statistics
>>> data = read_statistics_table("patch_statistics.csv")  # doctest: +SKIP
>>> trained = train_on_statistics(data.statistics, data.labels)  # doctest: +SKIP
"""

from landslide_map.training.statistics_table import LabelledStatistics, read_statistics_table
from landslide_map.training.train_statistics import TrainedBundle, train_on_statistics

__all__ = ["LabelledStatistics", "TrainedBundle", "read_statistics_table", "train_on_statistics"]
