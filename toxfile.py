"""Run two environments of ``tox`` at once, when none is selected.

Much of an environment is one process that installs, builds or checks types, while another core is idle.
``tox -p 2`` does the same, ``tox -p 0 -e lint,py311`` runs one after the other.
"""

from __future__ import annotations

from tox.config.sets import ConfigSet
from tox.plugin import impl
from tox.session.state import State


@impl
def tox_add_core_config(core_conf: ConfigSet, state: State) -> None:
    """Set the option ``-p`` of a command line without ``-e``."""
    options = state.conf.options
    if options.command == "legacy" and options.env.is_default_list and not options.parallel:
        options.parallel = 2
