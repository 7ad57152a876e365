"""Incidents in a series of training or evaluation values: one online rule, and its fold over a whole series."""

from stabilimeter.stats.detection.episode import SETTLING_POINTS as SETTLING_POINTS
from stabilimeter.stats.detection.online import ALARM_RATE as ALARM_RATE
from stabilimeter.stats.detection.online import detect as detect
from stabilimeter.stats.detection.online import finish as finish
from stabilimeter.stats.detection.online import onward as onward
from stabilimeter.stats.detection.online import start as start
from stabilimeter.stats.detection.online import step as step
from stabilimeter.stats.detection.state import State as State
from stabilimeter.stats.detection.state import from_plain as from_plain
from stabilimeter.stats.detection.state import plain as plain
