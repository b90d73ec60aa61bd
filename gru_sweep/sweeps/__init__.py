"""How many: evaluates a host function over a grid into one HDF5 file; knows neither cells nor dynamics."""
