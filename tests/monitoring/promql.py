# SPDX-License-Identifier: Apache-2.0
"""What an expression of Prometheus names, and what a text of metrics has."""

import re

FUNCTIONS = {
    "sum", "rate", "increase", "max", "min", "avg", "count", "histogram_quantile", "time", "topk",
    "and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right",
}  # fmt: skip
# Prometheus itself adds them, or the node exporter, which serves the transport's file.
ADDED_LABELS = {"instance", "job", "le"}
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"


def named(expression):
    """The metrics, and the labels that are asked for or grouped by."""
    text = re.sub(r'"[^"]*"', '""', expression)
    text = re.sub(r"\[[^\]]*\]", "", text)
    labels = set()
    for selector in re.findall(r"\{([^}]*)\}", text):
        labels |= set(re.findall(r"(%s)\s*[=!]" % _NAME, selector))
    text = re.sub(r"\{[^}]*\}", "", text)
    grouping = r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)"
    for group in re.findall(grouping, text):
        labels |= set(re.findall(_NAME, group))
    text = re.sub(grouping, "", text)
    words = set(re.findall(r"(?<![\w.])%s" % _NAME, text))
    return words - FUNCTIONS, labels


class Families:
    """The metrics of some texts, with the labels of each."""

    def __init__(self, *texts):
        self.labels = {}
        for text in texts:
            types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
            for name, kind in types.items():
                for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
                    self.labels[name + suffix] = None
            for name, labels in re.findall(r"^(%s)(?:\{(.*)\})? \S+$" % _NAME, text, re.MULTILINE):
                seen = self.labels[name] or set()
                self.labels[name] = seen | set(re.findall(r'(%s)="' % _NAME, labels))

    def complaints(self, expression):
        """What the expression names and these do not have."""
        metrics, labels = named(expression)
        unknown = {name for name in metrics if name not in self.labels}
        known = [self.labels[name] for name in metrics - unknown]
        # Of a metric without a series the labels are not known.
        if not unknown and None not in known:
            unknown |= labels - set().union(*known) - ADDED_LABELS
        return unknown if metrics else {"no metric in " + expression}
