"""Command line of landslide-map: parse, call one library function, print."""
