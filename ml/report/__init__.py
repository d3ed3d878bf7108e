"""Pages and plots, from values that others computed. Decides nothing and reads nothing but what it is given."""
