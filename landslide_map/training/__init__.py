"""Training: recipes in, bundles with honest figures out.

>>> from landslide_map.training import read_statistics_table, train
>>> data = read_statistics_table("patch_statistics.csv")  # doctest: +SKIP
>>> trained = train(data.statistics, data.labels)  # doctest: +SKIP
"""

from landslide_map.training.statistics_table import LabelledStatistics, read_statistics_table
from landslide_map.training.train_statistics import TrainedBundle, train

__all__ = ["LabelledStatistics", "TrainedBundle", "read_statistics_table", "train"]
