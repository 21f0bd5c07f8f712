"""What a run will take, said before it starts: time, memory, disk; and what to change where it does not fit."""
