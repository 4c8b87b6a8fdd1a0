"""The main job, shown: three houses on this machine, and a study that crosses from one to the other."""
