"""What starts runs without a person: jobs, schedules and sensors, and the queue that their runs wait in.

`definitions`: as notebooks and the configuration declare them; `records`: what the state store keeps; the rest decides
which ticks are due, what a sensor's answer means, and which run may start.
"""
