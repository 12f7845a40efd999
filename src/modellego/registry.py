"""Functions by name: criteria, refits, calibrations, layouts and readers of data, our own and those of plugins."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Generic, TypeVar

from modellego.errors import LegoError
from modellego.plugins import load_installed

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries of one kind by name, in the order in which they were entered.

    `kind` is what errors call an entry, `error` their type. A name that is not known is looked for in the installed
    plugins before it is refused.

    >>> greetings = Registry[str]("greeting", LegoError)
    >>> greetings.enter("hello", "Hello!")
    >>> greetings.find("hello")
    'Hello!'
    >>> greetings.find("helo")
    Traceback (most recent call last):
    modellego.errors.LegoError: there is no greeting 'helo', did you mean hello? There are hello
    """

    def __init__(self, kind: str, error: Callable[[str], LegoError]) -> None:
        self.kind, self.error = kind, error
        self._entries: dict[str, Entry] = {}

    def enter(self, name: str, entry: Entry) -> None:
        """Enter something under a name that is free.

        Raises:
            LegoError: the name is taken, or is no plain word.
        """
        if not name.isidentifier() or name == "none":
            raise self.error(f"a {self.kind} cannot be called {name!r}: take letters, digits and underscores")
        if name in self._entries:
            raise self.error(f"there is a {self.kind} {name!r} already: take another name")
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        """Take an entry out, so that its name is free again (a notebook's cell that is run twice)."""
        del self._entries[name]

    def find(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises:
            LegoError: there is none; the text names those there are.
        """
        if name not in self:
            near = get_close_matches(name, self._entries, 1)
            hint = f", did you mean {near[0]}?" if near else "."
            raise self.error(f"there is no {self.kind} {name!r}{hint} There are {', '.join(self._entries)}")
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        if name not in self._entries:
            load_installed()
        return name in self._entries

    def names(self) -> tuple[str, ...]:
        """Return all names, those of installed plugins too."""
        load_installed()
        return tuple(self._entries)
