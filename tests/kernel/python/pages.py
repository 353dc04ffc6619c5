# SPDX-License-Identifier: Apache-2.0
"""The commands and programs in a page."""

import re
import shlex


def blocks(page, language):
    """What stands in the fences of a language."""
    with open(page) as file:
        return re.findall(r"^```%s\n(.*?)^```$" % language, file.read(), re.MULTILINE | re.DOTALL)


def the_block(page, language, word):
    """The one that has a word."""
    found = [block for block in blocks(page, language) if word in block]
    if len(found) != 1:
        raise AssertionError("%s has %d blocks of %s with %s" % (page, len(found), language, word))
    return found[0]


def commands(block):
    """Each command of a block, as a shell takes it to pieces."""
    return [shlex.split(line, comments=True) for line in block.replace("\\\n", " ").splitlines() if line]
