"""Files on disk, understood and checked: one folder a sensor."""
