"""The demo: the rig's recording replayed as sensors, with events planted in it."""
