"""What a checkpoint holds of each part of training."""

from typing import Any, Protocol, TypeAlias

# Arrays, and values that JSON knows, by name.
State: TypeAlias = dict[str, Any]


class Stateful(Protocol):
    """Something that goes on from a checkpoint as if nothing had happened."""

    def state(self) -> State:
        """All that it needs to go on. Arrays in it may change later; copy them to keep them."""

    def restore(self, state: State) -> None:
        """Go on from what `state` gave, read back from a file."""
