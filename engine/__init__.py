"""Every decision; no I/O.

Kernels that only read and write the arrays they are given, neither make nor return one, are
compiled with `_nrt=False`: counting references to arrays in every call took a third of the time of
a choice. Numba itself refuses it where an array would be returned.
"""
