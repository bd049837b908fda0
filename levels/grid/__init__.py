"""The told parts: what level 1 and its critic are made of where perception hands over coordinates, grid and doors.

They know the symbols of one family of grid worlds. A level that sees for itself uses nothing of this folder.
"""
