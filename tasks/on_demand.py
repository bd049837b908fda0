"""Fields of dataclasses that are worked out when somebody first reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class OnDemand:
    """An array, or a function of the object that returns it and is called once, the first time it is read.

    A function belongs to no rows of its own, so a selection of the object's rows can take it along uncalled, see
    `given`.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> np.ndarray:
        if instance is None:
            raise AttributeError(self._name)  # so that dataclasses see no default
        value = instance.__dict__[self._name]
        if callable(value):
            value = instance.__dict__[self._name] = value(instance)
        return value

    def __set__(self, instance: Any, value: np.ndarray | Callable[[Any], np.ndarray]) -> None:
        instance.__dict__[self._name] = value


def given(instance: Any, name: str) -> np.ndarray | Callable[[Any], np.ndarray]:
    """A field as it is: the array, or the function while nobody has read it."""
    return instance.__dict__[name]
