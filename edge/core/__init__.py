"""Pure: values in, values out. The clock is an argument."""
