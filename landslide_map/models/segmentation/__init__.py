"""Members that give one probability for each pixel: networks, scaling, tiles, losses, ensemble."""
