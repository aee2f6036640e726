"""Groups that include other groups."""

from __future__ import annotations

from collections.abc import Mapping

from cds_service.knowledge.reading import Node, Problems


def leaves_of(name: str, nodes: Mapping[str, Node], problems: Problems, above: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A group and all that it includes, each once; a circle or an unknown group is a problem."""
    leaves = [name]
    for included in nodes[name].get("includes") or ():
        if included.value not in nodes:
            problems.add(included, f"the unknown group '{included.value}'", "a group of these files")
        elif included.value in (*above, name):
            problems.add(included, f"a circle through '{included.value}'", "groups that do not include themselves")
        else:
            leaves += leaves_of(included.value, nodes, problems, (*above, name))
    return tuple(dict.fromkeys(leaves))
