"""Who computes the blocks of a sweep: the devices of this process, or the workers of a Dask cluster.

An engine brings every missing block of a store to the disk. Which one does, how many workers it has, and in
which order they come, never changes a value.
"""
