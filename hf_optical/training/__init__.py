"""Training: trainers, their arguments, the losses of each kind of data set, checkpoints, monitor, memory advice."""
