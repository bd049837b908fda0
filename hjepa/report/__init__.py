"""One page out of records: the answer first, then the figures, then where every number comes from."""
